import { equals } from '@bufbuild/protobuf';

import { NodeSchema, TaskSchema, TaskState, TaskStatusSchema } from '../api/index.js';
import type { Node, Task, TaskStatus } from '../api/index.js';

const DEFINITION_FIELDS = TaskSchema.fields
  .map((field) => field.localName)
  .filter((name) => name !== 'status' && name !== 'meta' && name !== 'desiredState') as readonly (keyof Task)[];

/** Whether two versions of a task define the same work: all but status, meta and desired state. */
export function sameDefinition(a: Task, b: Task): boolean {
  if (a === b || DEFINITION_FIELDS.every((field) => a[field] === b[field])) return true;
  return equals(TaskSchema, definitionOf(a), definitionOf(b));
}

/** The task without what changes while it runs. Shares everything else. */
export function definitionOf(task: Task): Task {
  const definition: Task = { ...task, desiredState: TaskState.NEW };
  delete definition.status;
  delete definition.meta;
  return definition;
}

/** Whether two statuses say the same, whenever that was. */
export function sameStatus(a: TaskStatus, b: TaskStatus): boolean {
  if (a.state !== b.state || a.message !== b.message || a.err !== b.err) return false;
  if (a.runtimeStatus.value === b.runtimeStatus.value && a.portStatus === b.portStatus) return true;
  return equals(TaskStatusSchema, withoutTimestamp(a), withoutTimestamp(b));
}

function withoutTimestamp(status: TaskStatus): TaskStatus {
  const copy = { ...status };
  delete copy.timestamp;
  return copy;
}

/** Whether an executor would see the same node: all but status and meta. */
export function sameNode(a: Node, b: Node): boolean {
  return a === b || equals(NodeSchema, withoutProgress(a), withoutProgress(b));
}

function withoutProgress(node: Node): Node {
  const copy = { ...node };
  delete copy.status;
  delete copy.meta;
  return copy;
}
