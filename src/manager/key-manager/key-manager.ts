import {
  Code,
  SwarmError,
  errorText,
  orAborted,
  sleep,
  type Clock,
  type Component,
  type Logger,
  type Random,
} from '../../base/index.js';
import { by, type Store } from '../../store/index.js';
import { completeKeys, rotateKeys, type KeyRing } from './rotate-keys.js';

/** Time between two rotations, in ms. Source: SwarmKit. */
const ROTATION_INTERVAL_MS = 12 * 60 * 60 * 1000;

/** Wait before a write that failed is tried again, in ms. */
const RETRY_MS = 10_000;

/** Name of the only cluster object. Source: SwarmKit. */
const CLUSTER_NAME = 'default';

/** What may be set on a key manager. */
export interface KeyManagerOptions {
  /** Time between two rotations, in ms; counted from the start of this leader. Default 12 h, zero not allowed. */
  readonly rotationIntervalMs?: number;
}

/** What a key manager works with. */
export interface KeyManagerDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/**
 * Keeps the keys by which the engines of the cluster encrypt their network traffic: makes them for a new
 * cluster and rotates them. They reach the nodes in session messages.
 */
export class KeyManager implements Component {
  readonly #rotationIntervalMs: number;
  readonly #deps: KeyManagerDependencies;

  constructor(options: KeyManagerOptions, deps: KeyManagerDependencies) {
    this.#rotationIntervalMs = options.rotationIntervalMs ?? ROTATION_INTERVAL_MS;
    this.#deps = deps;
    if (!(this.#rotationIntervalMs > 0)) {
      throw new SwarmError(Code.INVALID_ARGUMENT, 'key manager option rotationIntervalMs must be positive');
    }
  }

  /** Completes the keys as soon as there is a cluster, then rotates them at every interval. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    try {
      await this.#untilClusterExists(signal);
      let wakeAtMs = clock.monotonicMs();
      let change = completeKeys;
      while (true) {
        await sleep(clock, Math.max(0, wakeAtMs - clock.monotonicMs()), signal);
        const done = await this.#write(change, signal);
        if (done) {
          change = rotateKeys;
          wakeAtMs += this.#rotationIntervalMs;
        } else {
          wakeAtMs = clock.monotonicMs() + RETRY_MS;
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #untilClusterExists(signal: AbortSignal): Promise<void> {
    const [clusters, subscription] = this.#deps.store.viewAndWatch((tx) => tx.find('cluster', by.name(CLUSTER_NAME)), {
      tables: ['cluster'],
      commits: false,
      filter: (event) => event.kind === 'create',
    });
    using _ = subscription;
    if (clusters.length === 0) await subscription.next(signal);
  }

  /** Whether the ring is stored as wanted. */
  async #write(change: (ring: KeyRing, random: Random) => KeyRing, signal: AbortSignal): Promise<boolean> {
    try {
      const update = this.#deps.store.update((tx) => {
        const [cluster] = tx.find('cluster', by.name(CLUSTER_NAME));
        if (cluster === undefined) return;
        const ring = change(cluster, this.#deps.random);
        if (ring !== cluster) tx.update('cluster', { ...cluster, ...ring });
      });
      await orAborted(update, signal);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      this.#deps.log.warn({ error: errorText(error) }, 'network keys could not be written; tried again');
      return false;
    }
  }
}
