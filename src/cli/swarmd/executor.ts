import type { Executor } from '../../agent/index.js';
import type { GenericResource } from '../../api/index.js';
import type { Clock, Logger, Random } from '../../base/index.js';
import { ProcessExecutor } from '../../platform/index.js';

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

/** An executor that can also clear away everything it ever started on this node. */
export interface OwnedExecutor extends Executor {
  removeAll(signal: AbortSignal): Promise<void>;
}

/** The executor of a daemon. */
export function createExecutor(
  choice: ExecutorChoice,
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
): OwnedExecutor {
  const { kind, stateDir, engineAddr: _engineAddr, ...options } = choice;
  return new ProcessExecutor({ ...options, stateDir: `${stateDir}/${kind}` }, deps);
}
