import { constants, type ClientHttp2Stream, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';

import { Code, SwarmError } from '../../base/index.js';
import { FrameDecoder, unknownEncoding } from './frames.js';
import { MessageReader } from './message-reader.js';
import { isGrpc, readEncoding } from './metadata.js';
import { httpStatusError, readStatus, resetError } from './status.js';

/** Replies may be of any size that fits memory. Source: SwarmKit's clients (2^31 - 1). */
const REPLY_BYTES_MAX = 2 ** 31 - 1;

/** One call of a client, on its stream. */
export class ClientCall {
  readonly stream: ClientHttp2Stream;
  readonly reader: MessageReader;
  readonly #lost: () => SwarmError | undefined;
  #status: { readonly error: SwarmError | undefined } | undefined;
  #hasReply = false;

  /** @param lost why the connection was lost; undefined while it stands. */
  constructor(stream: ClientHttp2Stream, lost: () => SwarmError | undefined) {
    this.stream = stream;
    this.#lost = lost;
    this.reader = new MessageReader(stream, new FrameDecoder(REPLY_BYTES_MAX, ''), () => this.#reset());
    stream.on('response', (headers) => this.#onResponse(headers));
    stream.on('trailers', (trailers) => this.#onTrailers(trailers));
    stream.on('end', () => this.#onEnd());
    // Every failure of the stream is followed by its close.
    stream.on('error', () => undefined);
    stream.on('close', () => this.#onClose());
  }

  /** Whether the server refused the stream without looking at it, so that it may be sent again. */
  get isUntouched(): boolean {
    return !this.#hasReply && this.stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
  }

  /** Ends the call early, with what its reader is to see; harmless when it has already ended. */
  cancel(reason: SwarmError): void {
    this.reader.fail(reason);
    this.#reset();
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
    if (this.#status.error === undefined && this.reader.isInsideMessage) {
      this.reader.finish(new SwarmError(Code.INTERNAL, 'unexpected EOF'));
    } else this.reader.finish(this.#status.error);
  }

  #onClose(): void {
    const { rstCode } = this.stream;
    if (this.#status !== undefined) this.#onEnd();
    else this.reader.finish(this.#lost() ?? closeError(rstCode));
  }

  #reset(): void {
    if (!this.stream.closed) this.stream.close(constants.NGHTTP2_CANCEL);
  }
}

function closeError(rstCode: number): SwarmError {
  return rstCode === constants.NGHTTP2_NO_ERROR
    ? new SwarmError(Code.INTERNAL, 'server closed the stream without sending trailers')
    : resetError(rstCode);
}
