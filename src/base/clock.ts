/** A pending call of a {@link Clock}. */
export interface Timer {
  /** Takes the call back; harmless when it has already happened. */
  cancel(): void;
}

/** The only source of time. Real in `platform`, virtual in `sim`. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. For timestamps that others see. */
  nowMs(): number;
  /** Milliseconds from an arbitrary start; never goes back. For durations. */
  monotonicMs(): number;
  /** Calls back once, no earlier than `delayMs` from now (0 = as soon as the loop is free). */
  setTimer(delayMs: number, callback: () => void): Timer;
}

/** Resolves after `delayMs`; rejects with the signal's reason as soon as it aborts. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const timer = clock.setTimer(delayMs, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    const onAbort = (): void => {
      timer.cancel();
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
