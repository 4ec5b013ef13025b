import { create, equals } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';

import {
  NodeDescriptionSchema,
  NodeStatusSchema,
  NodeStatus_State as NodeState,
  TaskState,
  TaskStatusSchema,
  VolumePublishStatus_State as PublishState,
  isTerminal,
  msFromTimestamp,
  taskState,
  type NodeDescription,
  type Task,
  type TaskStatus,
} from '../../api/index.js';
import type { WriteTransaction } from '../../store/index.js';
import { isKnownStatus } from './task-equality.js';

/** What the dispatcher found out about a node. */
export interface NodeUpdate {
  readonly state: NodeState;
  readonly message: string;
  /** Empty leaves the stored one. */
  readonly addr: string;
  /** Undefined leaves the stored one. */
  readonly description: NodeDescription | undefined;
}

/** Who writes a status, and when. */
export interface Applied {
  readonly by: string;
  readonly at: Timestamp;
}

/** Message of a node whose leader has just changed. Source: SwarmKit. */
const UNKNOWN_MESSAGE = 'Node moved to "unknown" state due to leadership change in cluster';

/** Message of a task whose node has been down for so long that nothing is known of it. */
const ORPHANED_MESSAGE = 'the node has been down for too long';

/** Writes what was found out about a node. A node that is gone is left alone. */
export function writeNodeUpdate(tx: WriteTransaction, nodeId: string, update: NodeUpdate): void {
  const node = tx.get('node', nodeId);
  if (node === undefined) return;
  const old = node.status ?? create(NodeStatusSchema);
  const addr = update.addr === '' ? old.addr : update.addr;
  const sameStatus = old.state === update.state && old.message === update.message && old.addr === addr;
  const { description } = update;
  const sameDescription =
    description === undefined ||
    (node.description !== undefined && equals(NodeDescriptionSchema, node.description, description));
  if (sameStatus && sameDescription) return;
  const status = sameStatus ? old : { ...old, state: update.state, message: update.message, addr };
  tx.update('node', { ...node, status, ...(sameDescription ? {} : { description }) });
}

/** Marks a node as unknown at the start of a leader. Returns false for a node that is down or gone. */
export function writeNodeUnknown(tx: WriteTransaction, nodeId: string): boolean {
  const node = tx.get('node', nodeId);
  if (node === undefined || node.status?.state === NodeState.DOWN) return false;
  writeNodeUpdate(tx, nodeId, {
    state: NodeState.UNKNOWN,
    message: UNKNOWN_MESSAGE,
    addr: '',
    description: undefined,
  });
  return true;
}

/**
 * Stores a status reported by `nodeId`, unless it is older than or the same as what is stored.
 * @returns milliseconds from the task's creation until now where it has just become RUNNING.
 */
export function writeTaskStatus(
  tx: WriteTransaction,
  nodeId: string,
  taskId: string,
  reported: TaskStatus,
  applied: Applied,
): number | undefined {
  const task = tx.get('task', taskId);
  if (task === undefined || task.nodeId !== nodeId) return undefined;
  const before = taskState(task);
  // An agent that has lost its memory stops what had ended long before: how it ended stays.
  if (reported.state < before || (isTerminal(before) && reported.state !== before)) return undefined;
  if (task.status !== undefined && isKnownStatus(task.status, reported)) return undefined;
  tx.update('task', { ...task, status: { ...reported, appliedBy: applied.by, appliedAt: applied.at } });
  if (reported.state !== TaskState.RUNNING || before === TaskState.RUNNING) return undefined;
  return msFromTimestamp(applied.at) - msFromTimestamp(task.meta?.createdAt);
}

/** Whether a task on a node that is down may have gone on without anybody hearing of it. */
export function canBeOrphaned(task: Task): boolean {
  const state = taskState(task);
  return state >= TaskState.ASSIGNED && state <= TaskState.RUNNING;
}

/** Gives up a task of a node that is down. */
export function writeTaskOrphaned(tx: WriteTransaction, nodeId: string, taskId: string, applied: Applied): void {
  const task = tx.get('task', taskId);
  if (task === undefined || task.nodeId !== nodeId || !canBeOrphaned(task)) return;
  const status: TaskStatus = {
    ...(task.status ?? create(TaskStatusSchema)),
    state: TaskState.ORPHANED,
    message: ORPHANED_MESSAGE,
    timestamp: applied.at,
    appliedBy: applied.by,
    appliedAt: applied.at,
  };
  tx.update('task', { ...task, status });
}

/** Records that nodes have unpublished a volume which they were asked to unpublish. */
export function writeVolumeUnpublished(tx: WriteTransaction, volumeId: string, nodeIds: ReadonlySet<string>): void {
  const volume = tx.get('volume', volumeId);
  if (volume === undefined) return;
  let changed = false;
  const publishStatus = volume.publishStatus.map((status) => {
    if (!nodeIds.has(status.nodeId) || status.state !== PublishState.PENDING_NODE_UNPUBLISH) return status;
    changed = true;
    return { ...status, state: PublishState.PENDING_UNPUBLISH };
  });
  if (changed) tx.update('volume', { ...volume, publishStatus });
}
