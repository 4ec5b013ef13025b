import {
  type TaskState,
  DirtyCheck,
  runtimeName,
  taskName,
  type ListTasksRequest,
  type Service,
  type Task,
} from '../../api/index.js';
import { by, type By } from '../../store/index.js';
import { commit, type ControlContext, type Handlers } from './deps.js';
import { invalidArgument, notFound } from './errors.js';
import { choice, commonChoices, firstChoice, hasLabels, oneOf, passing, startsWithAny, type Check } from './filters.js';

/** Handlers for tasks. */
export function taskHandlers(control: ControlContext): Handlers<'getTask' | 'listTasks' | 'removeTask'> {
  return {
    getTask: async ({ taskId }) => {
      if (taskId === '') throw invalidArgument();
      const task = control.store.view((tx) => tx.get('task', taskId));
      if (task === undefined) throw notFound(`task ${taskId} not found`);
      return { task };
    },
    listTasks: async ({ filters }, { signal }) => {
      const candidates = control.store.view((tx) => tx.find('task', taskFinder(filters)));
      return { tasks: await passing(control, signal, candidates, taskChecks(control, filters)) };
    },
    removeTask: async ({ taskId }, call) => {
      if (taskId === '') throw invalidArgument();
      await commit(control, call, (tx) => {
        if (tx.get('task', taskId) === undefined) throw notFound(`task ${taskId} not found`);
        tx.remove('task', taskId);
      });
      return {};
    },
  };
}

type TaskFilters = ListTasksRequest['filters'];

/** Ordered by how much a filter narrows down; the runtime, which nearly all tasks share, comes last. */
function taskFinder(filters: TaskFilters): By {
  return firstChoice([
    ...commonChoices(filters),
    choice(filters?.serviceIds, by.service),
    choice(filters?.nodeIds, by.node),
    choice(filters?.desiredStates, by.desiredState),
    choice(filters?.runtimes, by.runtime),
  ]);
}

function taskChecks(control: ControlContext, filters: TaskFilters): readonly Check<Task>[] {
  return [
    oneOf(filters?.serviceIds, (task: Task) => task.serviceId),
    oneOf(filters?.nodeIds, (task: Task) => task.nodeId),
    oneOf(filters?.desiredStates, (task: Task): TaskState => task.desiredState),
    startsWithAny(filters?.idPrefixes, (task: Task) => task.id),
    oneOf(filters?.runtimes, taskRuntime),
    hasLabels(filters?.labels, (task: Task) => task.serviceAnnotations?.labels),
    oneOf(filters?.names, taskName),
    startsWithAny(filters?.namePrefixes, taskName),
    filters?.upToDate === true ? upToDate(control) : undefined,
  ];
}

function taskRuntime(task: Task): string | undefined {
  return task.spec?.runtime.case === undefined ? undefined : runtimeName(task.spec);
}

/** Holds for tasks that are what their service asks for now. Looks each service up once. */
function upToDate(control: ControlContext): Check<Task> {
  const services = new Map<string, Service | undefined>();
  const check = new DirtyCheck();
  return (task) =>
    control.store.view((tx) => {
      if (!services.has(task.serviceId)) services.set(task.serviceId, tx.get('service', task.serviceId));
      const service = services.get(task.serviceId);
      return service !== undefined && !check.isDirty(service, task, tx.get('node', task.nodeId));
    });
}
