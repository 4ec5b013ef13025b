import { create } from '@bufbuild/protobuf';

import {
  EndpointSchema,
  msFromTimestamp,
  NodeSpec_Availability,
  NodeStatus_State,
  TaskSchema,
  TaskState,
  taskState,
  TaskStatusSchema,
  timestampFromMs,
  type Cluster,
  type Node,
  type Service,
  type Task,
} from '../../api/index.js';
import { newId, type Random } from '../../base/index.js';

/**
 * Makes the tasks of one service at one moment. They share everything but id, slot, node and desired
 * state: the specs are the service's own objects, so ten thousand replicas hold one spec.
 */
export class TaskFactory {
  readonly #template: Task;

  constructor(
    service: Service,
    cluster: Cluster | undefined,
    nowMs: number,
    private readonly random: Random,
  ) {
    this.#template = {
      ...create(TaskSchema, { serviceId: service.id, specVersion: service.specVersion }),
      spec: service.spec?.task,
      serviceAnnotations: service.spec?.annotations,
      status: create(TaskStatusSchema, {
        state: TaskState.NEW,
        timestamp: timestampFromMs(nowMs),
        message: 'created',
      }),
      endpoint: { ...create(EndpointSchema), spec: service.spec?.endpoint },
      logDriver: service.spec?.task?.logDriver ?? cluster?.spec?.taskDefaults?.logDriver,
    };
  }

  /** A new task. Replicated services name the slot, global ones slot 0 and the node. */
  make(place: TaskPlace, desiredState: TaskState): Task {
    return {
      ...this.#template,
      id: newId(this.random),
      slot: place.slot,
      nodeId: place.nodeId,
      desiredState,
    };
  }
}

/** Where a task belongs: a slot of a replicated service, or a node of a global one. */
export interface TaskPlace {
  readonly slot: bigint;
  readonly nodeId: string;
}

/** The place of the task that replaces this one. */
export function placeOf(task: Task): TaskPlace {
  return task.slot === 0n ? { slot: 0n, nodeId: task.nodeId } : { slot: task.slot, nodeId: '' };
}

/** Identifies the slot within its service: the slot's number, or the node for global services. */
export function slotKey(task: Task): string {
  return task.slot === 0n ? task.nodeId : task.slot.toString();
}

/** Whether orchestrators still want this task to run, or to wait for its turn. */
export function isRunnable(task: Task): boolean {
  return task.desiredState <= TaskState.RUNNING;
}

/** Whether the task has ended. */
export function hasStopped(task: Task): boolean {
  return taskState(task) > TaskState.RUNNING;
}

/** Whether an agent may still have something of this task running. */
export function mayBeAlive(task: Task): boolean {
  const state = taskState(task);
  return state >= TaskState.ASSIGNED && state <= TaskState.RUNNING;
}

/** When the task's status was written: by the manager's clock where known, else by the agent's. */
export function statusTimestampMs(task: Task): number | undefined {
  const timestamp = task.status?.appliedAt ?? task.status?.timestamp;
  return timestamp === undefined ? undefined : msFromTimestamp(timestamp);
}

/** When the task was created; undefined before it is in the store. */
export function createdAtMs(task: Task): number | undefined {
  return task.meta?.createdAt === undefined ? undefined : msFromTimestamp(task.meta.createdAt);
}

/** Oldest status first; unknown times count as the oldest. The id makes the order total. */
export function byStatusTimestamp(left: Task, right: Task): number {
  const difference = (statusTimestampMs(left) ?? -Infinity) - (statusTimestampMs(right) ?? -Infinity);
  if (Number.isNaN(difference) || difference === 0) return left.id < right.id ? -1 : 1;
  return difference;
}

/** Whether tasks cannot stay on this node: it is gone, down or drained. */
export function isInvalidNode(node: Node | undefined): boolean {
  return node === undefined || isDown(node) || isDrained(node);
}

/** Whether the node counts as dead. */
export function isDown(node: Node): boolean {
  return node.status?.state === NodeStatus_State.DOWN;
}

/** Whether the node is being emptied. */
export function isDrained(node: Node): boolean {
  return node.spec?.availability === NodeSpec_Availability.DRAIN;
}
