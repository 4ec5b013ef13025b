import type { Http2Stream } from 'node:http2';

import { toSwarmError, type SwarmError } from '../../base/index.js';
import type { FrameDecoder } from './frames.js';

/** Bytes that may wait for the consumer before the sender is slowed down through HTTP/2's windows. */
const WAITING_BYTES_MAX = 256 * 1024;

/** What an empty message counts, so that their number is limited too. */
const MESSAGE_OVERHEAD_BYTES = 64;

interface Waiter {
  readonly resolve: (message: Uint8Array | undefined) => void;
  readonly reject: (error: SwarmError) => void;
}

/** The messages of one direction of a call, for one consumer. */
export class MessageReader {
  readonly #stream: Http2Stream;
  readonly #decoder: FrameDecoder;
  readonly #onBroken: (error: SwarmError) => void;
  #messages: Uint8Array[] = [];
  #waitingBytes = 0;
  #waiter: Waiter | undefined;
  #end: { readonly error: SwarmError | undefined } | undefined;

  /** @param onBroken called once when the sender breaks the framing; the reader fails with the same error. */
  constructor(stream: Http2Stream, decoder: FrameDecoder, onBroken: (error: SwarmError) => void) {
    this.#stream = stream;
    this.#decoder = decoder;
    this.#onBroken = onBroken;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  /** Whether the bytes so far end inside a message. */
  get isInsideMessage(): boolean {
    return this.#decoder.isInsideMessage;
  }

  /** The next message; undefined at the end; throws what the call failed with. */
  take(): Promise<Uint8Array | undefined> {
    const message = this.#messages.shift();
    if (message !== undefined) {
      this.#waitingBytes -= message.length + MESSAGE_OVERHEAD_BYTES;
      if (this.#messages.length === 0) this.#stream.resume();
      return Promise.resolve(message);
    }
    if (this.#end !== undefined) {
      return this.#end.error === undefined ? Promise.resolve(undefined) : Promise.reject(this.#end.error);
    }
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  /** Ends it after the messages that wait. Only the first end counts. */
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
    if (this.#end === undefined) this.#messages = [];
    this.finish(error);
  }

  #receive(chunk: Buffer): void {
    if (this.#end !== undefined) return;
    try {
      for (const message of this.#decoder.push(chunk)) this.#deliver(message);
    } catch (error) {
      const broken = toSwarmError(error);
      this.fail(broken);
      this.#onBroken(broken);
      return;
    }
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.#stream.pause();
  }

  #deliver(message: Uint8Array): void {
    const waiter = this.#waiter;
    if (waiter !== undefined) {
      this.#waiter = undefined;
      waiter.resolve(message);
      return;
    }
    this.#messages.push(message);
    this.#waitingBytes += message.length + MESSAGE_OVERHEAD_BYTES;
  }
}
