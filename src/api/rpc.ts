import type {
  DescMethod,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';

/** The role in a certificate, as its organizational unit spells it. */
export type PeerRole = 'swarm-manager' | 'swarm-worker';

/** Who is calling, from the verified client certificate (or, on the local socket, this node itself). */
export interface PeerIdentity {
  readonly nodeId: string;
  readonly role: PeerRole;
  readonly clusterId: string;
  /** Set when a manager forwarded the call on behalf of {@link PeerIdentity}: that manager's node id. */
  readonly forwardedBy?: string;
}

/** What a handler knows of a call besides the request. */
export interface CallContext {
  /** Undefined for callers without a certificate; only insecure methods ever see that. */
  readonly peer: PeerIdentity | undefined;
  /** `host:port` of the caller (of the original caller when forwarded); empty on the local socket. */
  readonly remoteAddr: string;
  /** Request metadata, keys in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Aborts when the caller goes away, the deadline passes or the server stops. */
  readonly signal: AbortSignal;
}

/** What a caller may set on a call. */
export interface CallOptions {
  readonly signal: AbortSignal;
  /** Deadline, also sent to the server. */
  readonly timeoutMs?: number;
  readonly headers?: ReadonlyMap<string, string>;
}

type Handler<M extends DescMethod> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, context: CallContext) => Promise<MessageInitShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, context: CallContext) => AsyncIterable<MessageInitShape<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageShape<I>>, context: CallContext) => Promise<MessageInitShape<O>>
        : never;

/** The handlers of a service; a method left out answers Unimplemented. */
export type ServiceHandlers<S extends DescService> = {
  readonly [K in keyof S['method']]?: Handler<S['method'][K]>;
};

/** A service descriptor with its handlers, ready to be put on a server. */
export interface BoundService {
  readonly service: DescService;
  readonly handlers: Readonly<Record<string, unknown>>;
}

/** Pairs a descriptor with its handlers. */
export function bindService<S extends DescService>(service: S, handlers: ServiceHandlers<S>): BoundService {
  return { service, handlers };
}

/**
 * A connection to one peer: over HTTP/2 and TLS in `platform`, in memory in `sim` and inside a process.
 * Errors are always {@link SwarmError} with the code that the peer sent; Unavailable when it was not reached.
 */
export interface RpcChannel {
  unary<I extends DescMethod['input'], O extends DescMethod['output']>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): Promise<MessageShape<O>>;
  serverStream<I extends DescMethod['input'], O extends DescMethod['output']>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): AsyncIterable<MessageShape<O>>;
  clientStream<I extends DescMethod['input'], O extends DescMethod['output']>(
    method: DescMethodClientStreaming<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    options: CallOptions,
  ): Promise<MessageShape<O>>;
  /** Ends the connection and every call on it. */
  close(): void;
}

type Call<M extends DescMethod> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options: CallOptions) => Promise<MessageShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options: CallOptions) => AsyncIterable<MessageShape<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageInitShape<I>>, options: CallOptions) => Promise<MessageShape<O>>
        : never;

/** A service as its callers see it. */
export type RpcClient<S extends DescService> = {
  readonly [K in keyof S['method']]: Call<S['method'][K]>;
};

/** A client of one service over a channel. */
export function createClient<S extends DescService>(service: S, channel: RpcChannel): RpcClient<S> {
  const client: Record<string, unknown> = {};
  for (const method of service.methods) client[method.localName] = callOf(method, channel);
  return client as RpcClient<S>;
}

function callOf(method: DescMethod, channel: RpcChannel): unknown {
  switch (method.methodKind) {
    case 'unary':
      return channel.unary.bind(channel, method as DescMethodUnary);
    case 'server_streaming':
      return channel.serverStream.bind(channel, method as DescMethodServerStreaming);
    case 'client_streaming':
      return channel.clientStream.bind(channel, method as DescMethodClientStreaming);
    case 'bidi_streaming':
      throw new Error(`${method.name}: SwarmKit has no bidirectional method`);
  }
}
