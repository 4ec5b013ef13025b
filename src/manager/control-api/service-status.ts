import { TaskState, taskState, type Service, type Task } from '../../api/index.js';
import { by } from '../../store/index.js';
import type { ControlContext, Handlers } from './deps.js';
import { Slices } from './slices.js';

/** How far a service is. */
interface ServiceStatus {
  readonly serviceId: string;
  desiredTasks: bigint;
  runningTasks: bigint;
  completedTasks: bigint;
}

/** Handler for the counts that a list of services shows. */
export function serviceStatusHandlers(control: ControlContext): Handlers<'listServiceStatuses'> {
  return {
    listServiceStatuses: async ({ services }, { signal }) => {
      const statuses: ServiceStatus[] = [];
      const slices = new Slices(control.clock, control.sliceMs);
      for (const serviceId of services) {
        const { service, tasks } = control.store.view((tx) => ({
          service: tx.get('service', serviceId),
          tasks: tx.find('task', by.service(serviceId)),
        }));
        statuses.push(serviceStatus(serviceId, service, tasks));
        if (slices.isOver(tasks.length + 1)) await slices.next(signal);
      }
      return { statuses };
    },
  };
}

/**
 * Counts what is desired, runs and has completed. A service that was removed while its tasks still stop
 * desires nothing; of a job, only the present iteration counts.
 */
function serviceStatus(serviceId: string, service: Service | undefined, tasks: readonly Task[]): ServiceStatus {
  const status: ServiceStatus = {
    serviceId,
    desiredTasks: declaredTasks(service),
    runningTasks: 0n,
    completedTasks: 0n,
  };
  const mode = service?.spec?.mode.case;
  const onEveryNode = mode === 'global' || mode === 'globalJob';
  const iteration = service?.jobStatus === undefined ? undefined : (service.jobStatus.jobIteration?.index ?? 0n);
  for (const task of tasks) {
    if (iteration !== undefined && task.jobIteration?.index !== iteration) continue;
    const state = taskState(task);
    if (iteration !== undefined && state === TaskState.COMPLETE) status.completedTasks++;
    if (state === TaskState.RUNNING) status.runningTasks++;
    if (onEveryNode && isDesired(task, state)) status.desiredTasks++;
  }
  return status;
}

function declaredTasks(service: Service | undefined): bigint {
  const mode = service?.spec?.mode;
  if (mode?.case === 'replicated') return mode.value.replicas;
  return mode?.case === 'replicatedJob' ? mode.value.maxConcurrent : 0n;
}

function isDesired(task: Task, state: TaskState): boolean {
  if (task.desiredState === TaskState.RUNNING) return true;
  return task.desiredState === TaskState.COMPLETE && state !== TaskState.COMPLETE;
}
