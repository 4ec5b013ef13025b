import type { SwarmError } from '../base/index.js';

/** What an empty message counts, so that their number is limited too. */
const MESSAGE_OVERHEAD_BYTES = 64;

interface Waiter {
  readonly resolve: (message: Uint8Array | undefined) => void;
  readonly reject: (error: SwarmError) => void;
}

/**
 * Encoded messages of one direction of a call, between a transport and one consumer. The transport keeps it
 * bounded: it stops the sender when too much waits and goes on when `onEmpty` says that nothing does.
 */
export class MessageQueue {
  readonly #onEmpty: () => void;
  #messages: Uint8Array[] = [];
  #waitingBytes = 0;
  #waiter: Waiter | undefined;
  #end: { readonly error: SwarmError | undefined } | undefined;

  constructor(onEmpty: () => void) {
    this.#onEmpty = onEmpty;
  }

  /** Bytes that wait for the consumer. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get isEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Adds a message; dropped after the end. */
  put(message: Uint8Array): void {
    if (this.#end !== undefined) return;
    const waiter = this.#waiter;
    if (waiter === undefined) {
      this.#messages.push(message);
      this.#waitingBytes += message.length + MESSAGE_OVERHEAD_BYTES;
    } else {
      this.#waiter = undefined;
      waiter.resolve(message);
    }
  }

  /** The next message; undefined at the end; throws what the call failed with. */
  take(): Promise<Uint8Array | undefined> {
    const message = this.#messages.shift();
    if (message !== undefined) {
      this.#waitingBytes -= message.length + MESSAGE_OVERHEAD_BYTES;
      if (this.#messages.length === 0) this.#onEmpty();
      return Promise.resolve(message);
    }
    if (this.#end !== undefined) {
      return this.#end.error === undefined ? Promise.resolve(undefined) : Promise.reject(this.#end.error);
    }
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  /** Ends it, well or with an error, after the messages that wait. Only the first end counts. */
  finish(error?: SwarmError): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (error === undefined) waiter?.resolve(undefined);
    else waiter?.reject(error);
  }

  /** Ends it at once: what waits is dropped. */
  fail(error: SwarmError): void {
    this.#messages = [];
    this.#waitingBytes = 0;
    if (this.#end?.error === undefined) this.#end = undefined;
    this.finish(error);
  }
}
