import { Code, SwarmError } from '../../base/index.js';
import { TaskState, type TaskStatus, type UpdateTaskStatusRequest_TaskStatusUpdate } from '../../api/index.js';
import type { ReadTransaction } from '../../store/index.js';

/**
 * Longest message or error of a status, in characters. What is longer is cut: a status that does not fit
 * a log entry would hold up those of other nodes in the same write.
 */
export const STATUS_TEXT_MAX = 16_384;

/** Most ports in one status: all there are, twice. */
const PORTS_MAX = 2 * 65_536;

/** Bytes of a container id, and of fields that this version does not know. */
const STATUS_EXTRA_BYTES_MAX = 65_536;

const REPORTABLE: ReadonlySet<TaskState> = new Set(
  Object.values(TaskState).filter((state) => typeof state === 'number' && state !== TaskState.REMOVE) as TaskState[],
);

/** The reports of one call, sorted into what is worth a write and what is passed over. */
export interface CheckedReports {
  readonly valid: readonly { readonly taskId: string; readonly status: TaskStatus }[];
  /** Reports passed over, by reason; for the log. */
  readonly ignored: Readonly<Record<'noStatus' | 'unknownTask' | 'unknownState' | 'regression', number>>;
}

/**
 * Checks what a node reports of its tasks. Reports without status, of unknown tasks or with a state that
 * no agent may report are passed over. PermissionDenied, and none of the reports counts, when a task
 * belongs to another node; InvalidArgument when a status is too large.
 */
export function checkReports(
  nodeId: string,
  updates: readonly UpdateTaskStatusRequest_TaskStatusUpdate[],
  view: ReadTransaction,
): CheckedReports {
  const valid: { taskId: string; status: TaskStatus }[] = [];
  const ignored = { noStatus: 0, unknownTask: 0, unknownState: 0, regression: 0 };
  for (const { taskId, status } of updates) {
    const task = status === undefined ? undefined : view.get('task', taskId);
    if (status === undefined) ignored.noStatus++;
    else if (task === undefined) ignored.unknownTask++;
    else if (task.nodeId !== nodeId) throw foreignTask(taskId);
    else if (!REPORTABLE.has(status.state)) ignored.unknownState++;
    else if ((task.status?.state ?? TaskState.NEW) > status.state) ignored.regression++;
    else valid.push({ taskId, status: trimmed(taskId, status) });
  }
  return { valid, ignored };
}

function foreignTask(taskId: string): SwarmError {
  return new SwarmError(Code.PERMISSION_DENIED, 'cannot update a task not assigned this node', {
    details: { 'task.id': taskId },
  });
}

function trimmed(taskId: string, status: TaskStatus): TaskStatus {
  const ports = status.portStatus?.ports ?? [];
  const containerId = status.runtimeStatus.case === 'container' ? status.runtimeStatus.value.containerId : '';
  const unknown = (status.$unknown ?? []).reduce((bytes, field) => bytes + field.data.length, 0);
  if (ports.length > PORTS_MAX || containerId.length + unknown > STATUS_EXTRA_BYTES_MAX) {
    throw new SwarmError(Code.INVALID_ARGUMENT, `the status of task ${taskId} is too large`);
  }
  if (status.message.length <= STATUS_TEXT_MAX && status.err.length <= STATUS_TEXT_MAX) return status;
  return {
    ...status,
    message: status.message.slice(0, STATUS_TEXT_MAX),
    err: status.err.slice(0, STATUS_TEXT_MAX),
  };
}
