import type { LogFields, Logger } from '../../base/index.js';

/** Complaints that are remembered; more of them start anew, which at worst repeats a line. */
const REMEMBERED_MAX = 1024;

/** Logs what a peer does wrong once, however often it tries. */
export class PeerLog {
  readonly #log: Logger;
  readonly #seen = new Set<string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * @param peer who: node id, or the host where there is none.
   * @param kind what sort of complaint: one line for each.
   */
  warn(peer: string, kind: string, fields: LogFields, message: string): void {
    const key = JSON.stringify([peer, kind]);
    if (this.#seen.has(key)) return;
    if (this.#seen.size >= REMEMBERED_MAX) this.#seen.clear();
    this.#seen.add(key);
    this.#log.warn({ peer, ...fields }, message);
  }
}
