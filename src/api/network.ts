import type { AuthorizationView } from './authorization.js';
import type { BoundService, PeerIdentity, RpcChannel } from './rpc.js';

/** What a node shows and trusts in TLS. All in PEM. */
export interface TlsIdentity {
  /** Leaf certificate, followed by intermediates where a root rotation is under way. */
  readonly certificatePem: string;
  /** PKCS#8, not encrypted: it lives in memory only. */
  readonly privateKeyPem: string;
  /** Bundle of trusted roots. */
  readonly rootPem: string;
  readonly peer: PeerIdentity;
}

/** The present identity, which changes with every renewal while connections go on. */
export interface TlsIdentitySource {
  current(): TlsIdentity;
  /** Calls back after every change until disposed. */
  subscribe(listener: () => void): Disposable;
}

/** How a caller proves itself and what it demands of the server. */
export type Credentials =
  /** TLS without any verification and without a client certificate: only to fetch the root (checked by digest). */
  | { readonly kind: 'unverified' }
  /** Verifies the server against `rootPem` and the name `swarm-ca`; shows no certificate. */
  | { readonly kind: 'root'; readonly rootPem: string }
  /** Mutual TLS; the server must be `swarm-manager` of the same cluster. */
  | { readonly kind: 'mutual'; readonly identity: TlsIdentitySource };

/** A server that listens. */
export interface RpcServer {
  /** Where it really listens (`host:port` or the socket's path). */
  readonly addr: string;
  /**
   * Ends the present connections, so that every caller comes back and is judged by the present roots:
   * nothing else looks again at a certificate that was once accepted.
   */
  closeConnections(): void;
  /** Refuses new calls, ends the running ones with Unavailable, closes; bounded in time. */
  close(): Promise<void>;
}

/** What a listener needs besides its address. */
export interface ListenOptions {
  readonly services: readonly BoundService[];
  /** For the remote API: server certificate, client verification, roles. */
  readonly tls: { readonly identity: TlsIdentitySource; readonly authorization: AuthorizationView };
}

/** The only way to other machines: HTTP/2 and TLS in `platform`, in memory in `sim`. */
export interface RpcNetwork {
  /** A channel that connects when first used. `addr` is `host:port`. */
  dial(addr: string, credentials: Credentials): RpcChannel;
  /** A channel to a local control socket. */
  dialSocket(path: string): RpcChannel;
  /** Serves over TCP with mutual TLS and the role check; FailedPrecondition when the address is taken. */
  listen(addr: string, options: ListenOptions): Promise<RpcServer>;
  /** Serves on a unix socket (mode 0600) without TLS; callers act as `self`. */
  listenSocket(
    path: string,
    services: readonly BoundService[],
    self: () => PeerIdentity | undefined,
  ): Promise<RpcServer>;
}
