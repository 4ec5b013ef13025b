import { connect as connectSocket, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, type ConnectionOptions, type PeerCertificate } from 'node:tls';

import { certificateError, dialError, splitHostPort, type Credentials } from '../../api/index.js';
import { errorText, type Clock, type SwarmError } from '../../base/index.js';
import { certificateProblem, systemCause } from './system-error.js';

/** How long a connection may take to come about, TLS included. */
const DIAL_TIMEOUT_MS = 10_000;

/** Idle time after which the kernel asks whether the peer is still there. Source: Go's default. */
const TCP_KEEPALIVE_MS = 15_000;

/** Names that servers carry besides their node id. Source: SwarmKit. */
const MANAGER_NAME = 'swarm-manager';
const CA_NAME = 'swarm-ca';

/** A way to one peer. */
export interface Target {
  /** The peer's address, for errors. */
  readonly addr: string;
  readonly scheme: 'https' | 'http';
  /** The `:authority` of calls. */
  readonly authority: string;
  /** Opens a socket on which HTTP/2 may begin. */
  connect(clock: Clock, signal: AbortSignal): Promise<Socket>;
}

/** The way to a remote API. */
export function tlsTarget(addr: string, credentials: Credentials): Target {
  const authority = credentials.kind === 'root' ? CA_NAME : MANAGER_NAME;
  return {
    addr,
    scheme: 'https',
    authority: credentials.kind === 'unverified' ? addr : authority,
    connect: async (clock, signal) => {
      const { host, port } = splitHostPort(addr);
      const socket = connectTls({
        host: host === '' ? 'localhost' : host,
        port,
        ALPNProtocols: ['h2'],
        minVersion: 'TLSv1.2',
        ...tlsOptions(credentials),
      });
      socket.setNoDelay(true);
      socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
      let isConnected = false;
      socket.once('connect', () => {
        isConnected = true;
      });
      await ready(socket, 'secureConnect', clock, signal, (cause) => {
        const refusal: unknown = socket.authorizationError;
        if (refusal) return certificateError(addr, certificateProblem(refusal));
        return isConnected
          ? dialError(`authentication handshake with ${addr} failed: ${cause}`)
          : dialError(`Error while dialing dial tcp ${addr}: ${cause}`);
      });
      if (socket.alpnProtocol === 'h2') return socket;
      socket.destroy();
      throw dialError(`${addr} does not speak HTTP/2`);
    },
  };
}

/** The way to a local control socket. */
export function unixTarget(path: string): Target {
  return {
    addr: path,
    scheme: 'http',
    authority: 'localhost',
    connect: async (clock, signal) => {
      const socket = connectSocket({ path });
      await ready(socket, 'connect', clock, signal, (cause) =>
        dialError(`Error while dialing dial unix ${path}: ${cause}`),
      );
      return socket;
    },
  };
}

function tlsOptions(credentials: Credentials): ConnectionOptions {
  switch (credentials.kind) {
    case 'unverified':
      return { rejectUnauthorized: false };
    case 'root':
      return { ca: credentials.rootPem, servername: CA_NAME };
    case 'mutual': {
      const identity = credentials.identity.current();
      return {
        cert: identity.certificatePem,
        key: identity.privateKeyPem,
        ca: identity.rootPem,
        servername: MANAGER_NAME,
        checkServerIdentity: (name, certificate) =>
          checkServerIdentity(name, certificate) ?? checkCluster(identity.peer.clusterId, certificate),
      };
    }
  }
}

function checkCluster(clusterId: string, certificate: PeerCertificate): Error | undefined {
  const organization = [certificate.subject.O].flat()[0];
  if (organization === clusterId) return undefined;
  return new Error(`the server belongs to cluster ${JSON.stringify(organization ?? '')}, not to ${clusterId}`);
}

function ready(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  clock: Clock,
  signal: AbortSignal,
  toError: (cause: string) => SwarmError,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (cause: string): void => reject(toError(cause));
  const onError = (error: Error): void => fail(systemCause(error));
  const onClose = (): void => fail('EOF');
  const onAbort = (): void => fail(errorText(signal.reason));
  const timer = clock.setTimer(DIAL_TIMEOUT_MS, () => fail('i/o timeout'));
  socket.once(event, () => resolve());
  socket.on('error', onError);
  socket.once('close', onClose);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  return promise
    .catch((error: unknown) => {
      socket.destroy();
      throw error;
    })
    .finally(() => {
      timer.cancel();
      socket.off('close', onClose);
      signal.removeEventListener('abort', onAbort);
    });
}
