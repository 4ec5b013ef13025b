import { TaskState, taskState, UpdateStatus_UpdateState, type Service, type Task } from '../../api/index.js';
import type { RestartHistory } from './restart-history.js';
import { byStatusTimestamp, isRunnable } from './task.js';

/** The tasks of one replica: usually one, several while it is being replaced. Never empty. */
export type Slot = readonly [Task, ...Task[]];

/** Tasks by the slot (or the node) they belong to. */
export function groupTasks<K>(tasks: readonly Task[], keyOf: (task: Task) => K): Map<K, Slot> {
  const groups = new Map<K, [Task, ...Task[]]>();
  for (const task of tasks) {
    const key = keyOf(task);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [task]);
    else group.push(task);
  }
  return groups;
}

/**
 * What of a slot counts as a replica and goes to the updater: its runnable tasks; where there is none,
 * the newest task if the policy says that it shall not be restarted. A rollback takes no notice of the
 * latter, so that it always ends with every replica running. Undefined: the slot is dead.
 */
export function updatableTasks(slot: Slot, service: Service, history: RestartHistory): Slot | undefined {
  const [first, ...others] = slot.filter(isRunnable);
  if (first !== undefined) return [first, ...others];
  if (service.updateStatus?.state === UpdateStatus_UpdateState.ROLLBACK_STARTED) return undefined;
  const newest = slot.toSorted(byStatusTimestamp).at(-1);
  // A slot that was scaled away is no replica, however its task ended.
  if (newest === undefined || newest.desiredState >= TaskState.REMOVE) return undefined;
  return history.shouldRestart(service, newest) ? undefined : [newest];
}

/**
 * The slots in the order in which scaling down keeps them: first the first replica of each node, then
 * the second of each, and so on, so that what stays is balanced. Among equals running ones come first,
 * then low numbers. Slots without a node, or in the middle of being replaced, come last.
 */
export function inOrderOfKeeping(slots: Iterable<Slot>): readonly Slot[] {
  const sorted = [...slots].sort(byRunningThenNumber);
  const perNode = new Map<string, number>();
  const ranked = sorted.map((slot) => {
    const nodeId = slot[0].nodeId;
    if (slot.length > 1 || nodeId === '') return { slot, rank: Infinity };
    const rank = (perNode.get(nodeId) ?? 0) + 1;
    perNode.set(nodeId, rank);
    return { slot, rank };
  });
  ranked.sort((left, right) => (left.rank === right.rank ? 0 : left.rank - right.rank));
  return ranked.map(({ slot }) => slot);
}

function byRunningThenNumber(left: Slot, right: Slot): number {
  const running = Number(isRunning(right)) - Number(isRunning(left));
  return running !== 0 ? running : Number(left[0].slot - right[0].slot);
}

function isRunning(slot: Slot): boolean {
  return slot.some((task) => taskState(task) === TaskState.RUNNING);
}
