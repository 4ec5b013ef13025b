import { messageTooLarge } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';

/** A flag byte and the length of the message. Source: the gRPC specification. */
const HEADER_BYTES = 5;

/**
 * Messages that fill less than this share of the memory they arrived in are copied out of it: a message may
 * live as long as a stored object, and would keep a whole network buffer alive.
 */
const SLAB_SHARE_MIN = 0.5;

/** A message with its gRPC header. */
export function encodeFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, HEADER_BYTES);
  return frame;
}

/** Cuts a stream of bytes into messages. */
export class FrameDecoder {
  #chunks: Uint8Array[] = [];
  #buffered = 0;
  /** Length of the message under way; undefined while its header is awaited. */
  #length: number | undefined;

  /** @param encoding what the sender declared as `grpc-encoding`, for the error's text. */
  constructor(
    readonly messageBytesMax: number,
    readonly encoding: string,
  ) {}

  /** Whether the bytes so far end inside a message. */
  get isInsideMessage(): boolean {
    return this.#buffered > 0 || this.#length !== undefined;
  }

  /** Adds bytes; returns the messages that they complete. */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    const messages: Uint8Array[] = [];
    for (;;) {
      if (this.#length === undefined) {
        if (this.#buffered < HEADER_BYTES) return messages;
        this.#length = this.#readHeader(this.#take(HEADER_BYTES));
      }
      if (this.#buffered < this.#length) return messages;
      messages.push(detach(this.#take(this.#length)));
      this.#length = undefined;
    }
  }

  #readHeader(header: Uint8Array): number {
    const length = new DataView(header.buffer, header.byteOffset).getUint32(1);
    if (header[0] !== 0) throw this.#compressed();
    if (length > this.messageBytesMax) throw messageTooLarge(length, this.messageBytesMax);
    return length;
  }

  #compressed(): SwarmError {
    return this.encoding === '' || this.encoding === 'identity'
      ? new SwarmError(Code.INTERNAL, 'grpc: compressed flag set with identity or empty encoding')
      : unknownEncoding(this.encoding);
  }

  #take(length: number): Uint8Array {
    const first = this.#chunks[0];
    if (first === undefined || length === 0) return new Uint8Array(0);
    this.#buffered -= length;
    if (first.length > length) {
      this.#chunks[0] = first.subarray(length);
      return first.subarray(0, length);
    }
    if (first.length === length) {
      this.#chunks.shift();
      return first;
    }
    return this.#join(length);
  }

  #join(length: number): Uint8Array {
    const joined = new Uint8Array(length);
    let filled = 0;
    let used = 0;
    for (let chunk = this.#chunks[used]; chunk !== undefined && filled < length; chunk = this.#chunks[used]) {
      const part = chunk.subarray(0, length - filled);
      joined.set(part, filled);
      filled += part.length;
      if (part.length < chunk.length) this.#chunks[used] = chunk.subarray(part.length);
      else used++;
    }
    this.#chunks.splice(0, used);
    return joined;
  }
}

/** The refusal of a compression that we do not have: SwarmKit uses none. */
export function unknownEncoding(encoding: string): SwarmError {
  return new SwarmError(
    Code.UNIMPLEMENTED,
    `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(encoding)}`,
  );
}

function detach(message: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = message;
  const view = new Uint8Array(buffer, byteOffset, length);
  return length < buffer.byteLength * SLAB_SHARE_MIN ? view.slice() : view;
}
