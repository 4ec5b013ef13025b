import type { ReadTransaction, Store, StoreEvent, Subscription } from '../store/index.js';

/** Sees what a manager's store commits. */
export interface StoreWatcher {
  /** A manager serves, perhaps again: the whole state. What happened since its start was not seen. */
  begin?(tx: ReadTransaction): void;
  /** One event, in order, at the moment of its commit. */
  event(event: StoreEvent): void;
}

/** Follows the stores of one manager through its lives. */
export class Observer {
  readonly #watchers: readonly StoreWatcher[];
  #store: Store | undefined;
  #subscription: Subscription | undefined;

  readonly #fail: (error: unknown) => void;

  /** @param fail told what a watcher threw. */
  constructor(watchers: readonly StoreWatcher[], fail: (error: unknown) => void) {
    this.#watchers = watchers;
    this.#fail = fail;
  }

  /** Follows this store from now on; undefined: none. */
  follow(store: Store | undefined): void {
    if (store === this.#store) return;
    this.#drain();
    this.#subscription?.[Symbol.dispose]();
    this.#subscription = undefined;
    this.#store = store;
    if (store === undefined) return;
    const subscription = store.watch();
    this.#subscription = subscription;
    store.view((tx) => {
      this.#guard((watcher) => watcher.begin?.(tx));
    });
    void this.#read(subscription);
  }

  async #read(subscription: Subscription): Promise<void> {
    const never = new AbortController().signal;
    try {
      while (this.#subscription === subscription) this.#tell(await subscription.next(never));
    } catch (error) {
      if (this.#subscription === subscription) this.#fail(error);
    }
  }

  #drain(): void {
    if (this.#subscription !== undefined) this.#tell(this.#subscription.take());
  }

  #tell(events: readonly StoreEvent[]): void {
    for (const event of events) this.#guard((watcher) => watcher.event(event));
  }

  #guard(tell: (watcher: StoreWatcher) => void): void {
    for (const watcher of this.#watchers) {
      try {
        tell(watcher);
      } catch (error) {
        this.#fail(error);
      }
    }
  }
}
