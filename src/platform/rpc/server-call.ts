import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';

import {
  REQUEST_BYTES_MAX,
  ServedCall,
  type CallEnvironment,
  type CallHead,
  type IncomingCall,
} from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import { encodeFrame, unknownEncoding } from './frames.js';
import { MessageReader } from './message-reader.js';
import { isGrpc, readEncoding, readMetadata, readTimeout, REPLY_HEADERS } from './metadata.js';
import { statusTrailers } from './status.js';
import { writeFrame } from './stream-writing.js';

/** Begins to serve the call on a stream; undefined where it is none, which has then been answered. */
export function beginServerCall(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  environment: CallEnvironment,
): { readonly call: ServedCall; readonly done: Promise<void> } | undefined {
  // Every failure of a stream is followed by its close.
  stream.on('error', () => undefined);
  const refusal = httpProblem(headers);
  if (refusal !== undefined) {
    stream.respond({ ':status': refusal }, { endStream: true });
    stream.resume();
    return undefined;
  }
  const encoding = readEncoding(headers);
  const reader = new MessageReader(stream, { messageBytesMax: REQUEST_BYTES_MAX, encoding }, (error) =>
    call.reject(error),
  );
  const call = new ServedCall(new ServerStream(stream, reader), environment);
  stream.on('end', () => {
    // A stream that is reset ends too; its close says how.
    if (stream.aborted) return;
    if (reader.isInsideMessage) call.reject(new SwarmError(Code.INTERNAL, 'unexpected EOF'));
    else reader.messages.finish();
  });
  stream.on('close', () => call.abort(new SwarmError(Code.CANCELED, 'context canceled')));
  return { call, done: call.run(() => readHead(headers, encoding)) };
}

/** Answers a stream with an error and nothing else. */
export function refuseStream(stream: ServerHttp2Stream, error: SwarmError): void {
  stream.on('error', () => undefined);
  stream.respond({ ...REPLY_HEADERS, ...statusTrailers(error) }, { endStream: true });
  stream.resume();
}

/**
 * The server's end of a call, on its stream. What the caller still sends after the reply is dropped; ending
 * the stream is left to him, as a reset from here would overtake the trailers.
 */
class ServerStream implements IncomingCall {
  readonly #stream: ServerHttp2Stream;
  readonly #reader: MessageReader;

  constructor(stream: ServerHttp2Stream, reader: MessageReader) {
    this.#stream = stream;
    this.#reader = reader;
  }

  get requests(): MessageReader['messages'] {
    return this.#reader.messages;
  }

  send(message: Uint8Array): Promise<void> {
    this.#begin();
    return writeFrame(this.#stream, encodeFrame(message));
  }

  finish(error: SwarmError | undefined, last?: Uint8Array): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const trailers = statusTrailers(error);
    if (last !== undefined) this.#begin();
    if (!stream.headersSent) {
      stream.respond({ ...REPLY_HEADERS, ...trailers }, { endStream: true });
      stream.resume();
      return;
    }
    stream.on('wantTrailers', () => {
      if (stream.destroyed) return;
      stream.sendTrailers(trailers);
    });
    stream.resume();
    stream.end(last === undefined ? undefined : encodeFrame(last));
  }

  #begin(): void {
    const stream = this.#stream;
    if (!stream.destroyed && !stream.headersSent) stream.respond(REPLY_HEADERS, { waitForTrailers: true });
  }
}

function readHead(headers: IncomingHttpHeaders, encoding: string): CallHead {
  if (encoding !== '') throw unknownEncoding(encoding);
  return { path: headers[':path'] ?? '', metadata: readMetadata(headers), timeoutMs: readTimeout(headers) };
}

/** The HTTP status for what is not a gRPC request at all, as grpc-go answers it. */
function httpProblem(headers: IncomingHttpHeaders): number | undefined {
  if (headers[':method'] !== 'POST') return constants.HTTP_STATUS_METHOD_NOT_ALLOWED;
  if (!isGrpc(headers['content-type'])) return constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE;
  return undefined;
}
