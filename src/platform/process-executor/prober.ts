import { spawn } from 'node:child_process';

import { aborted, LinkedController, canceled, sleep } from '../../base/index.js';
import type { Clock } from '../../base/index.js';
import { signalGroup } from './system-process.js';

const SIGKILL = 9;

/** Runs the script of a health check once. It succeeds by ending with 0 in time. */
export async function probe(
  script: string,
  environment: Readonly<Record<string, string>>,
  timeoutMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  signal.throwIfAborted();
  const child = spawn('/bin/sh', [script], { cwd: '/', env: { ...environment }, detached: true, stdio: 'ignore' });
  const ended = new Promise<boolean>((resolve) => {
    child.once('exit', (code) => resolve(code === 0));
    child.once('error', () => resolve(false));
  });
  using limit = new LinkedController(signal);
  const timeout = sleep(clock, timeoutMs, limit.signal).then(
    () => false,
    () => false,
  );
  const success = await Promise.race([ended, timeout, aborted(signal).then(() => false)]);
  limit.abort(canceled('the timeout of a health check'));
  if (child.pid !== undefined) signalGroup(child.pid, SIGKILL);
  await ended;
  signal.throwIfAborted();
  return success;
}
