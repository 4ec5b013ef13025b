import type { GenericResource } from '../../api/index.js';
import type { Clock, Logger, Random } from '../../base/index.js';

/** Settings of a {@link ProcessExecutor}. */
export interface ProcessExecutorOptions {
  /** Directory of this executor's own, absolute: what is known of its tasks, and their output. */
  readonly stateDir: string;
  /**
   * Where secrets and configs of running tasks lie, absolute; should be in memory. Default:
   * `/run/swarmkit-ts` for root where that can be written, else below `stateDir`.
   */
  readonly runtimeDir?: string;
  /** Default: the machine's. */
  readonly hostname?: string;
  /** Labels of the engine, for placement constraints. */
  readonly labels?: Readonly<Record<string, string>>;
  /** What this node offers besides CPU and memory. */
  readonly genericResources?: readonly GenericResource[];
  /** Version shown for this node. */
  readonly engineVersion: string;
  /** Where the control groups are mounted. Default: `/sys/fs/cgroup`. */
  readonly cgroupRoot?: string;
}

/** What a {@link ProcessExecutor} needs. */
export interface ProcessExecutorDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}
