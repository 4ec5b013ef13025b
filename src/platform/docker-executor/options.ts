import type { GenericResource } from '../../api/index.js';
import type { Clock, Logger, Random } from '../../base/index.js';

/** Settings of a {@link DockerExecutor}. */
export interface DockerExecutorOptions {
  /** The engine: `unix:///path` or `tcp://host:port`. */
  readonly engineAddr: string;
  /** Default: the engine's. */
  readonly hostname?: string;
  /** Labels for placement constraints, besides the engine's own. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Default: what the engine is configured with. */
  readonly genericResources?: readonly GenericResource[];
  /**
   * Where secrets and configs of running containers lie, absolute; should be in memory and readable by
   * the engine. Default: `/run/swarmkit-ts/docker`.
   */
  readonly runtimeDir?: string;
}

/** What a {@link DockerExecutor} needs. */
export interface DockerExecutorDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}
