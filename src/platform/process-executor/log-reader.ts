import { LogThrottle, selects } from '../../agent/exec/index.js';
import type { ControllerLogMessage, LogSelection } from '../../agent/exec/index.js';
import { timestampFromMs } from '../../api/index.js';
import { WakeUp } from '../../base/index.js';
import type { Clock } from '../../base/index.js';
import type { LogCursor, LogRecord, TaskLog } from './task-log.js';

/** The selected lines of a log in order; follows it until `isComplete` says that nothing will be added. */
export async function* readLog(
  log: TaskLog,
  selection: LogSelection,
  isComplete: () => boolean,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<ControllerLogMessage, void, undefined> {
  const throttle = new LogThrottle(clock);
  const wakeUp = new WakeUp();
  using _ = log.onChange(() => wakeUp.notify());
  let cursor = log.start;
  if (selection.tail !== undefined) {
    const { records, next } = await lastRecords(log, selection, selection.tail);
    for (const record of records) yield messageOf(record);
    cursor = next;
  }
  for (;;) {
    signal.throwIfAborted();
    // Asked before reading: what is added in between is then read in the next round.
    const last = !selection.follow || isComplete();
    const { records, next } = await log.read(cursor);
    cursor = next;
    for (const record of records) {
      if (!isWanted(record, selection)) continue;
      yield messageOf(record);
      await throttle.passed(record.data.length, signal);
    }
    if (records.length > 0) continue;
    if (last) return;
    await wakeUp.wait(signal);
  }
}

async function lastRecords(
  log: TaskLog,
  selection: LogSelection,
  count: number,
): Promise<{ readonly records: readonly LogRecord[]; readonly next: LogCursor }> {
  let kept: LogRecord[] = [];
  for (let cursor = log.start; ; ) {
    const { records, next } = await log.read(cursor);
    if (records.length === 0) return { records: kept, next };
    cursor = next;
    if (count > 0) kept = [...kept, ...records.filter((record) => isWanted(record, selection))].slice(-count);
  }
}

function isWanted(record: LogRecord, selection: LogSelection): boolean {
  return record.data.length > 0 && selects(selection, record.stream, record.timeMs);
}

function messageOf({ timeMs, stream, data }: LogRecord): ControllerLogMessage {
  return { timestamp: timestampFromMs(timeMs), stream, attrs: [], data };
}
