import type { Random } from '../base/index.js';

/** First wait after a failed session, and the longest, in milliseconds. Source: SwarmKit. */
const INITIAL_MS = 100;
const MAX_MS = 8000;

/** How long to wait between sessions: a random part of a limit that grows with every failure. */
export class BackOff {
  #limitMs = 0;

  /** The present limit, in milliseconds. */
  get limitMs(): number {
    return this.#limitMs;
  }

  /** The session failed: the limit becomes 100 ms plus twice what it was, at most 8 s. */
  failed(): void {
    this.#limitMs = Math.min(INITIAL_MS + 2 * this.#limitMs, MAX_MS);
  }

  /** The session registered. */
  reset(): void {
    this.#limitMs = 0;
  }

  /** The wait before the next session, in whole milliseconds. */
  waitMs(random: Random): number {
    return Math.floor(random.float() * this.#limitMs);
  }
}
