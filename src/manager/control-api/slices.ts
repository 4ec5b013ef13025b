import { sleep, type Clock } from '../../base/index.js';

/** Steps between two looks at the clock. */
const STEPS_PER_LOOK = 64;

/** Cuts a long loop into slices of time, between which the event loop is free. */
export class Slices {
  readonly #clock: Clock;
  readonly #sliceMs: number;
  #startedMs: number;
  #steps = 0;

  /** @param sliceMs time that one slice may take. */
  constructor(clock: Clock, sliceMs: number) {
    this.#clock = clock;
    this.#sliceMs = sliceMs;
    this.#startedMs = clock.monotonicMs();
  }

  /** Counts small steps of work; true when the slice has used up its time and {@link next} is due. */
  isOver(steps = 1): boolean {
    this.#steps += steps;
    if (this.#steps < STEPS_PER_LOOK) return false;
    this.#steps = 0;
    return this.#clock.monotonicMs() - this.#startedMs >= this.#sliceMs;
  }

  /** Lets everything else run, then starts the next slice. */
  async next(signal: AbortSignal): Promise<void> {
    await sleep(this.#clock, 0, signal);
    this.#startedMs = this.#clock.monotonicMs();
  }
}
