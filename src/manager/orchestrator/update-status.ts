import { create } from '@bufbuild/protobuf';

import {
  timestampFromMs,
  UpdateStatus_UpdateState,
  UpdateStatusSchema,
  type Service,
  type UpdateStatus,
} from '../../api/index.js';

/** How an update ended, or why it stopped. */
export type UpdateVerdict =
  | { readonly kind: 'completed' }
  | { readonly kind: 'paused'; readonly failedTaskId: string }
  | { readonly kind: 'rolledBack'; readonly failedTaskId: string };

/** The service as an update begins. The texts are SwarmKit's. */
export function withUpdateStarted(service: Service, nowMs: number): Service {
  const updateStatus = create(UpdateStatusSchema, {
    state: UpdateStatus_UpdateState.UPDATING,
    startedAt: timestampFromMs(nowMs),
    message: 'update in progress',
  });
  return { ...service, updateStatus };
}

/**
 * The service after the verdict. Undefined where it no longer applies: the user changed the service
 * meanwhile, which clears the status, or the update ended before.
 */
export function withVerdict(service: Service, verdict: UpdateVerdict, nowMs: number): Service | undefined {
  const status = service.updateStatus;
  if (status === undefined) return undefined;
  const rollingBack = status.state === UpdateStatus_UpdateState.ROLLBACK_STARTED;
  if (!rollingBack && status.state !== UpdateStatus_UpdateState.UPDATING) return undefined;
  switch (verdict.kind) {
    case 'completed':
      return { ...service, updateStatus: { ...completed(status, rollingBack), completedAt: timestampFromMs(nowMs) } };
    case 'paused':
      return { ...service, updateStatus: paused(status, rollingBack, verdict.failedTaskId) };
    case 'rolledBack':
      // Without a spec to go back to, or when already going back, all that is left is to stop.
      if (rollingBack || service.previousSpec === undefined) {
        return { ...service, updateStatus: paused(status, rollingBack, verdict.failedTaskId) };
      }
      return rolledBack(service, status, verdict.failedTaskId);
  }
}

function completed(status: UpdateStatus, rollingBack: boolean): UpdateStatus {
  return rollingBack
    ? { ...status, state: UpdateStatus_UpdateState.ROLLBACK_COMPLETED, message: 'rollback completed' }
    : { ...status, state: UpdateStatus_UpdateState.COMPLETED, message: 'update completed' };
}

function paused(status: UpdateStatus, rollingBack: boolean, taskId: string): UpdateStatus {
  const reason = `paused due to failure or early termination of task ${taskId}`;
  return rollingBack
    ? { ...status, state: UpdateStatus_UpdateState.ROLLBACK_PAUSED, message: `rollback ${reason}` }
    : { ...status, state: UpdateStatus_UpdateState.PAUSED, message: `update ${reason}` };
}

function rolledBack(service: Service, status: UpdateStatus, taskId: string): Service {
  return {
    ...service,
    spec: service.previousSpec,
    specVersion: service.previousSpecVersion,
    previousSpec: undefined,
    previousSpecVersion: undefined,
    updateStatus: {
      ...status,
      state: UpdateStatus_UpdateState.ROLLBACK_STARTED,
      message: `update rolled back due to failure or early termination of task ${taskId}`,
    },
  };
}
