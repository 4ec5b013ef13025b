import { create } from '@bufbuild/protobuf';

import {
  discreteResource,
  EndpointSpec_ResolutionMode,
  EndpointSpecSchema,
  GlobalJobSchema,
  GlobalServiceSchema,
  namedResource,
  NetworkAttachmentConfigSchema,
  PlacementPreferenceSchema,
  PlacementSchema,
  PortConfig_Protocol,
  PortConfig_PublishMode,
  PortConfigSchema,
  ReplicatedJobSchema,
  ReplicatedServiceSchema,
  ResourceRequirementsSchema,
  ResourcesSchema,
  RestartPolicy_RestartCondition,
  RestartPolicySchema,
  ServiceSpecSchema,
  TaskSpecSchema,
  UpdateConfig_FailureAction,
  UpdateConfig_UpdateOrder,
  UpdateConfigSchema,
  UpdateStatus_UpdateState,
  type Endpoint,
  type GenericResource,
  type PlacementPreference,
  type ResourceRequirements,
  type Resources,
  type Service,
  type ServiceSpec,
  type TaskSpec,
  type UpdateStatus,
} from '../../api/index.js';
import { ApiError, type ApiVersion, type JsonObject } from '../http/index.js';
import {
  duration,
  int64,
  list,
  message,
  optional,
  optionalInt64,
  plainDuration,
  ratio,
  text,
  textMap,
  texts,
  timeText,
  uint32,
  uint64,
  word,
  type Codec,
  type MessageCodec,
} from './codec.js';
import { annotations, driver, objectHeader, platform, versionToJson } from './common.js';
import { containerSpec } from './container.js';
import { dropUnknownTo } from './version-gates.js';

/** A published port, in specs, endpoints and task statuses. */
export const portConfig = message(PortConfigSchema, (field) => [
  field('Name', 'name', text),
  field(
    'Protocol',
    'protocol',
    word([
      ['tcp', PortConfig_Protocol.TCP],
      ['udp', PortConfig_Protocol.UDP],
      ['sctp', PortConfig_Protocol.SCTP],
    ]),
  ),
  field('TargetPort', 'targetPort', uint32),
  field('PublishedPort', 'publishedPort', uint32),
  field(
    'PublishMode',
    'publishMode',
    word([
      ['ingress', PortConfig_PublishMode.INGRESS],
      ['host', PortConfig_PublishMode.HOST],
    ]),
  ),
]);

const endpointSpec = message(EndpointSpecSchema, (field) => [
  field(
    'Mode',
    'mode',
    word(
      [
        ['vip', EndpointSpec_ResolutionMode.VIP],
        ['dnsrr', EndpointSpec_ResolutionMode.DNSRR],
      ],
      (given) => `invalid resolution mode: ${JSON.stringify(given)}`,
    ),
  ),
  field('Ports', 'ports', list(portConfig)),
]);

const networkAttachment = message(NetworkAttachmentConfigSchema, (field) => [
  field('Target', 'target', text),
  field('Aliases', 'aliases', texts),
  field('DriverOpts', 'driverAttachmentOpts', textMap),
]);

const restartPolicy = message(RestartPolicySchema, (field) => [
  field(
    'Condition',
    'condition',
    word(
      [
        ['any', RestartPolicy_RestartCondition.ANY],
        ['none', RestartPolicy_RestartCondition.NONE],
        ['on-failure', RestartPolicy_RestartCondition.ON_FAILURE],
      ],
      (given) => `invalid RestartCondition: ${JSON.stringify(given)}`,
    ),
    'keep',
  ),
  field('Delay', 'delay', duration),
  field('MaxAttempts', 'maxAttempts', uint64, 'keep'),
  field('Window', 'window', duration),
]);

const updateConfig = message(UpdateConfigSchema, (field) => [
  field('Parallelism', 'parallelism', uint64, 'keep'),
  field('Delay', 'delay', plainDuration),
  field(
    'FailureAction',
    'failureAction',
    word(
      [
        ['pause', UpdateConfig_FailureAction.PAUSE],
        ['continue', UpdateConfig_FailureAction.CONTINUE],
        ['rollback', UpdateConfig_FailureAction.ROLLBACK],
      ],
      (given) => `unrecognized update failure action ${given}`,
    ),
  ),
  field('Monitor', 'monitor', plainDuration),
  field('MaxFailureRatio', 'maxFailureRatio', ratio, 'keep'),
  field(
    'Order',
    'order',
    word(
      [
        ['stop-first', UpdateConfig_UpdateOrder.STOP_FIRST],
        ['start-first', UpdateConfig_UpdateOrder.START_FIRST],
      ],
      (given) => `unrecognized update order ${given}`,
    ),
  ),
]);

const preference: MessageCodec<PlacementPreference> = {
  fromJson: (json) => {
    const spread = json.object('Spread');
    return create(PlacementPreferenceSchema, {
      Preference:
        spread === undefined
          ? { case: undefined }
          : { case: 'spread', value: { spreadDescriptor: spread.string('SpreadDescriptor') } },
    });
  },
  toJson: ({ Preference }) =>
    Preference.case === 'spread' ? { Spread: { SpreadDescriptor: Preference.value.spreadDescriptor } } : {},
};

/** Entries that name no way to spread say nothing. */
const preferences: Codec<PlacementPreference[]> = {
  ...list(preference),
  decode: (json, key) =>
    json
      .objects(key)
      .filter((entry) => entry.has('Spread'))
      .map((entry) => preference.fromJson(entry)),
};

const placement = message(PlacementSchema, (field) => [
  field('Constraints', 'constraints', texts),
  field('Preferences', 'preferences', preferences),
  field('MaxReplicas', 'maxReplicas', uint64),
  field('Platforms', 'platforms', list(platform)),
]);

/** Generic resources, counted or named. */
export const genericResource: MessageCodec<GenericResource> = {
  fromJson: (json) => {
    const discrete = json.object('DiscreteResourceSpec');
    if (discrete !== undefined) return discreteResource(discrete.string('Kind'), discrete.integer('Value'));
    const named = json.object('NamedResourceSpec');
    if (named !== undefined) return namedResource(named.string('Kind'), named.string('Value'));
    throw new ApiError(
      'invalid-parameter',
      `invalid ${json.path}: a generic resource needs DiscreteResourceSpec or NamedResourceSpec`,
    );
  },
  toJson: ({ resource }) => {
    switch (resource.case) {
      case 'discreteResourceSpec':
        return { DiscreteResourceSpec: { Kind: resource.value.kind, Value: resource.value.value } };
      case 'namedResourceSpec':
        return { NamedResourceSpec: { Kind: resource.value.kind, Value: resource.value.value } };
      default:
        return {};
    }
  },
};

/** Amounts of CPU, memory and generic resources. */
export const resources: MessageCodec<Resources> = message(ResourcesSchema, (field) => [
  field('NanoCPUs', 'nanoCpus', int64),
  field('MemoryBytes', 'memoryBytes', int64),
  field('GenericResources', 'generic', list(genericResource)),
]);

const resourceRequirements = message(ResourceRequirementsSchema, (field) => [
  field('Limits', 'limits', optional(resources)),
  field('Reservations', 'reservations', optional(resources)),
  field('SwapBytes', 'swapBytes', optionalInt64),
  field('MemorySwappiness', 'memorySwappiness', optionalInt64),
]);

const taskSpec = message(TaskSpecSchema, (field) => [
  field('RestartPolicy', 'restart', optional(restartPolicy)),
  field('Placement', 'placement', optional(placement)),
  field('Networks', 'networks', list(networkAttachment)),
  field('LogDriver', 'logDriver', optional(driver)),
  field('ForceUpdate', 'forceUpdate', uint64, 'keep'),
]);

/** Reads a service spec. `randomName` gives a name to a service that has none. */
export function serviceSpecFromJson(json: JsonObject, version: ApiVersion, randomName: () => string): ServiceSpec {
  const template = json.object('TaskTemplate');
  const endpoint = json.object('EndpointSpec');
  const given = annotations.fromJson(json);
  const spec = create(ServiceSpecSchema, {
    annotations: given.name === '' ? { ...given, name: randomName() } : given,
    task: taskSpecFromJson(template),
    mode: modeFromJson(json.object('Mode')),
  });
  const update = optional(updateConfig).decode(json, 'UpdateConfig');
  const rollback = optional(updateConfig).decode(json, 'RollbackConfig');
  return dropUnknownTo(version, {
    ...spec,
    ...(update === undefined ? {} : { update }),
    ...(rollback === undefined ? {} : { rollback }),
    ...(endpoint === undefined ? {} : { endpoint: endpointSpec.fromJson(endpoint) }),
    ...(version.lessThan('1.44') ? { networks: list(networkAttachment).decode(json, 'Networks') } : {}),
  });
}

function taskSpecFromJson(json: JsonObject | undefined): TaskSpec {
  const runtime = json?.string('Runtime') ?? '';
  if (runtime === 'plugin' && json?.has('PluginSpec') === true) {
    throw new ApiError('system', 'runtime type "plugin" only supported in experimental');
  }
  if (runtime !== '' && runtime !== 'plugin' && runtime !== 'container')
    throw new ApiError('invalid-parameter', 'unsupported runtime');
  const containerJson = json?.object('ContainerSpec');
  if (json === undefined || containerJson === undefined || runtime === 'plugin') {
    throw new ApiError('invalid-parameter', 'mismatched Runtime and *Spec fields');
  }
  const pidsLimit = json.object('Resources')?.object('Limits')?.integer('Pids') ?? 0n;
  const requirements = optional(resourceRequirements).decode(json, 'Resources');
  if (requirements?.swapBytes !== undefined && (requirements.limits?.memoryBytes ?? 0n) === 0n) {
    throw new ApiError('invalid-parameter', 'memory swap provided, but no memory-limit was set');
  }
  return {
    ...taskSpec.fromJson(json),
    ...(requirements === undefined ? {} : { resources: requirements }),
    runtime: { case: 'container', value: { ...containerSpec.fromJson(containerJson), pidsLimit } },
  };
}

function modeFromJson(json: JsonObject | undefined): ServiceSpec['mode'] {
  const given = ['Replicated', 'Global', 'ReplicatedJob', 'GlobalJob'].filter((key) => json?.has(key) === true);
  if (given.length > 1) throw new ApiError('invalid-parameter', 'must specify only one service mode');
  switch (given[0]) {
    case 'Global':
      return { case: 'global', value: create(GlobalServiceSchema) };
    case 'GlobalJob':
      return { case: 'globalJob', value: create(GlobalJobSchema) };
    case 'ReplicatedJob': {
      const job = json?.object('ReplicatedJob');
      const maxConcurrent = job?.optionalUnsigned('MaxConcurrent') ?? 1n;
      const totalCompletions = job?.optionalUnsigned('TotalCompletions') ?? maxConcurrent;
      return { case: 'replicatedJob', value: create(ReplicatedJobSchema, { maxConcurrent, totalCompletions }) };
    }
    default: {
      const replicas = json?.object('Replicated')?.optionalUnsigned('Replicas') ?? 1n;
      return { case: 'replicated', value: create(ReplicatedServiceSchema, { replicas }) };
    }
  }
}

/** A service as the API shows it, without its status counts. */
export function serviceToJson(service: Service): Record<string, unknown> {
  return {
    ...objectHeader(service.id, service.meta),
    Spec: service.spec === undefined ? {} : serviceSpecToJson(service.spec),
    ...(service.previousSpec === undefined ? {} : { PreviousSpec: serviceSpecToJson(service.previousSpec) }),
    Endpoint: endpointToJson(service.endpoint),
    ...(service.updateStatus === undefined ? {} : { UpdateStatus: updateStatusToJson(service.updateStatus) }),
    ...(service.jobStatus === undefined
      ? {}
      : {
          JobStatus: {
            JobIteration: versionToJson(service.jobStatus.jobIteration),
            LastExecution: timeText(service.jobStatus.lastExecution),
          },
        }),
  };
}

/** A service spec as the API shows it. */
export function serviceSpecToJson(spec: ServiceSpec): Record<string, unknown> {
  const task = spec.task ?? create(TaskSpecSchema);
  const networks = task.networks.length > 0 ? task.networks : spec.networks;
  return {
    ...(spec.annotations === undefined ? { Name: '', Labels: {} } : annotations.toJson(spec.annotations)),
    TaskTemplate: { ...taskSpecToJson({ ...task, networks }), ...runtimeToJson(task) },
    Mode: modeToJson(spec.mode),
    ...(spec.update === undefined ? {} : { UpdateConfig: updateConfig.toJson(spec.update) }),
    ...(spec.rollback === undefined ? {} : { RollbackConfig: updateConfig.toJson(spec.rollback) }),
    ...(spec.endpoint === undefined ? {} : { EndpointSpec: endpointSpec.toJson(spec.endpoint) }),
  };
}

/** A task template, in services and tasks. */
export function taskSpecToJson(task: TaskSpec): Record<string, unknown> {
  const requirements = requirementsToJson(task);
  return {
    ...(task.runtime.case === 'container' ? { ContainerSpec: containerSpec.toJson(task.runtime.value) } : {}),
    ...(task.runtime.case === 'attachment'
      ? { NetworkAttachmentSpec: { ContainerID: task.runtime.value.containerId } }
      : {}),
    ...(requirements === undefined ? {} : { Resources: requirements }),
    ...taskSpec.toJson(task),
    ...(task.runtime.case === 'attachment' ? { Runtime: 'attachment' } : {}),
  };
}

/** Services say what runs them; tasks do not, attachments apart. */
function runtimeToJson(task: TaskSpec): Record<string, unknown> {
  if (task.runtime.case === 'container') return { Runtime: 'container' };
  return task.runtime.case === 'generic' ? { Runtime: task.runtime.value.kind } : {};
}

/** The pids limit stands in the container spec of the protocol and among the limits of the API. */
function requirementsToJson(task: TaskSpec): Record<string, unknown> | undefined {
  const pids = task.runtime.case === 'container' ? task.runtime.value.pidsLimit : 0n;
  const requirements: ResourceRequirements | undefined = task.resources;
  if (requirements === undefined && pids === 0n) return undefined;
  const json = requirements === undefined ? {} : resourceRequirements.toJson(requirements);
  return pids === 0n ? json : { ...json, Limits: { ...(json['Limits'] as object | undefined), Pids: pids } };
}

function modeToJson(mode: ServiceSpec['mode']): Record<string, unknown> {
  switch (mode.case) {
    case 'replicated':
      return { Replicated: { Replicas: mode.value.replicas } };
    case 'global':
      return { Global: {} };
    case 'replicatedJob':
      return {
        ReplicatedJob: { MaxConcurrent: mode.value.maxConcurrent, TotalCompletions: mode.value.totalCompletions },
      };
    case 'globalJob':
      return { GlobalJob: {} };
    default:
      return {};
  }
}

function endpointToJson(endpoint: Endpoint | undefined): Record<string, unknown> {
  if (endpoint === undefined) return { Spec: {} };
  return {
    Spec: endpoint.spec === undefined ? {} : endpointSpec.toJson(endpoint.spec),
    ...(endpoint.ports.length === 0 ? {} : { Ports: endpoint.ports.map((port) => portConfig.toJson(port)) }),
    ...(endpoint.virtualIps.length === 0
      ? {}
      : { VirtualIPs: endpoint.virtualIps.map((vip) => ({ NetworkID: vip.networkId, Addr: vip.addr })) }),
  };
}

const UPDATE_STATES: Readonly<Record<UpdateStatus_UpdateState, string>> = {
  [UpdateStatus_UpdateState.UNKNOWN]: '',
  [UpdateStatus_UpdateState.UPDATING]: 'updating',
  [UpdateStatus_UpdateState.PAUSED]: 'paused',
  [UpdateStatus_UpdateState.COMPLETED]: 'completed',
  [UpdateStatus_UpdateState.ROLLBACK_STARTED]: 'rollback_started',
  [UpdateStatus_UpdateState.ROLLBACK_PAUSED]: 'rollback_paused',
  [UpdateStatus_UpdateState.ROLLBACK_COMPLETED]: 'rollback_completed',
};

/** The word for an update's state. */
export function updateStateWord(state: UpdateStatus_UpdateState): string {
  return UPDATE_STATES[state];
}

function updateStatusToJson(status: UpdateStatus): Record<string, unknown> {
  const state = updateStateWord(status.state);
  return {
    ...(state === '' ? {} : { State: state }),
    ...(status.startedAt === undefined ? {} : { StartedAt: timeText(status.startedAt) }),
    ...(status.completedAt === undefined ? {} : { CompletedAt: timeText(status.completedAt) }),
    ...(status.message === '' ? {} : { Message: status.message }),
  };
}
