import { create } from '@bufbuild/protobuf';

import {
  DirtyCheck,
  GenericResourcePool,
  type Node,
  NodeSpec_Availability,
  type Service,
  type Task,
  TaskState,
  taskState,
  type TaskStatus,
  TaskStatusSchema,
  timestampFromMs,
} from '../../api/index.js';
import type { Component, Pace } from '../../base/index.js';
import { by, type ObjectEvent, type ReadTransaction, type TableName } from '../../store/index.js';
import type { OrchestratorDeps } from './deps.js';
import { runLoop, type Part } from './loop.js';
import { createdAtMs } from './task.js';

/**
 * Rejects tasks whose node has changed so that it no longer satisfies their constraints or holds what
 * they reserved; their orchestrator then replaces them. Draining is not its business.
 */
export class ConstraintEnforcer implements Component {
  constructor(private readonly deps: OrchestratorDeps) {}

  run(signal: AbortSignal): Promise<void> {
    return runLoop(new EnforcerPart(this.deps), this.deps, signal);
  }
}

class EnforcerPart implements Part {
  readonly tables: readonly TableName[] = ['node'];
  readonly #dirty = new Set<string>();
  readonly #check = new DirtyCheck();

  constructor(private readonly deps: OrchestratorDeps) {}

  load(tx: ReadTransaction): void {
    for (const node of tx.find('node', by.all())) this.#dirty.add(node.id);
  }

  observe(event: ObjectEvent): void {
    if (event.table !== 'node') return;
    if (event.kind === 'remove') this.#dirty.delete(event.object.id);
    else this.#dirty.add(event.object.id);
  }

  async act(pace: Pace): Promise<undefined> {
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    if (dirty.length === 0) return undefined;
    await this.deps.store.batch(async (batch) => {
      for (const nodeId of dirty) {
        const violators = batch.update((tx) => this.#violators(tx, nodeId));
        for (const task of violators) {
          batch.update((tx) => {
            const present = tx.get('task', task.id);
            if (present === undefined || !mayBeRejected(present)) return;
            tx.update('task', { ...present, status: rejected(present, this.deps.clock.nowMs()) });
          });
        }
        if (pace.isDue()) await pace.rest();
      }
    });
    return undefined;
  }

  #violators(tx: ReadTransaction, nodeId: string): readonly Task[] {
    const node = tx.get('node', nodeId);
    if (node === undefined || node.spec?.availability !== NodeSpec_Availability.ACTIVE) return [];
    return findViolators(node, tx.find('task', by.node(nodeId)), (id) => tx.get('service', id), this.#check);
  }
}

/**
 * Tasks that the node may no longer hold. The present constraints of the service count, not those the
 * task was made with. Where resources do not suffice for all, older tasks keep their place.
 */
function findViolators(
  node: Node,
  tasks: readonly Task[],
  serviceOf: (serviceId: string) => Service | undefined,
  check: DirtyCheck,
): readonly Task[] {
  let memoryBytes = node.description?.resources?.memoryBytes ?? 0n;
  let nanoCpus = node.description?.resources?.nanoCpus ?? 0n;
  const generic = new GenericResourcePool(node.description?.resources?.generic ?? []);
  const violators: Task[] = [];
  for (const task of tasks.filter(mayBeRejected).sort(byAge)) {
    const reserved = task.spec?.resources?.reservations;
    const fits =
      check.placementFits(serviceOf(task.serviceId)?.spec?.task ?? task.spec, node) &&
      (reserved?.memoryBytes ?? 0n) <= memoryBytes &&
      (reserved?.nanoCpus ?? 0n) <= nanoCpus &&
      generic.fits(task.assignedGenericResources);
    if (!fits) {
      violators.push(task);
      continue;
    }
    memoryBytes -= reserved?.memoryBytes ?? 0n;
    nanoCpus -= reserved?.nanoCpus ?? 0n;
    generic.take(task.assignedGenericResources);
  }
  return violators;
}

function mayBeRejected(task: Task): boolean {
  return (
    task.desiredState >= TaskState.ASSIGNED &&
    task.desiredState <= TaskState.COMPLETE &&
    taskState(task) < TaskState.COMPLETE
  );
}

// The observed state is set although it belongs to the agent: the desired one would keep the orchestrator
// from replacing the task.
function rejected(task: Task, nowMs: number): TaskStatus {
  return {
    ...(task.status ?? create(TaskStatusSchema)),
    state: TaskState.REJECTED,
    message: 'task rejected by constraint enforcer',
    err: 'assigned node no longer meets constraints',
    timestamp: timestampFromMs(nowMs),
  };
}

function byAge(left: Task, right: Task): number {
  const difference = (createdAtMs(left) ?? 0) - (createdAtMs(right) ?? 0);
  if (difference !== 0) return difference;
  return left.id < right.id ? -1 : 1;
}
