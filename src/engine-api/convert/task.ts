import { TaskSpecSchema, TaskState, type NetworkAttachment, type Task, type TaskStatus } from '../../api/index.js';
import { create } from '@bufbuild/protobuf';

import { timeText } from './codec.js';
import { annotations, objectHeader, versionToJson } from './common.js';
import { networkToJson } from './network.js';
import { genericResource, portConfig, taskSpecToJson } from './service.js';

/** A task as the API shows it. */
export function taskToJson(task: Task): Record<string, unknown> {
  const { name, labels } = task.annotations ?? { name: '', labels: {} };
  return {
    ...objectHeader(task.id, task.meta),
    ...(name === '' ? { Labels: labels } : annotations.toJson({ ...task.annotations, name, labels } as never)),
    Spec: taskSpecToJson(task.spec ?? create(TaskSpecSchema)),
    ...(task.serviceId === '' ? {} : { ServiceID: task.serviceId }),
    ...(task.slot === 0n ? {} : { Slot: task.slot }),
    ...(task.nodeId === '' ? {} : { NodeID: task.nodeId }),
    Status: taskStatusToJson(task.status),
    DesiredState: stateWord(task.desiredState),
    ...(task.networks.length === 0 ? {} : { NetworksAttachments: task.networks.map(attachmentToJson) }),
    ...(task.assignedGenericResources.length === 0
      ? {}
      : { GenericResources: task.assignedGenericResources.map((resource) => genericResource.toJson(resource)) }),
    ...(task.jobIteration === undefined ? {} : { JobIteration: versionToJson(task.jobIteration) }),
    ...(task.volumes.length === 0
      ? {}
      : { Volumes: task.volumes.map(({ id, source, target }) => ({ ID: id, Source: source, Target: target })) }),
  };
}

/** The word for a task state. */
export function stateWord(state: TaskState): string {
  return (TaskState[state] ?? '').toLowerCase();
}

function taskStatusToJson(status: TaskStatus | undefined): Record<string, unknown> {
  const container = status?.runtimeStatus.case === 'container' ? status.runtimeStatus.value : undefined;
  const ports = status?.portStatus?.ports ?? [];
  return {
    Timestamp: timeText(status?.timestamp),
    State: stateWord(status?.state ?? TaskState.NEW),
    ...(status === undefined || status.message === '' ? {} : { Message: status.message }),
    ...(status === undefined || status.err === '' ? {} : { Err: status.err }),
    ...(container === undefined
      ? {}
      : {
          ContainerStatus: { ContainerID: container.containerId, PID: container.pid, ExitCode: container.exitCode },
        }),
    PortStatus: ports.length === 0 ? {} : { Ports: ports.map((port) => portConfig.toJson(port)) },
  };
}

function attachmentToJson(attachment: NetworkAttachment): Record<string, unknown> {
  return {
    ...(attachment.network === undefined ? {} : { Network: networkToJson(attachment.network) }),
    ...(attachment.addresses.length === 0 ? {} : { Addresses: attachment.addresses }),
  };
}
