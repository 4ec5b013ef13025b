import { TaskState, taskState, type Service, type Task } from '../../api/index.js';
import { byStatusTimestamp, hasStopped } from './task.js';

/** Tasks that each slot keeps where the cluster does not say. Source: SwarmKit. */
export const HISTORY_LIMIT_DEFAULT = 5;

/** What to do with the history of one slot. */
export interface ReapPlan {
  readonly remove: readonly Task[];
  /** More than one task of the slot still runs: look again when one of them has stopped. */
  readonly lookAgain: boolean;
}

/**
 * How many tasks a slot of the service keeps, the present one included; undefined = all. With a limit
 * on restart attempts one more than that many, which is what restart history is rebuilt from.
 */
export function historyLimit(service: Service, clusterLimit: number): number | undefined {
  const attempts = service.spec?.task?.restart?.maxAttempts ?? 0n;
  const limit = attempts > 0n ? Number(attempts) + 1 : clusterLimit;
  return limit < 0 ? undefined : limit;
}

/** Chooses the tasks of a slot that are over the limit: ended ones, oldest first. */
export function planReap(tasks: readonly Task[], limit: number | undefined): ReapPlan {
  if (limit === undefined || tasks.length <= limit) return { remove: [], lookAgain: false };
  const over = tasks.length - limit;
  const ended = tasks.filter((task) => hasStopped(task) || willNeverRun(task));
  return {
    remove: ended.sort(byStatusTimestamp).slice(0, over),
    lookAgain: tasks.length - ended.length > 1,
  };
}

/** Whether a task is to be deleted whatever its slot's history: nobody runs it, and nobody asks for it. */
export function isDisposable(task: Task): boolean {
  const state = taskState(task);
  if (task.serviceId === '' && state >= TaskState.ORPHANED) return true;
  return task.desiredState === TaskState.REMOVE && (state < TaskState.ASSIGNED || state >= TaskState.COMPLETE);
}

// Stopped before an agent ever saw it.
function willNeverRun(task: Task): boolean {
  return taskState(task) < TaskState.ASSIGNED && task.desiredState > TaskState.RUNNING;
}
