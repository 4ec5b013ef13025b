import { create, fromBinary, toBinary, type DescMessage, type DescMethod, type Message } from '@bufbuild/protobuf';

import {
  Code,
  SwarmError,
  errorText,
  isSwarmError,
  toSwarmError,
  type Clock,
  type Logger,
  type Timer,
} from '../base/index.js';
import type { AdmittedCaller } from './authorization.js';
import type { CallContext } from './rpc.js';
import type { AnyHandler, ServiceTable } from './service-table.js';
import type { CallHead, IncomingCall } from './wire.js';

/** What a call needs from its server. */
export interface CallEnvironment {
  readonly table: ServiceTable;
  readonly clock: Clock;
  readonly log: Logger;
  /** Judges the caller; the only way to a handler. */
  admit(method: DescMethod, metadata: ReadonlyMap<string, string>): AdmittedCaller | SwarmError;
  /** Hears what the caller did wrong. */
  complain(error: SwarmError): void;
}

/** What a reader of requests is told after the end; one for all, as every call has an end and hardly any such reader. */
const CALL_ENDED = new SwarmError(Code.CANCELED, 'the call has ended');

/** One call that a server received: from its head over the handler to its status, on any transport. */
export class ServedCall {
  readonly #wire: IncomingCall;
  readonly #environment: CallEnvironment;
  readonly #controller = new AbortController();
  #deadline: Timer | undefined;
  #finished = false;

  constructor(wire: IncomingCall, environment: CallEnvironment) {
    this.#wire = wire;
    this.#environment = environment;
  }

  /** Whether the status was given to the transport. */
  get isFinished(): boolean {
    return this.#finished;
  }

  /** Ends the call from outside: the handler sees it on its signal. */
  abort(reason: SwarmError): void {
    if (this.#finished || this.#controller.signal.aborted) return;
    this.#controller.abort(reason);
    this.#wire.requests.fail(reason);
  }

  /** Ends the call because its caller broke the protocol. */
  reject(error: SwarmError): void {
    this.#environment.complain(error);
    this.abort(error);
  }

  /** Serves the call; resolves when the handler has ended. Never throws. */
  async run(readHead: () => CallHead): Promise<void> {
    try {
      await this.#serve(readHead());
    } catch (error) {
      this.#finish(this.#failure(error));
    } finally {
      this.#deadline?.cancel();
    }
  }

  async #serve(head: CallHead): Promise<void> {
    const environment = this.#environment;
    const { method, handler } = environment.table.find(head.path);
    const admitted = environment.admit(method, head.metadata);
    if (admitted instanceof SwarmError) throw this.#complain(admitted);
    if (head.timeoutMs !== undefined) {
      this.#deadline = environment.clock.setTimer(head.timeoutMs, () =>
        this.abort(new SwarmError(Code.DEADLINE_EXCEEDED, 'context deadline exceeded')),
      );
    }
    const context: CallContext = { ...admitted, headers: head.metadata, signal: this.#controller.signal };
    switch (method.methodKind) {
      case 'unary':
        return this.#finishWith(method, await handler(await this.#onlyRequest(method.input), context));
      case 'server_streaming':
        return this.#serveStream(method, handler, context);
      case 'client_streaming':
        return this.#finishWith(method, await handler(this.#requests(method.input), context));
      case 'bidi_streaming':
        throw new SwarmError(Code.UNIMPLEMENTED, 'bidirectional methods are not implemented');
    }
  }

  async #serveStream(method: DescMethod, handler: AnyHandler, context: CallContext): Promise<void> {
    const request = await this.#onlyRequest(method.input);
    for await (const reply of handler(request, context) as AsyncIterable<unknown>) {
      const bytes = encodeReply(method.output, reply);
      this.#controller.signal.throwIfAborted();
      await this.#wire.send(bytes);
      this.#controller.signal.throwIfAborted();
    }
    this.#controller.signal.throwIfAborted();
    this.#finish(undefined);
  }

  async #onlyRequest(schema: DescMessage): Promise<Message> {
    const bytes = await this.#wire.requests.take();
    if (bytes !== undefined) return this.#decode(schema, bytes, 'grpc: error unmarshalling request: ');
    const text = 'cardinality violation: received no request message from non-client-streaming RPC';
    throw this.#complain(new SwarmError(Code.INTERNAL, text));
  }

  async *#requests(schema: DescMessage): AsyncGenerator<Message, void, undefined> {
    const { requests } = this.#wire;
    for (let bytes = await requests.take(); bytes !== undefined; bytes = await requests.take()) {
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

  #complain(error: SwarmError): SwarmError {
    this.#environment.complain(error);
    return error;
  }

  /** What the caller is told; a call that was ended from outside failed with that, whatever came of it. */
  #failure(error: unknown): SwarmError {
    const { signal } = this.#controller;
    if (signal.aborted) return toSwarmError(signal.reason);
    if (!isSwarmError(error)) {
      const stack = error instanceof Error ? error.stack : undefined;
      this.#environment.log.error({ error: errorText(error), stack }, 'a handler failed unexpectedly');
    }
    return toSwarmError(error);
  }

  #finishWith(method: DescMethod, reply: unknown): void {
    const bytes = encodeReply(method.output, reply);
    this.#controller.signal.throwIfAborted();
    this.#finish(undefined, bytes);
  }

  #finish(error: SwarmError | undefined, last?: Uint8Array): void {
    this.#finished = true;
    this.#wire.requests.finish(CALL_ENDED);
    this.#wire.finish(error, last);
  }
}

function encodeReply(schema: DescMessage, reply: unknown): Uint8Array {
  try {
    return toBinary(schema, create(schema, reply as Message));
  } catch (error) {
    throw new SwarmError(Code.INTERNAL, `grpc: error while marshaling: ${errorText(error)}`, { cause: error });
  }
}
