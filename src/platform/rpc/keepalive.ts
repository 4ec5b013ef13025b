import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';

import type { Clock, Timer } from '../../base/index.js';

/** Silence after which a peer that owes an answer is asked whether it is still there. */
export const KEEPALIVE_PERIOD_MS = 10_000;

/** How long it may take to answer that. */
const KEEPALIVE_TIMEOUT_MS = 5_000;

/**
 * Notices a dead peer while calls are open. It pings only when nothing was heard for a period and something
 * was sent since the peer last proved to be alive: grpc-go's servers cut off a client that pings more than
 * twice in five minutes without traffic in between. A connection that is wholly quiet is left to the
 * kernel's keepalive.
 */
export class Keepalive {
  readonly #clock: Clock;
  readonly #session: ClientHttp2Session;
  readonly #socket: Socket;
  readonly #periodMs: number;
  readonly #onDead: () => void;
  #openCalls = 0;
  #heardBytes = -1;
  /** Bytes written when the peer last answered a ping with nothing unanswered before it. */
  #provenBytes = -1;
  #timer: Timer | undefined;

  constructor(clock: Clock, session: ClientHttp2Session, socket: Socket, periodMs: number, onDead: () => void) {
    this.#clock = clock;
    this.#session = session;
    this.#socket = socket;
    this.#periodMs = periodMs;
    this.#onDead = onDead;
  }

  callOpened(): void {
    this.#openCalls++;
    if (this.#timer !== undefined) return;
    this.#heardBytes = this.#socket.bytesRead;
    this.#provenBytes = -1;
    this.#timer = this.#clock.setTimer(this.#periodMs, () => this.#look());
  }

  callClosed(): void {
    this.#openCalls--;
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#session.destroyed || this.#openCalls === 0) return;
    const { bytesRead, bytesWritten } = this.#socket;
    if (bytesRead !== this.#heardBytes) {
      this.#heardBytes = bytesRead;
      this.#provenBytes = -1;
    } else if (bytesWritten !== this.#provenBytes) {
      this.#ping();
      return;
    }
    this.#timer = this.#clock.setTimer(this.#periodMs, () => this.#look());
  }

  #ping(): void {
    this.#timer = this.#clock.setTimer(KEEPALIVE_TIMEOUT_MS, this.#onDead);
    this.#session.ping((error) => {
      this.#timer?.cancel();
      this.#timer = undefined;
      if (error !== null || this.#session.destroyed) return;
      this.#heardBytes = this.#socket.bytesRead;
      this.#provenBytes = this.#socket.bytesWritten;
      this.#timer = this.#clock.setTimer(this.#periodMs, () => this.#look());
    });
  }
}
