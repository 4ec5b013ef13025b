import type { Clock, Timer } from '../base/index.js';

/** The longest delay that Node's timers take (2^31 - 1 ms); longer ones are waited for in pieces. */
const TIMER_DELAY_MS_MAX = 2 ** 31 - 1;

/** The machine's clock. */
export class SystemClock implements Clock {
  nowMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    if (!(delayMs > 0)) {
      const immediate = setImmediate(callback);
      return { cancel: () => clearImmediate(immediate) };
    }
    return new SystemTimer(this.monotonicMs() + delayMs, callback);
  }
}

/** One pending call; Node may fire a timer up to a millisecond early, which the interface forbids. */
class SystemTimer implements Timer {
  readonly #dueMs: number;
  readonly #callback: () => void;
  #timeout: NodeJS.Timeout;

  constructor(dueMs: number, callback: () => void) {
    this.#dueMs = dueMs;
    this.#callback = callback;
    this.#timeout = this.#arm();
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }

  #arm(): NodeJS.Timeout {
    const restMs = Math.ceil(this.#dueMs - performance.now());
    return setTimeout(() => this.#fire(), Math.min(Math.max(restMs, 1), TIMER_DELAY_MS_MAX));
  }

  #fire(): void {
    if (performance.now() < this.#dueMs) this.#timeout = this.#arm();
    else this.#callback();
  }
}
