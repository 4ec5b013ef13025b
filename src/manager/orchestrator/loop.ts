import { canceled, LinkedController, type Clock, Pace } from '../../base/index.js';
import type { ObjectEvent, ReadTransaction, Store, TableName } from '../../store/index.js';
import { EventFeed } from './event-feed.js';

/** One part of the orchestrator: what it notes, and what it does about it. */
export interface Part {
  /** Tables whose changes concern it. */
  readonly tables: readonly TableName[];
  /** Which changes of them: evaluated where they are published, so that the others cost no queueing. */
  readonly filter?: (event: ObjectEvent) => boolean;
  /** Takes in the state from which the events go on. Only look things up here; work is for {@link act}. */
  load(tx: ReadTransaction): void;
  /** Notes where to look. Must cost next to nothing: it is called for every change. */
  observe(event: ObjectEvent): void;
  /**
   * Looks there and commits what follows from it; resolves when that is committed, with the time at
   * which to look again although nothing changes.
   */
  act(pace: Pace): Promise<number | undefined>;
}

/**
 * Runs a part until the signal aborts. While it acts, events gather; then they are all noted and acted
 * on together. So little work is done at once, and much work is done in few transactions.
 */
export async function runLoop(
  part: Part,
  deps: { readonly store: Store; readonly clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  const [, subscription] = deps.store.viewAndWatch((tx) => part.load(tx), {
    tables: part.tables,
    commits: false,
    ...(part.filter === undefined ? {} : { filter: part.filter }),
  });
  const feed = new EventFeed(subscription, deps.clock);
  using children = new LinkedController(signal);
  try {
    for (;;) {
      signal.throwIfAborted();
      const wakeAtMs = await part.act(new Pace(deps.clock, children.signal));
      for (const event of await feed.next(wakeAtMs, children.signal)) if (event.kind !== 'commit') part.observe(event);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    children.abort(canceled('the orchestrator'));
    subscription[Symbol.dispose]();
    await feed.ended();
  }
}
