import { type DirtyCheck, type Node, NodeSpec_Availability, type Service, type Task } from '../../api/index.js';
import type { RestartHistory } from './restart-history.js';
import { groupTasks, updatableTasks, type Slot } from './slot.js';
import { isInvalidNode } from './task.js';

/** What brings a global service to one task on each eligible node. */
export interface GlobalPlan {
  /** Tasks that stay, by node: the updater looks whether they match the service. */
  readonly keep: readonly Slot[];
  /** Nodes that get a task. */
  readonly create: readonly string[];
  /** Tasks on nodes that are no longer eligible. */
  readonly shutdown: readonly Task[];
}

/**
 * Compares the tasks of a service with the nodes. Nodes that are down or drained, or do not satisfy the
 * constraints, lose their task; on a paused node nothing changes. Whether a node is ready only matters
 * to the scheduler.
 */
export function planGlobal(
  service: Service,
  nodes: readonly Node[],
  tasks: readonly Task[],
  rules: { readonly check: DirtyCheck; readonly history: RestartHistory },
): GlobalPlan {
  const slots = new Map<string, Slot>();
  for (const [nodeId, slot] of groupTasks(tasks, (task) => task.nodeId)) {
    const updatable = updatableTasks(slot, service, rules.history);
    if (updatable !== undefined) slots.set(nodeId, updatable);
  }
  const keep: Slot[] = [];
  const create: string[] = [];
  for (const node of nodes) {
    if (isInvalidNode(node) || !rules.check.fits(service, node)) continue;
    const slot = slots.get(node.id);
    slots.delete(node.id);
    if (node.spec?.availability === NodeSpec_Availability.PAUSE) continue;
    if (slot === undefined) create.push(node.id);
    else keep.push(slot);
  }
  return { keep, create, shutdown: [...slots.values()].flat() };
}

/** What brings one service up to date on one node, outside of a rolling update. */
export interface NodePlan {
  readonly create: boolean;
  readonly shutdown: readonly Task[];
}

/**
 * The same for one node that changed. A task that is out of date (the service was updated while the node
 * was paused) is replaced at once: this is no rolling update, and shows no update status.
 */
export function planNode(
  service: Service,
  node: Node,
  tasks: readonly Task[],
  rules: { readonly check: DirtyCheck; readonly history: RestartHistory },
): NodePlan {
  const [first, ...others] = tasks;
  const slot = first === undefined ? undefined : updatableTasks([first, ...others], service, rules.history);
  if (isInvalidNode(node) || !rules.check.fits(service, node)) return { create: false, shutdown: slot ?? [] };
  if (node.spec?.availability === NodeSpec_Availability.PAUSE) return { create: false, shutdown: [] };
  const clean = (slot ?? []).filter((task) => !rules.check.isDirty(service, task, node));
  const [kept] = clean;
  return { create: kept === undefined, shutdown: (slot ?? []).filter((task) => task !== kept) };
}
