import { lstatSync, unlinkSync, chmodSync } from 'node:fs';
import { createSecureServer, createServer, type Http2Server, type SecureServerOptions } from 'node:http2';
import { connect, type AddressInfo, type ListenOptions as NetListenOptions } from 'node:net';
import { constants as cryptoConstants } from 'node:crypto';

import {
  admit,
  joinHostPort,
  splitHostPort,
  type BoundService,
  type ListenOptions,
  type PeerIdentity,
  type RpcServer,
  type TlsIdentity,
} from '../../api/index.js';
import { Code, SwarmError, errorText } from '../../base/index.js';
import { systemCause } from './system-error.js';
import { Http2RpcServer, type ServerDeps } from './server.js';
import { SESSION_MEMORY_MB_MAX, STREAM_WINDOW_BYTES } from './settings.js';

/** Only the owner may talk to the local socket: whoever reaches it acts as this node. */
const SOCKET_MODE = 0o600;

const HTTP2_OPTIONS = {
  maxSessionMemory: SESSION_MEMORY_MB_MAX,
  settings: { initialWindowSize: STREAM_WINDOW_BYTES },
};

/** Serves over TCP: asks for a client certificate without demanding one, and lets every call pass the role check. */
export async function listenTls(addr: string, options: ListenOptions, deps: ServerDeps): Promise<RpcServer> {
  const { host, port } = splitHostPort(addr);
  const { identity, authorization } = options.tls;
  const server = createSecureServer({ ...HTTP2_OPTIONS, ...serverTlsOptions(identity.current()) });
  await listening(server, host === '' ? { port } : { host, port }, `listen tcp ${addr}`);
  const subscription = identity.subscribe(() => server.setSecureContext(serverTlsOptions(identity.current())));
  server.once('close', () => subscription[Symbol.dispose]());
  const bound = server.address() as AddressInfo;
  return new Http2RpcServer(
    joinHostPort(bound.address, bound.port),
    server,
    options.services,
    (method, caller, metadata) => admit(method, caller, metadata, authorization),
    deps,
  );
}

/** Serves on a unix socket, without TLS and roles: callers act as `self`. */
export async function listenUnix(
  path: string,
  services: readonly BoundService[],
  self: () => PeerIdentity | undefined,
  deps: ServerDeps,
): Promise<RpcServer> {
  await removeStaleSocket(path);
  const server = createServer(HTTP2_OPTIONS);
  const bound = listening(server, { path }, `listen unix ${path}`);
  // The socket exists as soon as listen was called; nobody is accepted before the rights are set.
  try {
    chmodSync(path, SOCKET_MODE);
  } catch {
    // Then it does not exist, and the promise says why.
  }
  await bound;
  return new Http2RpcServer(path, server, services, () => ({ peer: self(), remoteAddr: '' }), deps);
}

function serverTlsOptions(identity: TlsIdentity): SecureServerOptions {
  return {
    cert: identity.certificatePem,
    key: identity.privateKeyPem,
    ca: identity.rootPem,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['h2'],
    // A resumed session would keep the verdict on a certificate that the present roots no longer cover.
    secureOptions: cryptoConstants.SSL_OP_NO_TICKET,
  };
}

function listening(server: Http2Server, where: NetListenOptions, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      reject(new SwarmError(Code.FAILED_PRECONDITION, `${what}: bind: ${systemCause(error)}`, { cause: error }));
    };
    server.once('error', onError);
    server.listen(where, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

/** Removes the socket that a dead process left; FailedPrecondition where something else is in the way. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new SwarmError(Code.FAILED_PRECONDITION, `listen unix ${path}: the file exists and is not a socket`);
  }
  if (await isAnswered(path)) {
    throw new SwarmError(Code.FAILED_PRECONDITION, `listen unix ${path}: bind: address already in use`);
  }
  try {
    unlinkSync(path);
  } catch (error) {
    const text = `listen unix ${path}: the stale socket cannot be removed: ${errorText(error)}`;
    throw new SwarmError(Code.FAILED_PRECONDITION, text, { cause: error });
  }
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // Anything but a refusal (a full backlog, missing rights) means that somebody may be there.
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}
