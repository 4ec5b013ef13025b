import { orAborted } from './cancellation.js';
import type { Clock } from './clock.js';

/**
 * A level-triggered notification: any number of `notify` calls between two `wait`s count as one, and
 * one that comes before the wait is not lost.
 */
export class WakeUp {
  #notified = false;
  #waiter: (() => void) | undefined;

  notify(): void {
    this.#notified = true;
    this.#waiter?.();
    this.#waiter = undefined;
  }

  /** Resolves at the next notification; one waiter at a time. */
  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#notified) {
      await orAborted(
        new Promise<void>((resolve) => {
          this.#waiter = resolve;
        }),
        signal,
      );
    }
    this.#notified = false;
  }

  /** As {@link wait}, but also resolves at `wakeAtMs` on the clock's `nowMs` scale (undefined = never). */
  async waitUntil(clock: Clock, wakeAtMs: number | undefined, signal: AbortSignal): Promise<void> {
    if (wakeAtMs === undefined) return this.wait(signal);
    const timer = clock.setTimer(Math.max(0, wakeAtMs - clock.nowMs()), () => this.notify());
    try {
      await this.wait(signal);
    } finally {
      timer.cancel();
    }
  }
}
