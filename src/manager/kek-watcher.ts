import type { Cluster } from '../api/index.js';
import { Code, isSwarmError, type Component, type Logger } from '../base/index.js';
import type { Kek, KeyFiles } from '../ca/index.js';
import type { Store } from '../store/index.js';
import { MANAGER_SUBSYSTEM } from './cluster-objects.js';

/** What watching the key-encrypting key needs. */
export interface KekWatcherDeps {
  readonly store: Store;
  readonly keyFiles: Pick<KeyFiles, 'rotateKek'>;
  readonly log: Logger;
}

/** Keeps this manager's key files locked with the key that the cluster object names, or unlocked when it names none. */
export class KekWatcher implements Component {
  readonly #clusterId: string;
  readonly #deps: KekWatcherDeps;

  constructor(options: { readonly clusterId: string }, deps: KekWatcherDeps) {
    this.#clusterId = options.clusterId;
    this.#deps = deps;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) return;
        // Cut off for being slow: look at the cluster again.
        if (!isSwarmError(error, Code.RESOURCE_EXHAUSTED)) throw error;
      }
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const [first, subscription] = this.#deps.store.viewAndWatch((tx) => tx.get('cluster', this.#clusterId), {
      tables: ['cluster'],
      commits: false,
    });
    using events = subscription;
    let cluster = first;
    for (;;) {
      if (cluster !== undefined && (await this.#deps.keyFiles.rotateKek(kekOf(cluster)))) {
        this.#deps.log.info({ 'cluster.id': cluster.id }, 'the node key is encrypted anew');
      }
      for (const event of await events.next(signal)) {
        if (event.kind !== 'commit' && event.table === 'cluster') cluster = event.object;
      }
    }
  }
}

/** The key that the cluster wants its managers locked with, and the version that says so. */
function kekOf(cluster: Cluster): Kek {
  const key = cluster.unlockKeys.find(({ subsystem }) => subsystem === MANAGER_SUBSYSTEM)?.key;
  return {
    key: key === undefined || key.length === 0 ? undefined : key,
    version: cluster.meta?.version?.index ?? 0n,
  };
}
