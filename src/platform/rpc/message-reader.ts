import type { Http2Stream } from 'node:http2';

import { MessageQueue } from '../../api/index.js';
import { toSwarmError, type SwarmError } from '../../base/index.js';
import { FrameDecoder } from './frames.js';

/** Bytes that may wait for the consumer before the sender is slowed down through HTTP/2's windows. */
const WAITING_BYTES_MAX = 256 * 1024;

/** Reads the messages of one direction of a call from its stream. */
export class MessageReader {
  readonly messages: MessageQueue;
  readonly #decoder: FrameDecoder;

  /** @param onBroken called when the sender breaks the framing; nothing is read from then on. */
  constructor(
    stream: Http2Stream,
    options: { readonly messageBytesMax: number; readonly encoding: string },
    onBroken: (error: SwarmError) => void,
  ) {
    this.messages = new MessageQueue(() => stream.resume());
    this.#decoder = new FrameDecoder(options.messageBytesMax, options.encoding);
    stream.on('data', (chunk: Buffer) => {
      if (this.messages.isEnded) return;
      try {
        for (const message of this.#decoder.push(chunk)) this.messages.put(message);
      } catch (error) {
        onBroken(toSwarmError(error));
        return;
      }
      if (this.messages.waitingBytes > WAITING_BYTES_MAX) stream.pause();
    });
  }

  /** Whether the bytes so far end inside a message. */
  get isInsideMessage(): boolean {
    return this.#decoder.isInsideMessage;
  }
}
