import { Pace, type Clock, type Component, type Logger } from '../../base/index.js';
import type { Store, TableName } from '../../store/index.js';
import { AllocationWork, concernsAllocation } from './allocation-work.js';
import { NO_NETWORKS, type NetworkProvider } from './network-provider.js';

/** What the allocator works with. */
export interface AllocatorDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: none, so that whatever names a network waits. */
  readonly networks?: NetworkProvider;
}

const TABLES: readonly TableName[] = ['service', 'task', 'network'];

/**
 * Gives services their published ports and addresses, and moves tasks from NEW to PENDING once all that
 * they and their service need is allocated. What cannot be had waits, with the reason in the task's
 * status, and is tried again whenever something is freed or a network appears.
 */
export class Allocator implements Component {
  constructor(private readonly deps: AllocatorDeps) {}

  async run(signal: AbortSignal): Promise<void> {
    const allocation = new AllocationWork(this.deps, this.deps.networks ?? NO_NETWORKS);
    const [, subscription] = this.deps.store.viewAndWatch((tx) => allocation.load(tx), {
      tables: TABLES,
      commits: false,
      filter: concernsAllocation,
    });
    try {
      for (;;) {
        await allocation.act(new Pace(this.deps.clock, signal));
        for (const event of await subscription.next(signal)) {
          if (event.kind !== 'commit') allocation.observe(event);
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      subscription[Symbol.dispose]();
    }
  }
}
