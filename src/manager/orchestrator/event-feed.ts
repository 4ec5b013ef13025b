import { WakeUp, type Clock } from '../../base/index.js';
import type { StoreEvent, Subscription } from '../../store/index.js';

/** The events of a subscription, or the passing of time, whichever comes first. */
export class EventFeed {
  readonly #wakeUp = new WakeUp();
  #receiving: Promise<void> | undefined;
  #arrived: readonly StoreEvent[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(
    private readonly subscription: Subscription,
    private readonly clock: Clock,
  ) {}

  /** All events that have come in, or none once `wakeAtMs` has passed. Rejects as the subscription does. */
  async next(wakeAtMs: number | undefined, signal: AbortSignal): Promise<readonly StoreEvent[]> {
    if (this.#arrived.length === 0) {
      this.#receiving ??= this.#receive(signal);
      await this.#wakeUp.waitUntil(this.clock, wakeAtMs, signal);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    const events = [...this.#arrived, ...this.subscription.take()];
    this.#arrived = [];
    return events;
  }

  /** Resolves when nothing is under way any more. Abort the signal first. */
  async ended(): Promise<void> {
    await this.#receiving;
  }

  async #receive(signal: AbortSignal): Promise<void> {
    try {
      this.#arrived = await this.subscription.next(signal);
    } catch (error) {
      this.#failure = { error };
    }
    this.#receiving = undefined;
    this.#wakeUp.notify();
  }
}
