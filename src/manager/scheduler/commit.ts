import { create } from '@bufbuild/protobuf';

import {
  taskState,
  TaskState,
  TaskStatusSchema,
  timestampFromMs,
  VolumePublishStatus_State,
  VolumePublishStatusSchema,
  VolumeSpec_VolumeAvailability,
  type Task,
  type TaskStatus,
  type Volume,
} from '../../api/index.js';
import type { WriteTransaction } from '../../store/index.js';
import type { Assignment, Decision } from './decide.js';
import { isReady } from './filters.js';

/** What came of writing a decision: `stale` when what it rests on has changed since. */
export type CommitOutcome = 'written' | 'unchanged' | 'stale';

/** Statuses of assigned tasks; those assigned within one millisecond share theirs, in the store and when encoded. */
export class AssignedStatuses {
  #nowMs = 0;
  #last: TaskStatus | undefined;

  at(nowMs: number, message: string): TaskStatus {
    if (this.#last?.message !== message || this.#nowMs !== nowMs) {
      this.#nowMs = nowMs;
      this.#last = create(TaskStatusSchema, {
        state: TaskState.ASSIGNED,
        timestamp: timestampFromMs(nowMs),
        message,
      });
    }
    return this.#last;
  }
}

/** When decisions are written, and what they share. */
export interface CommitContext {
  readonly nowMs: number;
  readonly statuses: AssignedStatuses;
}

/** Writes a decision, looking again at what it rests on. */
export function commitDecision(tx: WriteTransaction, decision: Decision, context: CommitContext): CommitOutcome {
  const task = tx.get('task', decision.task.id);
  if (task === undefined || taskState(task) !== TaskState.PENDING || task.nodeId !== decision.task.nodeId)
    return 'stale';
  switch (decision.kind) {
    case 'assign':
      return commitAssignment(tx, task, decision, context);
    case 'refuse':
      if (statusOf(task).err === decision.error) return 'unchanged';
      return write(tx, task, { err: decision.error }, context.nowMs);
    case 'shut-down':
      return write(tx, task, { state: TaskState.SHUTDOWN, err: '' }, context.nowMs);
  }
}

function commitAssignment(
  tx: WriteTransaction,
  task: Task,
  decision: Assignment,
  { nowMs, statuses }: CommitContext,
): CommitOutcome {
  if (task.desiredState > TaskState.COMPLETE) return 'stale';
  const node = tx.get('node', decision.nodeId);
  if (node === undefined || !isReady(node)) return 'stale';
  const volumes = decision.volumes.map((attachment) => tx.get('volume', attachment.id));
  if (!volumes.every(isUsable)) return 'stale';
  for (const volume of new Set(volumes)) publish(tx, volume, decision.nodeId);
  tx.update('task', {
    ...task,
    nodeId: decision.nodeId,
    assignedGenericResources: decision.generic,
    volumes: decision.volumes,
    status: statuses.at(nowMs, decision.message),
  });
  return 'written';
}

function isUsable(volume: Volume | undefined): volume is Volume {
  return volume?.spec?.availability === VolumeSpec_VolumeAvailability.ACTIVE;
}

/** Asks that the volume be made reachable from the node, unless it is already. */
function publish(tx: WriteTransaction, volume: Volume, nodeId: string): void {
  if (volume.publishStatus.some((status) => status.nodeId === nodeId)) return;
  const pending = create(VolumePublishStatusSchema, { nodeId, state: VolumePublishStatus_State.PENDING_PUBLISH });
  tx.update('volume', { ...volume, publishStatus: [...volume.publishStatus, pending] });
}

function write(tx: WriteTransaction, task: Task, changes: Partial<TaskStatus>, nowMs: number): CommitOutcome {
  const status = { ...statusOf(task), ...changes, timestamp: timestampFromMs(nowMs) };
  tx.update('task', { ...task, status });
  return 'written';
}

function statusOf(task: Task): TaskStatus {
  return task.status ?? create(TaskStatusSchema);
}
