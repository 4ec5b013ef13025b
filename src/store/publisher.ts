import { canceled, overflow, WakeUp } from '../base/index.js';
import type { ObjectEvent, StoreEvent, Subscription, WatchOptions } from './store.js';
import { TABLE_NAMES, type TableName } from './tables.js';

/** Events that may wait at one subscriber unless it says otherwise: beyond any burst that a healthy one sees. */
const QUEUE_MAX = 1_000_000;

/** Tells subscribers of changes. Subscribers are grouped by table, so an event meets only those it may concern. */
export class Publisher {
  readonly #byTable: ReadonlyMap<TableName, Set<Subscriber>> = new Map(
    TABLE_NAMES.map((table) => [table, new Set<Subscriber>()]),
  );
  readonly #ofCommits = new Set<Subscriber>();

  subscribe(options: WatchOptions): Subscription {
    const groups = (options.tables ?? TABLE_NAMES).map((table) => this.#byTable.get(table) as Set<Subscriber>);
    if (options.commits !== false) groups.push(this.#ofCommits);
    const subscriber = new Subscriber(options.filter, options.queueMax ?? QUEUE_MAX, () => {
      for (const group of groups) group.delete(subscriber);
    });
    for (const group of groups) group.add(subscriber);
    return subscriber;
  }

  /** Publishes the changes of one transaction, in order, and then its commit. */
  publish(events: readonly ObjectEvent[], version: bigint): void {
    if (events.length === 0) return;
    for (const event of events) {
      for (const subscriber of this.#byTable.get(event.table) as Set<Subscriber>) subscriber.offer(event);
    }
    const commit: StoreEvent = { kind: 'commit', version };
    for (const subscriber of this.#ofCommits) subscriber.push(commit);
  }
}

class Subscriber implements Subscription {
  #events: StoreEvent[] = [];
  #state: 'open' | 'cut-off' | 'disposed' = 'open';
  readonly #wakeUp = new WakeUp();
  readonly #filter: ((event: ObjectEvent) => boolean) | undefined;
  readonly #queueMax: number;
  readonly #leave: () => void;

  constructor(filter: ((event: ObjectEvent) => boolean) | undefined, queueMax: number, leave: () => void) {
    this.#filter = filter;
    this.#queueMax = queueMax;
    this.#leave = leave;
  }

  offer(event: ObjectEvent): void {
    if (this.#filter === undefined || this.#filter(event)) this.push(event);
  }

  push(event: StoreEvent): void {
    if (this.#events.length >= this.#queueMax) {
      this.#end('cut-off');
      return;
    }
    this.#events.push(event);
    this.#wakeUp.notify();
  }

  async next(signal: AbortSignal): Promise<readonly StoreEvent[]> {
    signal.throwIfAborted();
    while (this.#events.length === 0) {
      if (this.#state === 'cut-off') throw overflow('the subscriber of store events');
      if (this.#state === 'disposed') throw canceled('the subscription to store events');
      await this.#wakeUp.wait(signal);
    }
    return this.take();
  }

  take(): readonly StoreEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  [Symbol.dispose](): void {
    this.#end('disposed');
  }

  /** What waits is dropped: after a gap the rest is worth nothing. */
  #end(state: 'cut-off' | 'disposed'): void {
    if (this.#state !== 'open') return;
    this.#state = state;
    this.#events = [];
    this.#leave();
    this.#wakeUp.notify();
  }
}
