import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { Socket } from 'node:net';

import { connectionLost, type CallHead } from '../../api/index.js';
import { errorText, type Clock, type SwarmError } from '../../base/index.js';
import { ClientCall } from './client-call.js';
import type { Target } from './connect.js';
import { Keepalive } from './keepalive.js';
import { requestHeaders } from './metadata.js';
import { CONNECTION_WINDOW_BYTES, SESSION_MEMORY_MB_MAX, STREAM_WINDOW_BYTES } from './settings.js';
import { systemCause } from './system-error.js';

/** One HTTP/2 connection of a client, from its handshake to its end. */
export class Connection {
  /** Whether the server asked us to ping less. */
  isTooLively = false;
  readonly #target: Target;
  readonly #session: ClientHttp2Session;
  readonly #keepalive: Keepalive;
  #lost: SwarmError | undefined;

  /** @param onUnusable called when no further call may be opened; those that run may go on. */
  constructor(target: Target, socket: Socket, clock: Clock, keepalivePeriodMs: number, onUnusable: () => void) {
    this.#target = target;
    const session = connect(`${target.scheme}://${target.authority}`, {
      createConnection: () => socket,
      maxSessionMemory: SESSION_MEMORY_MB_MAX,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES },
    });
    this.#session = session;
    this.#keepalive = new Keepalive(clock, session, socket, keepalivePeriodMs, () =>
      this.#lose('keepalive ping failed to receive ACK within timeout'),
    );
    session.on('connect', () => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    session.on('goaway', (code) => {
      this.isTooLively ||= code === constants.NGHTTP2_ENHANCE_YOUR_CALM;
      onUnusable();
    });
    session.on('error', (error) => {
      this.#lost ??= this.#lossError(systemCause(error));
    });
    session.on('close', () => {
      this.#lost ??= this.#lossError('EOF');
      this.#keepalive.stop();
      onUnusable();
    });
  }

  /** Whether calls may be opened on it. */
  get isUsable(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  /** Opens a call; throws Unavailable, with nothing sent, when the connection can carry no more. */
  open(head: CallHead): ClientCall {
    const { authority, scheme } = this.#target;
    const headers = requestHeaders(head, authority, scheme);
    const stream = this.#request(headers);
    this.#keepalive.callOpened();
    stream.on('close', () => this.#keepalive.callClosed());
    return new ClientCall(stream, () => this.#loss());
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#session.destroy();
  }

  #request(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    try {
      return this.#session.request(headers, { endStream: false });
    } catch (error) {
      // The connection is at its end, by GOAWAY or because all stream numbers were used.
      this.#session.close();
      throw this.#lost ?? this.#lossError(errorText(error));
    }
  }

  #lose(cause: string): void {
    this.#lost ??= this.#lossError(cause);
    this.#session.destroy();
  }

  /** Why streams were closed, when it was not the server that closed them one by one. */
  #loss(): SwarmError | undefined {
    if (!this.#session.destroyed) return undefined;
    return this.#lost ?? this.#lossError('EOF');
  }

  #lossError(cause: string): SwarmError {
    return connectionLost(this.#target.addr, cause);
  }
}
