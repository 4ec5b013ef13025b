import type { CallOptions } from '../api/index.js';
import { Code, LinkedController, SwarmError, canceled, orAborted } from '../base/index.js';
import type { Clock } from '../base/index.js';

/** Limit of every unary call to a manager, in milliseconds. Source: SwarmKit. */
export const RPC_TIMEOUT_MS = 5000;

/** Runs `call` with a signal and deadline; DeadlineExceeded when it takes longer, even if it ignores both. */
export async function within<T>(
  clock: Clock,
  timeoutMs: number,
  signal: AbortSignal,
  call: (options: CallOptions & { readonly timeoutMs: number }) => Promise<T>,
): Promise<T> {
  using limited = new LinkedController(signal);
  const timer = clock.setTimer(timeoutMs, () =>
    limited.abort(new SwarmError(Code.DEADLINE_EXCEEDED, `no answer within ${timeoutMs} ms`)),
  );
  try {
    return await orAborted(call({ signal: limited.signal, timeoutMs }), limited.signal);
  } finally {
    timer.cancel();
  }
}

/** Reads a stream to its end; stops promptly when the signal aborts, and lets the sender know. */
export async function* readStream<T>(
  stream: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const iterator = stream[Symbol.asyncIterator]();
  try {
    for (;;) {
      const item = await orAborted(iterator.next(), signal);
      if (item.done === true) return;
      yield item.value;
    }
  } finally {
    iterator.return?.().catch(() => undefined);
  }
}

/** Runs all children until the first one ends, stops the others, waits for them, and throws that first error. */
export async function runTogether(
  signal: AbortSignal,
  children: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<void> {
  using group = new LinkedController(signal);
  let failure: { readonly error: unknown } | undefined;
  await Promise.all(
    children.map(async (child) => {
      try {
        await child(group.signal);
      } catch (error) {
        if (!group.signal.aborted) failure ??= { error };
      } finally {
        group.abort(canceled('the group'));
      }
    }),
  );
  signal.throwIfAborted();
  if (failure !== undefined) throw failure.error;
}
