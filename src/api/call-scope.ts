import type { CallOptions } from './rpc.js';
import { Code, LinkedController, SwarmError, isSwarmError, type Clock, type Timer } from '../base/index.js';
import type { OutgoingCall } from './wire.js';

/** Bounds a call by the caller's signal, its deadline and the life of its channel; dispose of it at the end. */
export class CallScope implements Disposable {
  readonly #controller: LinkedController;
  readonly #clock: Clock;
  readonly #channel: AbortSignal;
  readonly #deadlineMs: number | undefined;
  readonly #timer: Timer | undefined;
  readonly #onChannelClosed = (): void => this.abort(this.#channel.reason);
  readonly #onAbort = (): void => this.#call?.cancel(this.error);
  #call: OutgoingCall | undefined;

  constructor(clock: Clock, options: CallOptions, channel: AbortSignal) {
    this.#clock = clock;
    this.#channel = channel;
    this.#controller = new LinkedController(options.signal);
    const { timeoutMs } = options;
    if (timeoutMs !== undefined) {
      this.#deadlineMs = clock.monotonicMs() + timeoutMs;
      this.#timer = clock.setTimer(timeoutMs, () =>
        this.abort(new SwarmError(Code.DEADLINE_EXCEEDED, 'context deadline exceeded')),
      );
    }
    channel.addEventListener('abort', this.#onChannelClosed, { once: true });
    if (channel.aborted) this.#onChannelClosed();
    this.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What the caller of an aborted call is told: his own reason where it is an error of ours. */
  get error(): SwarmError {
    const reason: unknown = this.signal.reason;
    return isSwarmError(reason) ? reason : new SwarmError(Code.CANCELED, 'context canceled', { cause: reason });
  }

  /** Time left until the deadline, for the server. */
  restMs(): number | undefined {
    return this.#deadlineMs === undefined ? undefined : Math.max(0, this.#deadlineMs - this.#clock.monotonicMs());
  }

  /** The call to cancel when the scope ends early. */
  bind(call: OutgoingCall): void {
    this.#call = call;
    if (this.signal.aborted) this.#onAbort();
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
    this.#channel.removeEventListener('abort', this.#onChannelClosed);
    this.signal.removeEventListener('abort', this.#onAbort);
    this.#controller[Symbol.dispose]();
  }
}
