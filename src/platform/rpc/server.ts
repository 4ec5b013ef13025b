import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';

import {
  ServiceTable,
  splitHostPort,
  type AdmittedCaller,
  type BoundService,
  type CallEnvironment,
  type Caller,
  type RpcServer,
  type ServedCall,
  type ServedMethod,
} from '../../api/index.js';
import { Code, SwarmError, codeName, type Clock, type Logger } from '../../base/index.js';
import { callerOf } from './peer.js';
import { PeerLog } from './peer-log.js';
import { beginServerCall, refuseStream } from './server-call.js';
import { CONNECTION_WINDOW_BYTES } from './settings.js';

/** How long calls and connections may take to end by themselves when the server ends them. */
const CLOSE_GRACE_MS = 1_000;

/** Idle time after which the kernel asks whether the peer is still there. Source: Go's default. */
const TCP_KEEPALIVE_MS = 15_000;

/** Judges a caller for a method, or refuses him. */
export type Gate = (
  method: ServedMethod['method'],
  caller: Caller,
  metadata: ReadonlyMap<string, string>,
) => AdmittedCaller | SwarmError;

/** What a server needs. */
export interface ServerDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

/** Serves gRPC on the connections of a Node server, secure or not. */
export class Http2RpcServer implements RpcServer {
  readonly addr: string;
  readonly #server: Http2Server;
  readonly #table: ServiceTable;
  readonly #gate: Gate;
  readonly #deps: ServerDeps;
  readonly #complaints: PeerLog;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Map<ServerHttp2Session, Set<ServedCall>>();
  readonly #running = new Set<Promise<void>>();
  #closed: Promise<void> | undefined;

  constructor(addr: string, server: Http2Server, services: readonly BoundService[], gate: Gate, deps: ServerDeps) {
    this.addr = addr;
    this.#server = server;
    this.#table = new ServiceTable(services);
    this.#gate = gate;
    this.#deps = deps;
    this.#complaints = new PeerLog(deps.log);
    server.on('connection', (socket: Socket) => this.#onSocket(socket));
    server.on('session', (session) => this.#onSession(session));
    server.on('sessionError', (error) => deps.log.debug({ error: error.message }, 'a connection failed'));
    server.on('tlsClientError', (error: Error) =>
      deps.log.debug({ error: error.message }, 'a caller did not get through the TLS handshake'),
    );
    server.on('error', (error) => deps.log.error({ error: error.message }, 'the listener failed'));
  }

  closeConnections(): void {
    this.#end([...this.#sessions.keys()], [...this.#sockets]);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    const timer = this.#end([...this.#sessions.keys()], [...this.#sockets]);
    await stopped;
    const handlers = Promise.all(this.#running).then(() => undefined);
    // A handler that ignores its signal is left behind once the grace has passed.
    await Promise.race([handlers, timer.done]);
    timer.cancel();
  }

  #end(sessions: readonly ServerHttp2Session[], sockets: readonly Socket[]): Grace {
    const grace = new Grace(this.#deps.clock, () => {
      for (const socket of sockets) socket.destroy();
    });
    for (const session of sessions) {
      // GOAWAY first, so that callers know which calls were never begun.
      if (!session.closed && !session.destroyed) session.close();
      const calls = this.#sessions.get(session) ?? [];
      for (const call of calls) call.abort(closingError());
    }
    return grace;
  }

  #onSocket(socket: Socket): void {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #onSession(session: ServerHttp2Session): void {
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    const caller = callerOf(session);
    if (caller.certificateProblem !== undefined) {
      const reason = caller.certificateProblem;
      this.#complaints.warn(
        hostOf(caller),
        `certificate: ${reason}`,
        { reason },
        'a client certificate was not accepted',
      );
    }
    const environment = this.#environment(caller);
    const calls = new Set<ServedCall>();
    this.#sessions.set(session, calls);
    session.on('close', () => this.#sessions.delete(session));
    session.on('error', () => undefined);
    session.on('stream', (stream, headers) => {
      if (this.#closed !== undefined) {
        refuseStream(stream, closingError());
        return;
      }
      const begun = beginServerCall(stream, headers, environment);
      if (begun === undefined) return;
      calls.add(begun.call);
      const running = begun.done.finally(() => {
        calls.delete(begun.call);
        this.#running.delete(running);
      });
      this.#running.add(running);
    });
  }

  #environment(caller: Caller): CallEnvironment {
    return {
      table: this.#table,
      clock: this.#deps.clock,
      log: this.#deps.log,
      admit: (method, metadata) => this.#gate(method, caller, metadata),
      complain: (error) => {
        const fields = { 'peer.addr': caller.remoteAddr, reason: error.message };
        this.#complaints.warn(
          caller.peer?.nodeId ?? hostOf(caller),
          codeName(error.code),
          fields,
          'a call was refused',
        );
      },
    };
  }
}

/** A time limit that acts once when it passes. */
class Grace {
  readonly done: Promise<void>;
  readonly cancel: () => void;

  constructor(clock: Clock, onEnd: () => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = clock.setTimer(CLOSE_GRACE_MS, () => {
      onEnd();
      resolve();
    });
    this.done = promise;
    this.cancel = () => timer.cancel();
  }
}

function hostOf(caller: Caller): string {
  return splitHostPort(caller.remoteAddr).host;
}

/** In grpc-go's words: followers of stock managers know them and look for another leader. */
function closingError(): SwarmError {
  return new SwarmError(Code.UNAVAILABLE, 'transport is closing');
}
