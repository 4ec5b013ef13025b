import { WakeUp, errorText, type SwarmError, toSwarmError } from '../../base/index.js';

/** What a writer does with the entries that have gathered. */
export interface WriterActions<V> {
  /** One value out of an entry that still waits and a newer one for the same key. */
  merge(waiting: V, newer: V): V;
  /** Writes the entries; resolves when they are committed. */
  write(entries: ReadonlyMap<string, V>): Promise<void>;
  /** The entries were not written, at least not all of them. */
  failed(entries: ReadonlyMap<string, V>, error: SwarmError): void;
}

/**
 * Batches by readiness: while one write is under way, what arrives waits and goes with the next. There
 * is at most one entry per key, so the keys bound the memory.
 */
export class CoalescingWriter<V> {
  readonly #actions: WriterActions<V>;
  readonly #wakeUp = new WakeUp();
  #waiting = new Map<string, V>();
  #outcome = Promise.withResolvers<void>();

  constructor(actions: WriterActions<V>) {
    this.#actions = actions;
    this.#outcome.promise.catch(errorText);
  }

  /** Entries that wait for the next write. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Adds an entry to the next write. The promise settles with that write and need not be awaited. */
  put(key: string, value: V): Promise<void> {
    const waiting = this.#waiting.get(key);
    this.#waiting.set(key, waiting === undefined ? value : this.#actions.merge(waiting, value));
    this.#wakeUp.notify();
    return this.#outcome.promise;
  }

  /** Writes until the signal aborts, then once more what still waits. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#wakeUp.wait(signal).catch(errorText);
      await this.#writeWaiting();
    }
    // What arrived during the last write.
    await this.#writeWaiting();
  }

  async #writeWaiting(): Promise<void> {
    if (this.#waiting.size === 0) return;
    const entries = this.#waiting;
    const outcome = this.#outcome;
    this.#waiting = new Map();
    this.#outcome = Promise.withResolvers<void>();
    this.#outcome.promise.catch(errorText);
    try {
      await this.#actions.write(entries);
      outcome.resolve();
    } catch (error) {
      const reason = toSwarmError(error);
      this.#actions.failed(entries, reason);
      outcome.reject(reason);
    }
  }
}
