import { create, fromBinary, toBinary, type DescMessage, type Message } from '@bufbuild/protobuf';
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';

import type { AdmittedCaller, AnyHandler, CallContext, ServedMethod, ServiceTable } from '../../api/index.js';
import {
  Code,
  SwarmError,
  errorText,
  isSwarmError,
  toSwarmError,
  type Clock,
  type Logger,
  type Timer,
} from '../../base/index.js';
import { encodeFrame, FrameDecoder, unknownEncoding } from './frames.js';
import { MessageReader } from './message-reader.js';
import { isGrpc, readEncoding, readMetadata, readTimeout, REPLY_HEADERS } from './metadata.js';
import { statusTrailers } from './status.js';
import { writeFrame } from './stream-writing.js';

/** The largest request that a server takes, in bytes. Source: SwarmKit (gRPC's default). */
const REQUEST_BYTES_MAX = 4 * 1024 * 1024;

/** What a call needs from its server. */
export interface CallEnvironment {
  readonly table: ServiceTable;
  readonly clock: Clock;
  readonly log: Logger;
  /** Judges the caller; the only way to a handler. */
  admit(method: ServedMethod['method'], metadata: ReadonlyMap<string, string>): AdmittedCaller | SwarmError;
  /** Reports what the caller did wrong. */
  complain(error: SwarmError): void;
}

/** One call that a server received. */
export class ServerCall {
  readonly #stream: ServerHttp2Stream;
  readonly #environment: CallEnvironment;
  readonly #controller = new AbortController();
  #reader: MessageReader | undefined;
  #deadline: Timer | undefined;
  #finished = false;

  constructor(stream: ServerHttp2Stream, environment: CallEnvironment) {
    this.#stream = stream;
    this.#environment = environment;
    // Every failure of the stream is followed by its close.
    stream.on('error', () => undefined);
    stream.on('close', () => {
      this.#deadline?.cancel();
      if (!this.#finished) this.abort(new SwarmError(Code.CANCELED, 'context canceled'));
    });
  }

  /** Ends the call from outside: the handler sees it on its signal. */
  abort(reason: SwarmError): void {
    if (this.#controller.signal.aborted) return;
    this.#controller.abort(reason);
    this.#reader?.fail(reason);
  }

  /** Serves the call; resolves when the handler has ended. Never throws. */
  async run(headers: IncomingHttpHeaders): Promise<void> {
    const refusedStatus = httpProblem(headers);
    if (refusedStatus !== undefined) {
      this.#refuseHttp(refusedStatus);
      return;
    }
    try {
      await this.#serve(headers);
    } catch (error) {
      this.#finish(this.#failure(error));
    }
  }

  async #serve(headers: IncomingHttpHeaders): Promise<void> {
    const { method, handler } = this.#environment.table.find(headers[':path'] ?? '');
    const metadata = readMetadata(headers);
    const admitted = this.#environment.admit(method, metadata);
    if (admitted instanceof SwarmError) throw this.#complain(admitted);
    this.#startDeadline(readTimeout(headers));
    const encoding = readEncoding(headers);
    if (encoding !== '') throw this.#complain(unknownEncoding(encoding));
    const reader = this.#read(encoding);
    const context: CallContext = { ...admitted, headers: metadata, signal: this.#controller.signal };
    switch (method.methodKind) {
      case 'unary':
        return this.#serveUnary(method, handler, reader, context);
      case 'server_streaming':
        return this.#serveServerStream(method, handler, reader, context);
      case 'client_streaming':
        return this.#serveClientStream(method, handler, reader, context);
      case 'bidi_streaming':
        throw new SwarmError(Code.UNIMPLEMENTED, 'bidirectional methods are not implemented');
    }
  }

  async #serveUnary(
    method: ServedMethod['method'],
    handler: AnyHandler,
    reader: MessageReader,
    context: CallContext,
  ): Promise<void> {
    const request = await this.#onlyRequest(method.input, reader);
    const reply = await handler(request, context);
    this.#finishWith(encodeReply(method.output, reply));
  }

  async #serveServerStream(
    method: ServedMethod['method'],
    handler: AnyHandler,
    reader: MessageReader,
    context: CallContext,
  ): Promise<void> {
    const request = await this.#onlyRequest(method.input, reader);
    for await (const reply of handler(request, context) as AsyncIterable<unknown>) {
      const frame = encodeReply(method.output, reply);
      this.#controller.signal.throwIfAborted();
      this.#beginReply();
      await writeFrame(this.#stream, frame);
      this.#controller.signal.throwIfAborted();
    }
    this.#finish(undefined);
  }

  async #serveClientStream(
    method: ServedMethod['method'],
    handler: AnyHandler,
    reader: MessageReader,
    context: CallContext,
  ): Promise<void> {
    const reply = await handler(this.#requests(method.input, reader), context);
    this.#finishWith(encodeReply(method.output, reply));
  }

  async #onlyRequest(schema: DescMessage, reader: MessageReader): Promise<Message> {
    const bytes = await reader.take();
    if (bytes !== undefined) return this.#decode(schema, bytes, 'grpc: error unmarshalling request: ');
    throw this.#complain(
      new SwarmError(Code.INTERNAL, 'cardinality violation: received no request message from non-client-streaming RPC'),
    );
  }

  async *#requests(schema: DescMessage, reader: MessageReader): AsyncGenerator<Message, void, undefined> {
    for (let bytes = await reader.take(); bytes !== undefined; bytes = await reader.take()) {
      yield this.#decode(schema, bytes, 'grpc: failed to unmarshal the received message: ');
    }
  }

  #decode(schema: DescMessage, bytes: Uint8Array, prefix: string): Message {
    try {
      return fromBinary(schema, bytes);
    } catch (error) {
      throw this.#complain(new SwarmError(Code.INTERNAL, prefix + errorText(error), { cause: error }));
    }
  }

  #read(encoding: string): MessageReader {
    const decoder = new FrameDecoder(REQUEST_BYTES_MAX, encoding);
    const reader = new MessageReader(this.#stream, decoder, (error) => {
      this.#complain(error);
      this.abort(error);
    });
    this.#stream.on('end', () => {
      if (reader.isInsideMessage) reader.fail(this.#complain(new SwarmError(Code.INTERNAL, 'unexpected EOF')));
      else reader.finish();
    });
    this.#reader = reader;
    return reader;
  }

  #startDeadline(timeoutMs: number | undefined): void {
    if (timeoutMs === undefined) return;
    this.#deadline = this.#environment.clock.setTimer(timeoutMs, () =>
      this.abort(new SwarmError(Code.DEADLINE_EXCEEDED, 'context deadline exceeded')),
    );
  }

  #complain(error: SwarmError): SwarmError {
    this.#environment.complain(error);
    return error;
  }

  /** What the caller is told; a call that was ended from outside failed with that, whatever came of it. */
  #failure(error: unknown): SwarmError {
    const { signal } = this.#controller;
    if (signal.aborted) return toSwarmError(signal.reason);
    if (!isSwarmError(error)) {
      this.#environment.log.error({ error: errorText(error), stack: stackOf(error) }, 'a handler failed unexpectedly');
    }
    return toSwarmError(error);
  }

  #beginReply(): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.headersSent) return;
    stream.respond(REPLY_HEADERS, { waitForTrailers: true });
  }

  #finishWith(frame: Buffer): void {
    this.#controller.signal.throwIfAborted();
    this.#beginReply();
    this.#finish(undefined, frame);
  }

  #finish(error: SwarmError | undefined, lastFrame?: Buffer): void {
    this.#finished = true;
    this.#deadline?.cancel();
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const trailers = statusTrailers(error);
    if (stream.headersSent) {
      stream.on('wantTrailers', () => {
        if (stream.destroyed) return;
        stream.sendTrailers(trailers);
        this.#leave();
      });
      stream.end(lastFrame);
    } else {
      stream.respond({ ...REPLY_HEADERS, ...trailers }, { endStream: true });
      this.#leave();
    }
  }

  #refuseHttp(status: number): void {
    this.#finished = true;
    this.#stream.respond({ ':status': status }, { endStream: true });
    this.#leave();
  }

  /** After the reply: what the caller still sends is dropped, and he is told to stop. */
  #leave(): void {
    const stream = this.#stream;
    if (stream.readableEnded || stream.destroyed) return;
    this.#reader?.finish(new SwarmError(Code.CANCELED, 'the call has ended'));
    stream.resume();
    stream.close(constants.NGHTTP2_NO_ERROR);
  }
}

/** The HTTP status for what is not a gRPC request at all, as grpc-go answers it. */
function httpProblem(headers: IncomingHttpHeaders): number | undefined {
  if (headers[':method'] !== 'POST') return constants.HTTP_STATUS_METHOD_NOT_ALLOWED;
  if (!isGrpc(headers['content-type'])) return constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE;
  return undefined;
}

function encodeReply(schema: DescMessage, reply: unknown): Buffer {
  try {
    return encodeFrame(toBinary(schema, create(schema, reply as Message)));
  } catch (error) {
    throw new SwarmError(Code.INTERNAL, `grpc: error while marshaling: ${errorText(error)}`, { cause: error });
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? '') : '';
}
