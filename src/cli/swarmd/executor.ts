import type { Executor } from '../../agent/index.js';
import type { GenericResource } from '../../api/index.js';
import type { Clock, Logger, Random } from '../../base/index.js';
import { DockerExecutor, ProcessExecutor } from '../../platform/index.js';

/** What decides how this node runs tasks. */
export interface ExecutorChoice {
  readonly kind: 'process' | 'docker';
  readonly stateDir: string;
  readonly engineAddr: string;
  readonly engineVersion: string;
  readonly hostname?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly genericResources: readonly GenericResource[];
}

/** An executor, and the way to clear away what it ever started for a node. */
export interface OwnedExecutor {
  readonly executor: Executor;
  readonly removeTasks: (nodeId: string, signal: AbortSignal) => Promise<void>;
}

/** The executor of a daemon. */
export function createExecutor(
  choice: ExecutorChoice,
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
): OwnedExecutor {
  const { kind, stateDir, engineAddr, engineVersion, ...common } = choice;
  if (kind === 'process') {
    const executor = new ProcessExecutor({ ...common, engineVersion, stateDir: `${stateDir}/process` }, deps);
    return { executor, removeTasks: (_nodeId, signal) => executor.removeAll(signal) };
  }
  const { genericResources, ...described } = common;
  const offered = genericResources.length === 0 ? {} : { genericResources };
  const executor = new DockerExecutor({ ...described, ...offered, engineAddr }, deps);
  return { executor, removeTasks: (nodeId, signal) => executor.removeAll(nodeId, signal) };
}
