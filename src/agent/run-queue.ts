import type { Clock, Timer } from '../base/index.js';

/** Steps between two yields to the event loop: about 5 ms of work (nothing may hold it longer than 20). */
const STEPS_PER_SLICE = 200;

/** Runs short synchronous steps in order, yielding to the event loop often enough. */
export class RunQueue {
  #steps: (() => void)[] = [];
  #pumping = false;
  #sinceYield = 0;

  constructor(readonly clock: Clock) {}

  /** Runs the step soon, never inside this call. */
  push(step: () => void): void {
    this.#steps.push(step);
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(this.#pump);
  }

  readonly #pump = (): void => {
    const steps = this.#steps;
    let done = 0;
    while (done < steps.length && this.#sinceYield < STEPS_PER_SLICE) {
      this.#sinceYield += 1;
      steps[done++]?.();
    }
    this.#steps = steps.slice(done);
    if (this.#steps.length === 0) {
      this.#pumping = false;
      return;
    }
    this.clock.setTimer(0, () => {
      this.#sinceYield = 0;
      this.#pump();
    });
  };
}

interface Delayed {
  readonly atMs: number;
  callback: (() => void) | undefined;
}

/** Calls back after one fixed delay; any number of waiting calls share a single timer. */
export class RetryQueue {
  #waiting: Delayed[] = [];
  #timer: Timer | undefined;

  constructor(
    readonly clock: Clock,
    readonly delayMs: number,
  ) {}

  /** Returns how to take the call back. */
  add(callback: () => void): () => void {
    const entry: Delayed = { atMs: this.clock.monotonicMs() + this.delayMs, callback };
    this.#waiting.push(entry);
    this.#arm();
    return () => {
      entry.callback = undefined;
    };
  }

  /** Forgets everything that waits. */
  clear(): void {
    this.#waiting = [];
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    const first = this.#waiting[0];
    if (this.#timer !== undefined || first === undefined) return;
    this.#timer = this.clock.setTimer(Math.max(0, first.atMs - this.clock.monotonicMs()), () => {
      this.#timer = undefined;
      this.#fire();
      this.#arm();
    });
  }

  #fire(): void {
    const nowMs = this.clock.monotonicMs();
    const due = this.#waiting.findIndex((entry) => entry.atMs > nowMs);
    const ready = due === -1 ? this.#waiting : this.#waiting.slice(0, due);
    this.#waiting = due === -1 ? [] : this.#waiting.slice(due);
    for (const entry of ready) entry.callback?.();
  }
}
