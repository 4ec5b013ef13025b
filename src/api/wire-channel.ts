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

import { Code, SwarmError, canceled, errorText, orAborted, toSwarmError, type Clock } from '../base/index.js';
import { CallScope } from './call-scope.js';
import type { CallOptions, RpcChannel } from './rpc.js';
import { methodPath } from './service-table.js';
import type { CallOpener, OutgoingCall } from './wire.js';

/** Calls to one peer over a transport that carries encoded messages. */
export class WireChannel implements RpcChannel {
  readonly #opener: CallOpener;
  readonly #clock: Clock;
  readonly #closed = new AbortController();

  constructor(opener: CallOpener, deps: { readonly clock: Clock }) {
    this.#opener = opener;
    this.#clock = deps.clock;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): Promise<MessageShape<O>> {
    const bytes = encode(method.input, request);
    using scope = this.#scope(options);
    return await this.#sendOnce(method, bytes, options, scope, async (call) => {
      try {
        return await onlyReply(method.output, call);
      } finally {
        call.cancel(canceled('the call'));
      }
    });
  }

  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): AsyncIterable<MessageShape<O>> {
    const bytes = encode(method.input, request);
    using scope = this.#scope(options);
    const { call, first } = await this.#sendOnce(method, bytes, options, scope, async (call) => ({
      call,
      first: await call.replies.take(),
    }));
    try {
      for (let reply = first; reply !== undefined; reply = await call.replies.take()) {
        yield decode(method.output, reply);
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
    this.#closed.abort(new SwarmError(Code.UNAVAILABLE, `the channel to ${this.#opener.addr} was closed`));
    this.#opener.close();
  }

  #scope(options: CallOptions): CallScope {
    return new CallScope(this.#clock, options, this.#closed.signal);
  }

  /** Sends a single request; once more where the server refused it unseen, as gRPC's clients do. */
  async #sendOnce<T>(
    method: DescMethod,
    request: Uint8Array,
    options: CallOptions,
    scope: CallScope,
    receive: (call: OutgoingCall) => Promise<T>,
  ): Promise<T> {
    const call = await this.#open(method, options, scope);
    call.end(request);
    try {
      return await receive(call);
    } catch (error) {
      if (!call.isUntouched || scope.signal.aborted) throw error;
    }
    const again = await this.#open(method, options, scope);
    again.end(request);
    return receive(again);
  }

  async #open(method: DescMethod, options: CallOptions, scope: CallScope): Promise<OutgoingCall> {
    try {
      scope.signal.throwIfAborted();
      const head = { path: methodPath(method), timeoutMs: scope.restMs(), metadata: lowerCased(options.headers) };
      const call = await this.#opener.open(head, scope.signal);
      scope.bind(call);
      return call;
    } catch (error) {
      throw scope.signal.aborted ? scope.error : toSwarmError(error);
    }
  }
}

async function onlyReply<O extends DescMessage>(schema: O, call: OutgoingCall): Promise<MessageShape<O>> {
  const reply = await call.replies.take();
  if (reply === undefined) throw cardinality('received no response message from non-server-streaming RPC');
  if ((await call.replies.take()) !== undefined) {
    const error = cardinality('expected <EOF> for non server-streaming RPCs, but received another message');
    call.cancel(error);
    throw error;
  }
  return decode(schema, reply);
}

/** Sends requests until they end or the call does. Never throws: the replies tell how the call ended. */
async function sendAll<I extends DescMessage>(
  schema: I,
  requests: AsyncIterable<MessageInitShape<I>>,
  call: OutgoingCall,
  signal: AbortSignal,
): Promise<void> {
  const iterator = requests[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await orAborted(Promise.resolve(iterator.next()), signal);
      if (next.done === true) break;
      await orAborted(call.send(encode(schema, next.value)), signal);
    }
    call.end();
  } catch (error) {
    call.cancel(toSwarmError(error));
    // Not awaited: an iterator that is stuck in its next() also never returns.
    iterator.return?.().then(undefined, () => undefined);
  }
}

function encode<I extends DescMessage>(schema: I, message: MessageInitShape<I>): Uint8Array {
  try {
    return toBinary(schema, create(schema, message));
  } catch (error) {
    throw new SwarmError(Code.INTERNAL, `grpc: error while marshaling: ${errorText(error)}`, { cause: error });
  }
}

function decode<O extends DescMessage>(schema: O, bytes: Uint8Array): MessageShape<O> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    const text = `grpc: failed to unmarshal the received message: ${errorText(error)}`;
    throw new SwarmError(Code.INTERNAL, text, { cause: error });
  }
}

function lowerCased(headers: ReadonlyMap<string, string> | undefined): ReadonlyMap<string, string> {
  return new Map([...(headers ?? [])].map(([name, value]) => [name.toLowerCase(), value]));
}

function cardinality(text: string): SwarmError {
  return new SwarmError(Code.INTERNAL, `cardinality violation: ${text}`);
}
