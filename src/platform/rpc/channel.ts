import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';

import { methodPath, type CallOptions, type RpcChannel } from '../../api/index.js';
import { Code, SwarmError, canceled, errorText, orAborted, toSwarmError, type Clock } from '../../base/index.js';
import { CallScope } from './call-scope.js';
import type { ClientCall } from './client-call.js';
import type { Target } from './connect.js';
import { Connection } from './connection.js';
import { encodeFrame } from './frames.js';
import { KEEPALIVE_PERIOD_MS } from './keepalive.js';
import { writeFrame } from './stream-writing.js';

/** Calls to one peer, over one HTTP/2 connection that is made when first needed and made anew when lost. */
export class Http2Channel implements RpcChannel {
  readonly #target: Target;
  readonly #clock: Clock;
  readonly #closed = new AbortController();
  #connection: Promise<Connection> | undefined;
  #keepalivePeriodMs = KEEPALIVE_PERIOD_MS;

  constructor(target: Target, deps: { readonly clock: Clock }) {
    this.#target = target;
    this.#clock = deps.clock;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): Promise<MessageShape<O>> {
    const frame = encodeRequest(method.input, request);
    using scope = this.#scope(options);
    return await this.#sendOnce(method, frame, options, scope, (call) => onlyReply(method.output, call));
  }

  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): AsyncIterable<MessageShape<O>> {
    const frame = encodeRequest(method.input, request);
    using scope = this.#scope(options);
    const { call, first } = await this.#sendOnce(method, frame, options, scope, async (call) => ({
      call,
      first: await call.reader.take(),
    }));
    try {
      for (let bytes = first; bytes !== undefined; bytes = await call.reader.take()) {
        yield decodeReply(method.output, bytes);
      }
    } finally {
      call.cancel(canceled('the call'));
    }
  }

  async clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    options: CallOptions,
  ): Promise<MessageShape<O>> {
    using scope = this.#scope(options);
    const call = await this.#open(method, options, scope);
    const sending = sendAll(method.input, requests, call, scope.signal);
    try {
      return await onlyReply(method.output, call);
    } finally {
      call.cancel(canceled('the call'));
      scope.abort(canceled('the call'));
      await sending;
    }
  }

  close(): void {
    this.#closed.abort(new SwarmError(Code.UNAVAILABLE, `the channel to ${this.#target.addr} was closed`));
    this.#connection?.then(
      (connection) => connection.destroy(),
      () => undefined,
    );
  }

  #scope(options: CallOptions): CallScope {
    return new CallScope(this.#clock, options, this.#closed.signal);
  }

  /** Sends a single request; once more where the server refused it unseen, as gRPC's clients do. */
  async #sendOnce<T>(
    method: DescMethod,
    frame: Buffer,
    options: CallOptions,
    scope: CallScope,
    receive: (call: ClientCall) => Promise<T>,
  ): Promise<T> {
    const call = await this.#open(method, options, scope);
    call.stream.end(frame);
    try {
      return await receive(call);
    } catch (error) {
      if (!call.isUntouched || scope.signal.aborted) throw error;
    }
    const again = await this.#open(method, options, scope);
    again.stream.end(frame);
    return receive(again);
  }

  async #open(method: DescMethod, options: CallOptions, scope: CallScope): Promise<ClientCall> {
    const connection = await this.#connected(scope);
    const call = connection.open({
      path: methodPath(method),
      timeoutMs: scope.restMs(),
      metadata: options.headers,
    });
    scope.bind(call);
    return call;
  }

  async #connected(scope: CallScope): Promise<Connection> {
    if (scope.signal.aborted) throw scope.error;
    this.#connection ??= this.#connect();
    const connection = await orAborted(this.#connection, scope.signal).catch((error: unknown) => {
      throw scope.signal.aborted ? scope.error : toSwarmError(error);
    });
    if (connection.isUsable) return connection;
    // It broke while this call waited for its turn.
    this.#connection = this.#connect();
    return orAborted(this.#connection, scope.signal);
  }

  #connect(): Promise<Connection> {
    const forget = (): void => {
      if (this.#connection === attempt) this.#connection = undefined;
    };
    const attempt = this.#target.connect(this.#clock, this.#closed.signal).then((socket) => {
      const connection = new Connection(this.#target, socket, this.#clock, this.#keepalivePeriodMs, () => {
        if (connection.isTooLively) this.#keepalivePeriodMs *= 2;
        forget();
      });
      return connection;
    });
    attempt.catch(forget);
    return attempt;
  }
}

async function onlyReply<O extends DescMessage>(schema: O, call: ClientCall): Promise<MessageShape<O>> {
  const bytes = await call.reader.take();
  if (bytes === undefined) {
    throw cardinality('received no response message from non-server-streaming RPC');
  }
  if ((await call.reader.take()) !== undefined) {
    const error = cardinality('expected <EOF> for non server-streaming RPCs, but received another message');
    call.cancel(error);
    throw error;
  }
  return decodeReply(schema, bytes);
}

/** Sends requests until they end or the call does. Never throws: the call's reader tells how it ended. */
async function sendAll<I extends DescMessage>(
  schema: I,
  requests: AsyncIterable<MessageInitShape<I>>,
  call: ClientCall,
  signal: AbortSignal,
): Promise<void> {
  const iterator = requests[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await orAborted(Promise.resolve(iterator.next()), signal);
      if (next.done === true) break;
      await writeFrame(call.stream, encodeRequest(schema, next.value));
    }
    call.stream.end();
  } catch (error) {
    call.cancel(toSwarmError(error));
    // Not awaited: an iterator that is stuck in its next() also never returns.
    iterator.return?.().then(undefined, () => undefined);
  }
}

function encodeRequest<I extends DescMessage>(schema: I, request: MessageInitShape<I>): Buffer {
  try {
    return encodeFrame(toBinary(schema, create(schema, request)));
  } catch (error) {
    throw new SwarmError(Code.INTERNAL, `grpc: error while marshaling: ${errorText(error)}`, { cause: error });
  }
}

function decodeReply<O extends DescMessage>(schema: O, bytes: Uint8Array): MessageShape<O> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    const text = `grpc: failed to unmarshal the received message: ${errorText(error)}`;
    throw new SwarmError(Code.INTERNAL, text, { cause: error });
  }
}

function cardinality(text: string): SwarmError {
  return new SwarmError(Code.INTERNAL, `cardinality violation: ${text}`);
}
