import {
  DirtyCheck,
  isTerminal,
  nodeMatches,
  NodeSpec_Availability,
  NodeStatus_State,
  parseConstraints,
  taskState,
  TaskState,
  UpdateStatus_UpdateState,
  type Node,
  type Service,
  type Task,
} from '../../../api/index.js';
import { counted } from '../render/human.js';
import { compareTasks } from '../pages/task-order.js';

/** What is looked at to tell how far a service is. */
export interface ServiceView {
  readonly service: Service;
  /** All tasks of the service. */
  readonly tasks: readonly Task[];
  readonly nodes: readonly Node[];
}

/** How far a service is. */
export interface Progress {
  /** `settled`: as declared; `failed`: it will not get there by itself. */
  readonly state: 'working' | 'settled' | 'failed';
  /** Name of the service. */
  readonly name: string;
  /** How many run, and what the others are at. */
  readonly headline: string;
  /** Why tasks do not run, the most frequent reason first. */
  readonly reasons: readonly string[];
  /** Set when failed: why. */
  readonly failure?: string;
}

/** Reasons that are shown; the others are counted. */
const REASONS_SHOWN_MAX = 3;

/** What the user asked for: to go forward, or back. */
export type Aim = 'forward' | 'rollback';

interface Slot {
  /** Tasks of the present spec that are meant to run, the newest first. */
  readonly current: readonly Task[];
  /** The last task that ended by itself and gets no successor. */
  readonly ended: Task | undefined;
  /** The last task of the present spec that failed. */
  readonly failed: Task | undefined;
}

/** Judges how far a service is. Pure: the same view always gives the same answer. */
export function judgeProgress(view: ServiceView, aim: Aim): Progress {
  const { service, tasks } = view;
  const nodes = new Map(view.nodes.map((node) => [node.id, node]));
  const check = new DirtyCheck();
  const dirty = (task: Task): boolean => check.isDirty(service, task, nodes.get(task.nodeId));
  const slots = slotsOf(tasks, dirty);
  const desired = desiredTasks(view);
  const running = count(slots, ({ current }) => current.some(isRunning));
  const completed = count(
    slots,
    (slot) => slot.current.length === 0 && slot.ended !== undefined && isComplete(slot.ended),
  );
  const outdated = tasks.filter((task) => isWanted(task) && dirty(task)).length;
  const stopping = tasks.filter((task) => isStopping(task, nodes.get(task.nodeId))).length;
  const waiting = slots.flatMap(({ current }) => (current.some(isRunning) ? [] : current.slice(0, 1)));
  const headline = headlineOf(service, { running, desired, completed, outdated, stopping, waiting });
  const reasons = reasonsOf(slots);
  const name = service.spec?.annotations?.name ?? service.id;
  const failure = updateFailure(service, aim) ?? endFailure(slots, desired, running + completed);
  if (failure !== undefined) return { state: 'failed', name, headline, reasons, failure };
  const live = count(slots, ({ current }) => current.length > 0);
  const isThere = running + completed === desired && live <= desired && outdated === 0 && stopping === 0;
  return { state: isThere && !isUpdating(service) ? 'settled' : 'working', name, headline, reasons };
}

/** How many tasks are to run, or to have completed. */
function desiredTasks({ service, nodes }: ServiceView): number {
  const mode = service.spec?.mode;
  switch (mode?.case) {
    case 'replicated':
      return Number(mode.value.replicas);
    case 'replicatedJob':
      return Number(mode.value.totalCompletions);
    default: {
      const constraints = parseConstraints(service.spec?.task?.placement?.constraints ?? []);
      return nodes.filter(
        (node) =>
          node.status?.state === NodeStatus_State.READY &&
          node.spec?.availability === NodeSpec_Availability.ACTIVE &&
          nodeMatches(constraints, node),
      ).length;
    }
  }
}

function slotsOf(tasks: readonly Task[], dirty: (task: Task) => boolean): readonly Slot[] {
  const bySlot = Map.groupBy(tasks.toSorted(compareTasks), (task) =>
    task.slot === 0n ? task.nodeId : task.slot.toString(),
  );
  return [...bySlot.values()].map((inSlot) => {
    const clean = inSlot.filter((task) => !dirty(task));
    return {
      current: clean.filter(isWanted),
      ended: clean.find((task) => hasEndedItself(task)),
      failed: clean.find((task) => isFailed(task)),
    };
  });
}

function headlineOf(
  service: Service,
  counts: {
    readonly running: number;
    readonly desired: number;
    readonly completed: number;
    readonly outdated: number;
    readonly stopping: number;
    readonly waiting: readonly Task[];
  },
): string {
  const { running, desired, completed, outdated, stopping, waiting } = counts;
  const pending = waiting.filter((task) => taskState(task) <= TaskState.PENDING).length;
  const parts = [
    ...(completed > 0 ? [`${completed} completed`] : []),
    ...(pending > 0 ? [`${pending} pending`] : []),
    ...(waiting.length > pending ? [`${waiting.length - pending} starting`] : []),
    ...(outdated > 0 ? [`${outdated} to be replaced`] : []),
    ...(stopping > 0 ? [`${stopping} stopping`] : []),
  ];
  const phase = isUpdating(service)
    ? service.updateStatus?.state === UpdateStatus_UpdateState.ROLLBACK_STARTED
      ? ', rolling back'
      : ', updating'
    : '';
  return `${running}/${desired} running${phase}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`;
}

/** Why tasks wait, and why those before them failed. */
function reasonsOf(slots: readonly Slot[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { current, failed } of slots) {
    if (current.some(isRunning)) continue;
    const [waiting] = current;
    const error = waiting?.status?.err ?? '';
    if (waiting !== undefined && error !== '') add(counts, `pending: ${error}`);
    else if (failed !== undefined) add(counts, `failed: ${errorOf(failed)}`);
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  const shown = sorted.slice(0, REASONS_SHOWN_MAX).map(([text, tasks]) => `${counted(tasks, 'task')} ${text}`);
  const hidden = sorted.length - shown.length;
  return hidden > 0 ? [...shown, `and ${counted(hidden, 'other reason')}`] : shown;
}

/** Why an update stopped before its end. */
function updateFailure({ updateStatus }: Service, aim: Aim): string | undefined {
  switch (updateStatus?.state) {
    case UpdateStatus_UpdateState.PAUSED:
    case UpdateStatus_UpdateState.ROLLBACK_PAUSED:
      return updateStatus.message;
    case UpdateStatus_UpdateState.ROLLBACK_COMPLETED:
      return aim === 'rollback' ? undefined : 'the update was rolled back';
    default:
      return undefined;
  }
}

/** Why the service will not get there: the rest of its tasks ended, and its restart policy lets them be. */
function endFailure(slots: readonly Slot[], desired: number, done: number): string | undefined {
  const dead = slots.filter(({ current, ended }) => current.length === 0 && ended !== undefined && !isComplete(ended));
  if (dead.length === 0 || done + dead.length < desired) return undefined;
  return `${counted(dead.length, 'task')} failed and will not be restarted`;
}

function isUpdating({ updateStatus }: Service): boolean {
  const state = updateStatus?.state;
  return state === UpdateStatus_UpdateState.UPDATING || state === UpdateStatus_UpdateState.ROLLBACK_STARTED;
}

/** Meant to run or to complete, and not ended. */
function isWanted(task: Task): boolean {
  return task.desiredState <= TaskState.COMPLETE && !isTerminal(taskState(task));
}

function isRunning(task: Task): boolean {
  return taskState(task) === TaskState.RUNNING && task.desiredState <= TaskState.COMPLETE;
}

function isComplete(task: Task): boolean {
  return taskState(task) === TaskState.COMPLETE;
}

function isFailed(task: Task): boolean {
  const state = taskState(task);
  return state === TaskState.FAILED || state === TaskState.REJECTED;
}

/** Ended without having been told to: nobody asked it to be removed. */
function hasEndedItself(task: Task): boolean {
  return (isComplete(task) || isFailed(task)) && task.desiredState <= TaskState.SHUTDOWN;
}

/** Told to stop and not there yet, on a node that can still tell us. */
function isStopping(task: Task, node: Node | undefined): boolean {
  const state = taskState(task);
  const isOnNode = state >= TaskState.ASSIGNED && !isTerminal(state);
  return isOnNode && task.desiredState > TaskState.COMPLETE && node?.status?.state === NodeStatus_State.READY;
}

function errorOf({ status }: Task): string {
  const error = status?.err ?? '';
  return error === '' ? (status?.message ?? '') : error;
}

function count<T>(items: readonly T[], matches: (item: T) => boolean): number {
  return items.filter(matches).length;
}

function add(counts: Map<string, number>, text: string): void {
  counts.set(text, (counts.get(text) ?? 0) + 1);
}
