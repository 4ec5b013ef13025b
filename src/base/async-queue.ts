import { Code } from './code.js';
import { SwarmError } from './swarm-error.js';
import { WakeUp } from './wake-up.js';

/** A bounded queue between one producer side and one consumer. */
export class AsyncQueue<T> {
  #items: T[] = [];
  #closed: { readonly reason: SwarmError | undefined } | undefined;
  readonly #wakeUp = new WakeUp();

  constructor(readonly itemsMax: number) {}

  get length(): number {
    return this.#items.length;
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** Adds an item. Returns false, and adds nothing, when the queue is full or closed. */
  push(item: T): boolean {
    if (this.#closed !== undefined || this.#items.length >= this.itemsMax) return false;
    this.#items.push(item);
    this.#wakeUp.notify();
    return true;
  }

  /** Ends the queue: what it holds is still delivered, then the end (or the reason, thrown). */
  close(reason?: SwarmError): void {
    this.#closed ??= { reason };
    this.#wakeUp.notify();
  }

  /** All items that wait, at least one; undefined at the end. */
  async takeAll(signal: AbortSignal): Promise<readonly T[] | undefined> {
    while (this.#items.length === 0) {
      if (this.#closed !== undefined) {
        if (this.#closed.reason !== undefined) throw this.#closed.reason;
        return undefined;
      }
      await this.#wakeUp.wait(signal);
    }
    signal.throwIfAborted();
    const items = this.#items;
    this.#items = [];
    return items;
  }

  /** The items one by one until the end. */
  async *iterate(signal: AbortSignal): AsyncGenerator<T, void, undefined> {
    for (let items = await this.takeAll(signal); items !== undefined; items = await this.takeAll(signal)) {
      yield* items;
    }
  }
}

/** The error by which a consumer learns that it was too slow. */
export function overflow(what: string): SwarmError {
  return new SwarmError(Code.RESOURCE_EXHAUSTED, `${what} did not keep up and was cut off`);
}
