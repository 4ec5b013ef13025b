import type { Clock, Logger, Random } from '../../base/index.js';
import type { Store } from '../../store/index.js';

/** What every part of the orchestrator works with. */
export interface OrchestratorDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}
