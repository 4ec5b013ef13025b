import { create } from '@bufbuild/protobuf';

import {
  AnnotationsSchema,
  EndpointSpecSchema,
  GlobalServiceSchema,
  NetworkAttachmentConfigSchema,
  parseConstraints,
  PlacementSchema,
  PortConfig_PublishMode,
  ReplicatedServiceSchema,
  ServiceSpecSchema,
  TaskSpecSchema,
  type EndpointSpec,
  type NetworkAttachmentConfig,
  type Placement,
  type ServiceSpec,
  type TaskSpec,
} from '../../../api/index.js';
import { errorText } from '../../../base/index.js';
import { badValue, UsageError } from '../usage-error.js';
import { parseCount } from '../values/amounts.js';
import { parseChoice } from '../values/choice.js';
import { changeLabels } from '../values/pairs.js';
import { parsePort } from '../values/port.js';
import { withContainer } from './container.js';
import { logDriverOf } from './log-driver.js';
import { restartOf, rollbackOf, updateOf } from './policies.js';
import { withResources } from './resources.js';
import { NO_REFERENCES, type References, type ServiceFlags } from './flags.js';

const PUBLISH_MODES = { host: PortConfig_PublishMode.HOST, ingress: PortConfig_PublishMode.INGRESS };

/** The mode of a service that is to be created. */
const NEW_MODES: Readonly<Record<string, ServiceSpec['mode']>> = {
  replicated: { case: 'replicated', value: create(ReplicatedServiceSchema, { replicas: 1n }) },
  global: { case: 'global', value: create(GlobalServiceSchema) },
};

/**
 * The spec of a new service.
 * @throws UsageError that names the flag.
 */
export function newServiceSpec(flags: ServiceFlags, references: References = NO_REFERENCES): ServiceSpec {
  if (flags.name === undefined || flags.name === '' || flags.image === undefined || flags.image === '') {
    throw new UsageError('service create: --name and --image must be given');
  }
  const mode = parseChoice('--mode', flags.mode ?? 'replicated', NEW_MODES);
  const task = create(TaskSpecSchema, { runtime: { case: 'container', value: {} } });
  return withFlags(create(ServiceSpecSchema, { mode, task }), flags, references);
}

/**
 * A spec as the flags change it; shares with the old one what they leave alone.
 * @throws UsageError that names the flag.
 */
export function withFlags(spec: ServiceSpec, flags: ServiceFlags, references: References = NO_REFERENCES): ServiceSpec {
  const update = updateOf(spec.update, flags);
  const rollback = rollbackOf(spec.rollback, flags);
  const endpoint = endpointOf(spec.endpoint, flags);
  return {
    ...spec,
    annotations: annotationsOf(spec, flags),
    mode: modeOf(spec, flags),
    task: taskOf(spec, flags, references),
    ...(update === undefined ? {} : { update }),
    ...(rollback === undefined ? {} : { rollback }),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}

/** A replicated spec with another number of replicas. */
export function withReplicas(name: string, spec: ServiceSpec, replicas: bigint): ServiceSpec {
  if (spec.mode.case !== 'replicated') {
    throw new UsageError(`service ${name}: only a replicated service can be scaled`);
  }
  return { ...spec, mode: { case: 'replicated', value: { ...spec.mode.value, replicas } } };
}

function annotationsOf(spec: ServiceSpec, flags: ServiceFlags): NonNullable<ServiceSpec['annotations']> {
  const present = spec.annotations ?? create(AnnotationsSchema);
  return { ...present, name: flags.name ?? present.name, labels: changeLabels(present.labels, flags) };
}

function modeOf(spec: ServiceSpec, flags: ServiceFlags): ServiceSpec['mode'] {
  if (flags.replicas === undefined) return spec.mode;
  const replicas = parseCount('--replicas', flags.replicas);
  if (spec.mode.case !== 'replicated') throw new UsageError('--replicas: only a replicated service has replicas');
  return { case: 'replicated', value: { ...spec.mode.value, replicas } };
}

function taskOf(spec: ServiceSpec, flags: ServiceFlags, references: References): TaskSpec {
  const present = spec.task ?? create(TaskSpecSchema);
  const restart = restartOf(present.restart, flags);
  const placement = placementOf(spec, present.placement, flags);
  const logDriver = logDriverOf(flags) ?? present.logDriver;
  const task: TaskSpec = {
    ...present,
    ...(restart === undefined ? {} : { restart }),
    ...(placement === undefined ? {} : { placement }),
    ...(logDriver === undefined ? {} : { logDriver }),
    networks: networksOf(present.networks, flags, references),
    forceUpdate: flags.force === true ? present.forceUpdate + 1n : present.forceUpdate,
  };
  return withContainer(withResources(task, flags), flags, references);
}

function networksOf(
  present: NetworkAttachmentConfig[],
  flags: ServiceFlags,
  { networkIds }: References,
): NetworkAttachmentConfig[] {
  if (flags.network === undefined) return present;
  return networkIds.map((target) => create(NetworkAttachmentConfigSchema, { target }));
}

function placementOf(
  spec: ServiceSpec,
  present: Placement | undefined,
  { constraint, replicasMaxPerNode }: ServiceFlags,
): Placement | undefined {
  if (constraint === undefined && replicasMaxPerNode === undefined) return present;
  const placement = present ?? create(PlacementSchema);
  if (replicasMaxPerNode !== undefined && spec.mode.case !== 'replicated') {
    throw new UsageError('--replicas-max-per-node: only a replicated service has replicas');
  }
  for (const expression of constraint ?? []) checkConstraint(expression);
  return {
    ...placement,
    constraints: constraint === undefined ? placement.constraints : [...constraint],
    maxReplicas:
      replicasMaxPerNode === undefined
        ? placement.maxReplicas
        : parseCount('--replicas-max-per-node', replicasMaxPerNode),
  };
}

function checkConstraint(expression: string): void {
  try {
    parseConstraints([expression]);
  } catch (error) {
    throw badValue('--constraint', expression, `${errorText(error)}; write key==value or key!=value`);
  }
}

function endpointOf(present: EndpointSpec | undefined, flags: ServiceFlags): EndpointSpec | undefined {
  const mode = parseChoice('--publish-mode', flags.publishMode ?? 'host', PUBLISH_MODES);
  if (flags.ports === undefined) {
    if (flags.publishMode !== undefined) throw new UsageError('--publish-mode: needs --ports');
    return present;
  }
  const ports = flags.ports.map((port) => parsePort('--ports', port, mode));
  return { ...(present ?? create(EndpointSpecSchema)), ports };
}
