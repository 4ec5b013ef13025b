import { LogStream, msFromTimestamp } from '../../api/index.js';
import type { LogSubscriptionOptions } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';

/** What a reader wants of a task's output. */
export interface LogSelection {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  /** How many of the last lines; undefined for all. */
  readonly tail: number | undefined;
  /** Milliseconds since the epoch; 0 for all. */
  readonly sinceMs: number;
}

/**
 * Log options as a selection. No streams means all of them; tail 0 is everything, -1 nothing and -(n + 1)
 * the last n lines.
 * @throws SwarmError InvalidArgument for a tail that counts from the start.
 */
export function logSelection(options: LogSubscriptionOptions): LogSelection {
  const { streams, tail, follow, since } = options;
  if (tail > 0n) {
    throw new SwarmError(Code.INVALID_ARGUMENT, 'tail: lines counted from the start of the log are not supported');
  }
  const all = streams.length === 0;
  return {
    stdout: all || streams.includes(LogStream.STDOUT),
    stderr: all || streams.includes(LogStream.STDERR),
    follow,
    tail: tail === 0n ? undefined : Number(-tail - 1n),
    sinceMs: msFromTimestamp(since),
  };
}

/** Whether a line of that stream and time is wanted. */
export function selects(selection: LogSelection, stream: LogStream, timeMs: number): boolean {
  if (timeMs < selection.sinceMs) return false;
  return stream === LogStream.STDERR ? selection.stderr : selection.stdout;
}
