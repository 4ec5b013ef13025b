import { constants, type ClientHttp2Stream, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import { addAbortSignal } from 'node:stream';

import type { MessageQueue, OutgoingCall } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import { encodeFrame, unknownEncoding } from './frames.js';
import { MessageReader } from './message-reader.js';
import { isGrpc, readEncoding } from './metadata.js';
import { httpStatusError, readStatus, resetError } from './status.js';
import { writeFrame } from './stream-writing.js';

/** Replies may be of any size that fits memory. Source: SwarmKit's clients (2^31 - 1). */
const REPLY_BYTES_MAX = 2 ** 31 - 1;

/** The caller's end of a call, on its stream. */
export class ClientCall implements OutgoingCall {
  readonly #stream: ClientHttp2Stream;
  readonly #reader: MessageReader;
  readonly #lost: () => SwarmError | undefined;
  #status: { readonly error: SwarmError | undefined } | undefined;
  #hasReply = false;

  /** @param lost why the connection was lost; undefined while it stands. */
  constructor(stream: ClientHttp2Stream, lost: () => SwarmError | undefined) {
    this.#stream = stream;
    this.#lost = lost;
    this.#reader = new MessageReader(stream, { messageBytesMax: REPLY_BYTES_MAX, encoding: '' }, (error) =>
      this.cancel(error),
    );
    stream.on('response', (headers) => this.#onResponse(headers));
    stream.on('trailers', (trailers) => this.#onTrailers(trailers));
    stream.on('end', () => this.#onEnd());
    // Every failure of the stream is followed by its close.
    stream.on('error', () => undefined);
    stream.on('close', () => this.#onClose());
  }

  get replies(): MessageQueue {
    return this.#reader.messages;
  }

  get isUntouched(): boolean {
    return !this.#hasReply && this.#stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
  }

  send(message: Uint8Array): Promise<void> {
    return writeFrame(this.#stream, encodeFrame(message));
  }

  end(last?: Uint8Array): void {
    this.#stream.end(last === undefined ? undefined : encodeFrame(last));
  }

  cancel(reason: SwarmError): void {
    if (this.#stream.closed || (this.replies.isEnded && this.#stream.writableFinished)) return;
    this.replies.fail(reason);
    // Not close(): it would end the request properly first, and half a stream would pass for a whole one.
    addAbortSignal(AbortSignal.abort(), this.#stream);
  }

  #onResponse(headers: IncomingHttpHeaders & IncomingHttpStatusHeader): void {
    this.#hasReply = true;
    const status = readStatus(headers);
    if (status !== undefined) this.#status = status;
    else if (headers[':status'] !== 200 || !isGrpc(headers['content-type'])) {
      this.cancel(httpStatusError(headers[':status'] ?? 0, headers['content-type']));
    } else if (readEncoding(headers) !== '') this.cancel(unknownEncoding(readEncoding(headers)));
  }

  #onTrailers(trailers: IncomingHttpHeaders): void {
    this.#status = readStatus(trailers) ?? {
      error: new SwarmError(Code.INTERNAL, 'the server sent trailers without a status'),
    };
  }

  /** All messages were read; the trailers, if there are any, came before. */
  #onEnd(): void {
    if (this.#status === undefined) return;
    if (this.#status.error === undefined && this.#reader.isInsideMessage) {
      this.replies.finish(new SwarmError(Code.INTERNAL, 'unexpected EOF'));
    } else this.replies.finish(this.#status.error);
  }

  #onClose(): void {
    const { rstCode } = this.#stream;
    if (this.#status !== undefined) this.#onEnd();
    else this.replies.finish(this.#lost() ?? closeError(rstCode));
  }
}

function closeError(rstCode: number): SwarmError {
  return rstCode === constants.NGHTTP2_NO_ERROR
    ? new SwarmError(Code.INTERNAL, 'server closed the stream without sending trailers')
    : resetError(rstCode);
}
