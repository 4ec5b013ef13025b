import {
  AsyncQueue,
  canceled,
  LinkedController,
  overflow,
  WakeUp,
  type Clock,
  type Component,
  type Logger,
} from '../../base/index.js';
import type { Store } from '../../store/index.js';
import type { LocalSwarm } from '../cluster/index.js';
import { clusterEvent, EVENT_TABLES, type EngineEvent } from './cluster-event.js';

/** Events kept for `since`. Source: Docker keeps 256. */
const HISTORY_MAX = 256;

/** Events that may wait at a slow client before it is cut off. */
const QUEUE_MAX = 10_000;

/** A client's view of the event stream. */
export interface EventSubscription extends Disposable {
  iterate(signal: AbortSignal): AsyncGenerator<EngineEvent, void, undefined>;
}

/** Turns changes of the local manager's store into engine events, for as long as there is such a store. */
export class EventLog implements Component {
  readonly #node: LocalSwarm;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #history: EngineEvent[] = [];
  readonly #queues = new Set<AsyncQueue<EngineEvent>>();

  constructor(deps: { readonly node: LocalSwarm; readonly clock: Clock; readonly log: Logger }) {
    this.#node = deps.node;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  history(): readonly EngineEvent[] {
    return [...this.#history];
  }

  subscribe(): EventSubscription {
    const queue = new AsyncQueue<EngineEvent>(QUEUE_MAX);
    this.#queues.add(queue);
    return {
      iterate: (signal) => queue.iterate(signal),
      [Symbol.dispose]: () => {
        this.#queues.delete(queue);
        queue.close();
      },
    };
  }

  async run(signal: AbortSignal): Promise<void> {
    const changed = new WakeUp();
    using _changes = this.#node.subscribe(() => changed.notify());
    while (!signal.aborted) {
      const store = this.#node.store();
      try {
        if (store === undefined) await changed.wait(signal);
        else await this.#follow(store, signal);
      } catch (error) {
        if (!signal.aborted) this.#log.warn({ err: error }, 'events were lost: the store cut this reader off');
      }
    }
  }

  /** Passes on the events of one store for as long as it is the node's. */
  async #follow(store: Store, signal: AbortSignal): Promise<void> {
    using current = new LinkedController(signal);
    using _changes = this.#node.subscribe(() => {
      if (this.#node.store() !== store) current.abort(canceled('the store'));
    });
    using subscription = store.watch({ tables: EVENT_TABLES, commits: false });
    try {
      for (;;) {
        for (const event of await subscription.next(current.signal)) {
          const made = event.kind === 'commit' ? undefined : clusterEvent(event, this.#clock.nowMs());
          if (made !== undefined) this.#publish(made);
        }
      }
    } catch (error) {
      if (!current.signal.aborted) throw error;
    }
  }

  #publish(event: EngineEvent): void {
    this.#history.push(event);
    if (this.#history.length > HISTORY_MAX) this.#history.shift();
    for (const queue of this.#queues) {
      if (!queue.push(event)) {
        queue.close(overflow('an event subscriber'));
        this.#queues.delete(queue);
      }
    }
  }
}
