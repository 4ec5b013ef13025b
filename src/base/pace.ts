import { sleep, type Clock } from './clock.js';

/** How long a component may hold the event loop at a stretch; well below the 20 ms of the design. */
const STRETCH_MS = 8;

/** Reading the clock costs more than a step, so it is read only this often. */
const STEPS_PER_LOOK = 16;

/** Leaves the event loop free now and then in a long loop: `if (pace.isDue()) await pace.rest()`. */
export class Pace {
  #steps = 0;
  #sinceMs: number;

  constructor(
    private readonly clock: Clock,
    private readonly signal: AbortSignal,
  ) {
    this.#sinceMs = clock.monotonicMs();
  }

  /** Counts a step and tells whether it is time to rest. */
  isDue(): boolean {
    this.#steps++;
    return this.#steps % STEPS_PER_LOOK === 0 && this.clock.monotonicMs() - this.#sinceMs >= STRETCH_MS;
  }

  /** Lets others run. Rejects when stopped. */
  async rest(): Promise<void> {
    await sleep(this.clock, 0, this.signal);
    this.#sinceMs = this.clock.monotonicMs();
  }
}
