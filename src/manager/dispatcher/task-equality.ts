import { createRegistry, equals } from '@bufbuild/protobuf';

import { TaskSchema, TaskState, TaskStatusSchema, taskState, type Task, type TaskStatus } from '../../api/index.js';

/** What the agent or the store writes, and the agent need not be told. */
const UNSTABLE_FIELDS: ReadonlySet<string> = new Set(['status', 'meta']);

/** Fields that this version does not know count too: a newer manager may have written them. */
const EQUALITY = { registry: createRegistry(), unknown: true };

const STABLE_FIELDS = TaskSchema.fields
  .map((field) => field.localName as keyof Task)
  .filter((name) => !UNSTABLE_FIELDS.has(name));

/** Whether two versions of a task are the same to an agent: all but status and metadata. */
export function tasksEqualStable(left: Task, right: Task): boolean {
  if (left === right) return true;
  // Versions of a task share what did not change, so this nearly always settles it.
  if (STABLE_FIELDS.every((name) => left[name] === right[name]) && left.$unknown === right.$unknown) return true;
  if (left.id !== right.id || left.nodeId !== right.nodeId || left.desiredState !== right.desiredState) return false;
  return equals(TaskSchema, stablePart(left), stablePart(right), EQUALITY);
}

/**
 * Whether an agent that has `known` learns nothing from `task`. States up to ASSIGNED are written by
 * managers, so there the status counts too.
 */
export function isEcho(known: Task, task: Task): boolean {
  if (taskState(task) <= TaskState.ASSIGNED && known.status !== task.status) return false;
  return tasksEqualStable(known, task);
}

/** Whether a report says nothing that is not stored: who applied it and when does not count. */
export function isKnownStatus(stored: TaskStatus, reported: TaskStatus): boolean {
  if (stored.state !== reported.state) return false;
  return equals(TaskStatusSchema, unapplied(stored), unapplied(reported), EQUALITY);
}

function stablePart(task: Task): Task {
  const { status: _status, meta: _meta, ...stable } = task;
  return stable;
}

function unapplied(status: TaskStatus): TaskStatus {
  const { appliedAt: _appliedAt, ...rest } = status;
  return { ...rest, appliedBy: '' };
}
