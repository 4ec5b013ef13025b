import type { Service, Task } from '../../api/index.js';
import { replicas } from './mode.js';
import type { RestartHistory } from './restart-history.js';
import { groupTasks, inOrderOfKeeping, updatableTasks, type Slot } from './slot.js';

/** Tasks created in one pass at the most: more follow in the next, so that nobody else waits for long. */
const CREATED_PER_PASS_MAX = 20_000;

/** What brings a replicated service to its number of replicas. */
export interface ReplicatedPlan {
  /** Slots that stay: the updater looks whether they match the service. */
  readonly keep: readonly Slot[];
  /** Numbers of slots to fill with a new task. */
  readonly create: readonly bigint[];
  /** More slots are missing than one pass creates. */
  readonly incomplete: boolean;
  /** Slots to scale away. */
  readonly remove: readonly Slot[];
  /** History of slots that are no longer used. */
  readonly discard: readonly Task[];
}

/** Compares the tasks of a service with the replicas it asks for. */
export function planReplicated(service: Service, tasks: readonly Task[], history: RestartHistory): ReplicatedPlan {
  const live = new Map<bigint, Slot>();
  const dead = new Map<bigint, Slot>();
  for (const [number, slot] of groupTasks(tasks, (task) => task.slot)) {
    const updatable = updatableTasks(slot, service, history);
    if (updatable === undefined) dead.set(number, slot);
    else live.set(number, updatable);
  }
  const wanted = replicas(service);
  const ordered = wanted < live.size ? inOrderOfKeeping(live.values()) : [...live.values()];
  const missing = wanted - live.size;
  const create = freeNumbers(live, Math.min(missing, CREATED_PER_PASS_MAX));
  // A slot that is used again keeps its history.
  for (const number of create) dead.delete(number);
  return {
    keep: ordered.slice(0, wanted),
    create,
    incomplete: missing > create.length,
    remove: ordered.slice(wanted),
    discard: [...dead.values()].flat(),
  };
}

// Slots are numbered from 1; gaps are filled first.
function freeNumbers(used: ReadonlyMap<bigint, Slot>, count: number): readonly bigint[] {
  const free: bigint[] = [];
  for (let number = 1n; free.length < count; number++) if (!used.has(number)) free.push(number);
  return free;
}
