import { type Clock, sleep } from '../../base/index.js';

/** How long work may hold the event loop before it lets others run: well under the 20 ms that nothing may exceed. */
const SLICE_MS_MAX = 8;

/** Cuts long work into slices: `if (slicer.due) await slicer.yield(signal)` after each small piece. */
export class Slicer {
  #startedMs: number;

  constructor(readonly clock: Clock) {
    this.#startedMs = clock.monotonicMs();
  }

  /** Whether the present slice is used up. */
  get due(): boolean {
    return this.clock.monotonicMs() - this.#startedMs >= SLICE_MS_MAX;
  }

  /** Lets everything else that waits run once, then starts the next slice. */
  async yield(signal: AbortSignal): Promise<void> {
    await sleep(this.clock, 0, signal);
    this.#startedMs = this.clock.monotonicMs();
  }
}
