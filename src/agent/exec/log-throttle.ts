import { sleep } from '../../base/index.js';
import type { Clock } from '../../base/index.js';

/** Bytes of output that one reader gets of one task in a second. Source: engine-api E-413. */
const BYTES_PER_SECOND_MAX = 10_000_000;
const SECOND_MS = 1000;

/** Holds a reader of logs back to a fixed rate, second by second. */
export class LogThrottle {
  #secondStartMs: number;
  #bytes = 0;

  constructor(
    readonly clock: Clock,
    readonly bytesPerSecondMax = BYTES_PER_SECOND_MAX,
  ) {
    this.#secondStartMs = clock.monotonicMs();
  }

  /** Counts bytes that were handed on; waits when this second has had its share. */
  async passed(bytes: number, signal: AbortSignal): Promise<void> {
    this.#bytes += bytes;
    if (this.#bytes < this.bytesPerSecondMax) return;
    const leftMs = this.#secondStartMs + SECOND_MS - this.clock.monotonicMs();
    if (leftMs > 0) await sleep(this.clock, leftMs, signal);
    this.#secondStartMs = this.clock.monotonicMs();
    this.#bytes = 0;
  }
}
