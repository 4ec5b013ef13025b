import type { Service } from '../../../api/index.js';

/** How many tasks of a service there should be, run, and have completed. */
export interface Counts {
  readonly desiredTasks: bigint;
  readonly runningTasks: bigint;
  readonly completedTasks: bigint;
}

/** Counts of a service that nothing is known of. */
export const NO_COUNTS: Counts = { desiredTasks: 0n, runningTasks: 0n, completedTasks: 0n };

/** The mode of a service as flags spell it. */
export function modeName(service: Service): string {
  switch (service.spec?.mode.case) {
    case 'replicated':
      return 'replicated';
    case 'global':
      return 'global';
    case 'replicatedJob':
      return 'replicated-job';
    case 'globalJob':
      return 'global-job';
    default:
      return '';
  }
}

/** `2/3`: tasks that run, of those that should; for a job also how many have completed. */
export function replicasText(service: Service, counts: Counts): string {
  const running = `${counts.runningTasks}/${counts.desiredTasks}`;
  const mode = service.spec?.mode;
  switch (mode?.case) {
    case 'replicatedJob':
      return `${running} (${counts.completedTasks}/${mode.value.totalCompletions} completed)`;
    case 'globalJob':
      return `${running} (${counts.completedTasks} completed)`;
    default:
      return running;
  }
}
