import {
  Mount_Type,
  parseConstraints,
  PortConfig_PublishMode,
  type Constraint,
  type GenericResource,
  type Mount,
  type Platform,
  type Task,
  type TaskSpec,
} from '../../api/index.js';

/** A label over whose values tasks are spread evenly. */
export interface Spread {
  readonly of: 'node' | 'engine';
  readonly label: string;
}

/** What a task's spec asks of a node; computed once for all tasks that share the spec. */
interface SpecRequirements {
  readonly nanoCpus: number;
  readonly memoryBytes: number;
  readonly generic: readonly GenericResource[];
  readonly constraints: readonly Constraint[];
  readonly platforms: readonly Platform[];
  readonly maxReplicas: number;
  readonly spreads: readonly Spread[];
  readonly volumePlugins: readonly string[];
  /** Undefined where any driver will do. */
  readonly logDriver: string | undefined;
  readonly clusterMounts: readonly Mount[];
}

/** What a task asks of a node. */
export interface Requirements extends SpecRequirements {
  readonly serviceId: string;
  readonly networkPlugins: readonly string[];
  /** As `protocol/port`. */
  readonly hostPorts: readonly string[];
}

const NODE_LABELS = 'node.labels.';
const ENGINE_LABELS = 'engine.labels.';
const NOTHING: readonly never[] = [];
const NO_SPEC: SpecRequirements = {
  nanoCpus: 0,
  memoryBytes: 0,
  generic: NOTHING,
  constraints: NOTHING,
  platforms: NOTHING,
  maxReplicas: 0,
  spreads: NOTHING,
  volumePlugins: NOTHING,
  logDriver: undefined,
  clusterMounts: NOTHING,
};

const ofSpecs = new WeakMap<TaskSpec, SpecRequirements>();

/** What the task asks of a node. */
export function requirementsOf(task: Task): Requirements {
  return {
    ...ofSpec(task.spec),
    serviceId: task.serviceId,
    networkPlugins: networkPluginsOf(task),
    hostPorts: hostPortsOf(task),
  };
}

/** CPU and memory that the task reserves, and the generic resources. */
export function reservationsOf(task: Task): Pick<SpecRequirements, 'nanoCpus' | 'memoryBytes' | 'generic'> {
  return ofSpec(task.spec);
}

/** The ports that the task takes on its node itself, as `protocol/port`. */
export function hostPortsOf(task: Task): readonly string[] {
  if (task.endpoint === undefined || task.endpoint.ports.length === 0) return NOTHING;
  return task.endpoint.ports
    .filter((port) => port.publishMode === PortConfig_PublishMode.HOST && port.publishedPort !== 0)
    .map((port) => `${port.protocol}/${port.publishedPort}`);
}

function networkPluginsOf(task: Task): readonly string[] {
  if (task.networks.length === 0) return NOTHING;
  return task.networks.map(({ network }) => network?.driverState?.name ?? '').filter((name) => name !== '');
}

function ofSpec(spec: TaskSpec | undefined): SpecRequirements {
  if (spec === undefined) return NO_SPEC;
  let found = ofSpecs.get(spec);
  if (found === undefined) {
    found = compile(spec);
    // Only what can no longer change may be remembered.
    if (Object.isFrozen(spec)) ofSpecs.set(spec, found);
  }
  return found;
}

function compile(spec: TaskSpec): SpecRequirements {
  const reservations = spec.resources?.reservations;
  const mounts = spec.runtime.case === 'container' ? spec.runtime.value.mounts : NOTHING;
  return {
    nanoCpus: Number(reservations?.nanoCpus ?? 0n),
    memoryBytes: Number(reservations?.memoryBytes ?? 0n),
    generic: reservations?.generic ?? NOTHING,
    constraints: constraintsOf(spec),
    platforms: spec.placement?.platforms ?? NOTHING,
    maxReplicas: Number(spec.placement?.maxReplicas ?? 0n),
    spreads: spreadsOf(spec),
    volumePlugins: mounts.map(volumePluginOf).filter((name) => name !== ''),
    logDriver: logDriverOf(spec),
    clusterMounts: mounts.filter((mount) => mount.type === Mount_Type.CLUSTER),
  };
}

/** Constraints were checked when the service was made; where they do not parse they are passed over, as in SwarmKit. */
function constraintsOf(spec: TaskSpec): readonly Constraint[] {
  const expressions = spec.placement?.constraints ?? NOTHING;
  try {
    return parseConstraints(expressions);
  } catch {
    return NOTHING;
  }
}

function spreadsOf(spec: TaskSpec): readonly Spread[] {
  return (spec.placement?.preferences ?? []).flatMap(({ Preference }) => {
    const descriptor = Preference.case === 'spread' ? Preference.value.spreadDescriptor : '';
    return spreadBy(descriptor, NODE_LABELS, 'node') ?? spreadBy(descriptor, ENGINE_LABELS, 'engine') ?? [];
  });
}

function spreadBy(descriptor: string, prefix: string, of: Spread['of']): Spread | undefined {
  const matches = descriptor.length > prefix.length && descriptor.slice(0, prefix.length).toLowerCase() === prefix;
  return matches ? { of, label: descriptor.slice(prefix.length) } : undefined;
}

function volumePluginOf(mount: Mount): string {
  const name = mount.type === Mount_Type.VOLUME ? (mount.volumeOptions?.driverConfig?.name ?? '') : '';
  return name === 'local' ? '' : name;
}

function logDriverOf(spec: TaskSpec): string | undefined {
  const name = spec.logDriver?.name ?? '';
  return name === '' || name === 'none' ? undefined : name;
}
