import { LinkedController, WakeUp, type SwarmError } from '../../base/index.js';
import type { SubscriptionMessage } from '../../api/index.js';
import type { LogSubscription } from './subscription.js';

/**
 * A connected node and the subscriptions that it knows. Changes only mark where to look; what is sent is
 * the difference, so a node that reads slowly costs no memory.
 */
export class NodeListener implements Disposable {
  readonly #wakeUp = new WakeUp();
  readonly #controller: LinkedController;
  readonly #known = new Map<string, LogSubscription>();

  constructor(
    readonly nodeId: string,
    callSignal: AbortSignal,
  ) {
    this.#controller = new LinkedController(callSignal);
  }

  /** Makes the listener look again. */
  notify(): void {
    this.#wakeUp.notify();
  }

  end(reason: SwarmError): void {
    this.#controller.abort(reason);
  }

  /** Messages about subscriptions as they come and go. `active` holds those of all nodes that go on. */
  async *messages(active: ReadonlyMap<string, LogSubscription>): AsyncGenerator<SubscriptionMessage, void, undefined> {
    const { signal } = this.#controller;
    while (true) {
      for (const subscription of this.#known.values()) {
        if (active.has(subscription.id)) continue;
        this.#known.delete(subscription.id);
        yield subscription.message(true);
        signal.throwIfAborted();
      }
      for (const subscription of active.values()) {
        if (this.#known.has(subscription.id)) continue;
        if (!subscription.awaits(this.nodeId)) continue;
        this.#known.set(subscription.id, subscription);
        yield subscription.message(false);
        signal.throwIfAborted();
      }
      await this.#wakeUp.wait(signal);
    }
  }

  [Symbol.dispose](): void {
    this.#controller[Symbol.dispose]();
  }
}
