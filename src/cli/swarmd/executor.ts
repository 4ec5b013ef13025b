import type { Executor } from '../../agent/index.js';
import type { GenericResource } from '../../api/index.js';
import type { Clock, Logger, Random } from '../../base/index.js';
import { SimExecutor } from '../../sim/index.js';

/** What decides how this node runs tasks. */
export interface ExecutorChoice {
  readonly kind: 'process' | 'docker' | 'simulated';
  readonly stateDir: string;
  readonly engineAddr: string;
  readonly engineVersion: string;
  readonly hostname?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly genericResources: readonly GenericResource[];
}

/** The executor of a daemon. */
export function createExecutor(
  choice: ExecutorChoice,
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
): Executor {
  return new SimExecutor({ hostname: choice.hostname ?? 'sim' }, deps);
}
