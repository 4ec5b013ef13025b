import { PortConfig_PublishMode, taskName } from '../../api/index.js';
import type { ContainerSpec, PortConfig, Task } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';

/** Prefix of the labels by which swarm's containers are found. Source: engine-api E-403. */
const SYSTEM_LABEL_PREFIX = 'com.docker.swarm';
/** Prefix of the variables that tell a task its generic resources. Source: engine-api E-404. */
const RESOURCE_PREFIX = 'DOCKER_RESOURCE';

/**
 * What the task runs.
 * @throws SwarmError InvalidArgument when it is not for a container runtime.
 */
export function containerSpec(task: Task): ContainerSpec {
  const runtime = task.spec?.runtime;
  if (runtime?.case === 'container') return runtime.value;
  throw new SwarmError(
    Code.INVALID_ARGUMENT,
    `task runtime ${JSON.stringify(runtime?.case ?? 'none')} is not supported by this executor, only "container"`,
  );
}

/** Labels of a task's container: the spec's, then the task's own, and last the system's, which always win. */
export function containerLabels(task: Task): Record<string, string> {
  const system = {
    task: '',
    'task.id': task.id,
    'task.name': taskName(task),
    'node.id': task.nodeId,
    'service.id': task.serviceId,
    'service.name': task.serviceAnnotations?.name ?? '',
  };
  const labels: Record<string, string> = { ...containerSpec(task).labels, ...task.annotations?.labels };
  for (const [key, value] of Object.entries(system)) labels[`${SYSTEM_LABEL_PREFIX}.${key}`] = value;
  return labels;
}

/** `DOCKER_RESOURCE_<KIND>=values` for every kind that was assigned to the task; named values joined by commas. */
export function genericResourceEnv(task: Task): string[] {
  const values = new Map<string, string[]>();
  for (const { resource } of task.assignedGenericResources) {
    if (resource.case === undefined) continue;
    const kind = resource.value.kind.toUpperCase();
    values.set(kind, [...(values.get(kind) ?? []), resource.value.value.toString()]);
  }
  return [...values].map(([kind, list]) => `${RESOURCE_PREFIX}_${kind}=${list.join(',')}`).sort();
}

/** Ports of the task that are published on this node itself, not by the routing mesh. */
export function hostPorts(task: Task): readonly PortConfig[] {
  return (task.endpoint?.ports ?? []).filter((port) => port.publishMode === PortConfig_PublishMode.HOST);
}
