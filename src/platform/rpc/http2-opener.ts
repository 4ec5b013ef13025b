import type { CallHead, CallOpener, OutgoingCall } from '../../api/index.js';
import { Code, SwarmError, orAborted, type Clock } from '../../base/index.js';
import type { Target } from './connect.js';
import { Connection } from './connection.js';
import { KEEPALIVE_PERIOD_MS } from './keepalive.js';

/** One HTTP/2 connection to a peer, made when first needed and made anew when lost. */
export class Http2Opener implements CallOpener {
  readonly #target: Target;
  readonly #clock: Clock;
  readonly #closed = new AbortController();
  #connection: Promise<Connection> | undefined;
  #keepalivePeriodMs = KEEPALIVE_PERIOD_MS;

  constructor(target: Target, deps: { readonly clock: Clock }) {
    this.#target = target;
    this.#clock = deps.clock;
  }

  get addr(): string {
    return this.#target.addr;
  }

  async open(head: CallHead, signal: AbortSignal): Promise<OutgoingCall> {
    this.#connection ??= this.#connect();
    const connection = await orAborted(this.#connection, signal);
    if (connection.isUsable) return connection.open(head);
    // It broke while this call waited for its turn.
    this.#connection = this.#connect();
    return (await orAborted(this.#connection, signal)).open(head);
  }

  close(): void {
    this.#closed.abort(new SwarmError(Code.UNAVAILABLE, 'the channel was closed'));
    this.#connection?.then(
      (connection) => connection.destroy(),
      () => undefined,
    );
  }

  #connect(): Promise<Connection> {
    const forget = (): void => {
      if (this.#connection === attempt) this.#connection = undefined;
    };
    const attempt = this.#target.connect(this.#clock, this.#closed.signal).then((socket) => {
      const connection = new Connection(this.#target, socket, this.#clock, this.#keepalivePeriodMs, () => {
        if (connection.isTooLively && this.#connection === attempt) this.#keepalivePeriodMs *= 2;
        forget();
      });
      return connection;
    });
    attempt.catch(forget);
    return attempt;
  }
}
