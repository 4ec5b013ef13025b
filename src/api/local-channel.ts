import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';

import { Code, LinkedController, SwarmError, canceled, toSwarmError } from '../base/index.js';
import type { BoundService, CallContext, CallOptions, PeerIdentity, RpcChannel } from './rpc.js';
import { methodPath, ServiceTable, type AnyHandler } from './service-table.js';

/**
 * Calls handlers of the same process with no encoding in between: messages are shared, so neither side
 * may change one after handing it over. Deadlines are the caller's own signal.
 */
export class LocalChannel implements RpcChannel {
  readonly #table: ServiceTable;
  readonly #closed = new AbortController();
  readonly #self: () => PeerIdentity | undefined;

  /** @param self whom calls act as: this node's own identity. */
  constructor(services: readonly BoundService[], self: () => PeerIdentity | undefined) {
    this.#self = self;
    this.#table = new ServiceTable(services);
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): Promise<MessageShape<O>> {
    using call = this.#begin(options);
    try {
      const reply = await (this.#handler(method)(create(method.input, request), call.context) as Promise<
        MessageInitShape<O>
      >);
      return create(method.output, reply);
    } catch (error) {
      throw toSwarmError(error);
    }
  }

  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): AsyncIterable<MessageShape<O>> {
    using call = this.#begin(options);
    try {
      const replies = this.#handler(method)(create(method.input, request), call.context) as AsyncIterable<
        MessageInitShape<O>
      >;
      for await (const reply of replies) yield create(method.output, reply);
    } catch (error) {
      throw toSwarmError(error);
    } finally {
      // A reader that leaves early must end the handler too.
      call.abort(canceled('the call'));
    }
  }

  async clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    options: CallOptions,
  ): Promise<MessageShape<O>> {
    using call = this.#begin(options);
    try {
      const reply = await (this.#handler(method)(messages(method.input, requests), call.context) as Promise<
        MessageInitShape<O>
      >);
      return create(method.output, reply);
    } catch (error) {
      throw toSwarmError(error);
    }
  }

  close(): void {
    this.#closed.abort(new SwarmError(Code.UNAVAILABLE, 'the local channel was closed'));
  }

  #handler(method: DescMethod): AnyHandler {
    return this.#table.find(methodPath(method)).handler;
  }

  #begin(options: CallOptions): Call {
    this.#closed.signal.throwIfAborted();
    return new Call(options, this.#closed.signal, this.#self());
  }
}

class Call implements Disposable {
  readonly context: CallContext;
  readonly #controller: LinkedController;
  readonly #closed: AbortSignal;
  readonly #onClosed = (): void => this.#controller.abort(this.#closed.reason);

  constructor(options: CallOptions, closed: AbortSignal, peer: PeerIdentity | undefined) {
    this.#controller = new LinkedController(options.signal);
    this.#closed = closed;
    closed.addEventListener('abort', this.#onClosed, { once: true });
    this.context = {
      peer,
      remoteAddr: '',
      headers: options.headers ?? new Map(),
      signal: this.#controller.signal,
    };
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    this.#closed.removeEventListener('abort', this.#onClosed);
    this.#controller[Symbol.dispose]();
  }
}

async function* messages<I extends DescMessage>(
  schema: I,
  requests: AsyncIterable<MessageInitShape<I>>,
): AsyncIterable<MessageShape<I>> {
  for await (const request of requests) yield create(schema, request);
}
