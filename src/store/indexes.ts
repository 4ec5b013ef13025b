import { runtimeName, taskName, taskState, type Annotations, type ServiceSpec, type TaskSpec } from '../api/index.js';
import type { By } from './by.js';
import type { Objects, TableName } from './tables.js';

/** How an index is computed from an object. */
export interface Index<T> {
  /** The keys under which the object is found: none, one, or several. */
  readonly keys: (object: T) => readonly string[] | string | undefined;
  /** A cheap test that lets an update skip the index; may say false although the keys are the same. */
  readonly same: (a: T, b: T) => boolean;
}

/** A name of an index: the finder that searches it. */
export type IndexName = Exclude<By['kind'], 'all' | 'or' | 'idPrefix' | 'namePrefix' | 'customPrefix'>;

/** The indexes of one table. */
export type TableIndexes<T> = Readonly<Partial<Record<IndexName, Index<T>>>>;

/** An index over one part of the object. */
function over<T, P>(part: (object: T) => P, keys: (part: P) => readonly string[] | string | undefined): Index<T> {
  return { keys: (object) => keys(part(object)), same: (a, b) => part(a) === part(b) };
}

interface Annotated {
  readonly annotations?: Annotations | undefined;
}

interface Specified {
  readonly spec?: Annotated | undefined;
}

const bySpecName = {
  name: over(
    (object: Specified) => object.spec?.annotations?.name ?? '',
    (name) => name.toLowerCase(),
  ),
} as const;
const bySpecIndices = { custom: over((object: Specified) => object.spec?.annotations, customKeys) } as const;
const byAnnotations = {
  name: over(
    (object: Annotated) => object.annotations?.name ?? '',
    (name) => name.toLowerCase(),
  ),
  custom: over((object: Annotated) => object.annotations, customKeys),
} as const;

/** Every index of every table. Source: SwarmKit's store. */
export const INDEXES: { readonly [T in TableName]: TableIndexes<Objects[T]> } = {
  cluster: { ...bySpecName, ...bySpecIndices },
  network: { ...bySpecName, ...bySpecIndices },
  secret: { ...bySpecName, ...bySpecIndices },
  config: { ...bySpecName, ...bySpecIndices },
  extension: byAnnotations,
  resource: { ...byAnnotations, resourceKind: over((resource) => resource.kind, key) },
  node: {
    name: over(
      (node) => node.description?.hostname,
      (hostname) => hostname?.toLowerCase(),
    ),
    role: over((node) => node.role, String),
    membership: over((node) => node.spec?.membership ?? 0, String),
    ...bySpecIndices,
  },
  service: {
    ...bySpecName,
    ...bySpecIndices,
    runtime: over((service) => service.spec?.task, runtimeKey),
    referencedNetwork: over((service) => service.spec, serviceNetworks),
    referencedSecret: over((service) => service.spec?.task, secretIds),
    referencedConfig: over((service) => service.spec?.task, configIds),
  },
  task: {
    name: {
      keys: (task) => taskName(task).toLowerCase(),
      same: (a, b) =>
        a.annotations === b.annotations &&
        a.slot === b.slot &&
        a.nodeId === b.nodeId &&
        a.serviceAnnotations === b.serviceAnnotations,
    },
    custom: over((task) => task.annotations, customKeys),
    runtime: over((task) => task.spec, runtimeKey),
    service: over((task) => task.serviceId, key),
    node: over((task) => task.nodeId, key),
    slot: {
      keys: (task) => slotKey(task.serviceId, task.slot),
      same: (a, b) => a.slot === b.slot && a.serviceId === b.serviceId,
    },
    desiredState: over((task) => task.desiredState, String),
    taskState: over(taskState, String),
    referencedNetwork: over((task) => task.spec, networkTargets),
    referencedSecret: over((task) => task.spec, secretIds),
    referencedConfig: over((task) => task.spec, configIds),
    volumeAttachment: over(
      (task) => task.volumes,
      (volumes) => volumes.map((volume) => volume.id),
    ),
  },
  volume: {
    ...bySpecName,
    ...bySpecIndices,
    group: over((volume) => volume.spec?.group ?? '', key),
    driver: over((volume) => volume.spec?.driver?.name, key),
  },
};

/** Tables where no two objects may have the same name, whatever its case. */
export const UNIQUE_NAMES: ReadonlySet<TableName> = new Set([
  'cluster',
  'config',
  'extension',
  'network',
  'resource',
  'secret',
  'service',
  'volume',
]);

/** Where a finder looks: an index and a whole key or the start of one. */
export interface Search {
  readonly index: IndexName;
  readonly key: string;
  readonly prefix: boolean;
}

/** The search a finder stands for, other than `all`, `or` and `idPrefix`. */
export function searchOf(by: Exclude<By, { kind: 'all' | 'or' | 'idPrefix' }>): Search {
  switch (by.kind) {
    case 'name':
      return exact('name', by.name.toLowerCase());
    case 'namePrefix':
      return { index: 'name', key: by.prefix.toLowerCase(), prefix: true };
    case 'custom':
      return exact('custom', customKey(by.index, by.key));
    case 'customPrefix':
      return { index: 'custom', key: customKey(by.index, by.prefix), prefix: true };
    case 'slot':
      return exact('slot', slotKey(by.serviceId, by.slot));
    case 'role':
      return exact('role', String(by.role));
    case 'membership':
      return exact('membership', String(by.membership));
    case 'desiredState':
    case 'taskState':
      return exact(by.kind, String(by.state));
    case 'runtime':
      return exact('runtime', by.runtime);
    default:
      return referenceSearch(by);
  }
}

type Reference = Extract<
  By,
  {
    kind:
      | 'service'
      | 'node'
      | 'referencedNetwork'
      | 'referencedSecret'
      | 'referencedConfig'
      | 'volumeAttachment'
      | 'resourceKind'
      | 'group'
      | 'driver';
  }
>;

function referenceSearch(by: Reference): Search {
  switch (by.kind) {
    case 'service':
      return exact(by.kind, by.serviceId);
    case 'node':
      return exact(by.kind, by.nodeId);
    case 'referencedNetwork':
      return exact(by.kind, by.networkId);
    case 'referencedSecret':
      return exact(by.kind, by.secretId);
    case 'referencedConfig':
      return exact(by.kind, by.configId);
    case 'volumeAttachment':
      return exact(by.kind, by.volumeId);
    case 'resourceKind':
      return exact(by.kind, by.resourceKind);
    case 'group':
      return exact(by.kind, by.group);
    case 'driver':
      return exact(by.kind, by.driver);
  }
}

function exact(index: IndexName, searched: string): Search {
  return { index, key: searched, prefix: false };
}

function key(value: string | undefined): string | undefined {
  return value;
}

function slotKey(serviceId: string, slot: bigint): string {
  return `${serviceId}/${slot}`;
}

function customKey(index: string, value: string): string {
  return `${index}|${value}`;
}

function customKeys(annotations: Annotations | undefined): readonly string[] | undefined {
  return annotations?.indices.map((entry) => customKey(entry.key, entry.val));
}

function runtimeKey(spec: TaskSpec | undefined): string | undefined {
  return spec?.runtime.case === undefined ? undefined : runtimeName(spec);
}

function networkTargets(spec: TaskSpec | undefined): readonly string[] | undefined {
  return spec?.networks.map((network) => network.target);
}

/** The task's networks; those at the service, deprecated, only where the task names none. */
function serviceNetworks(spec: ServiceSpec | undefined): readonly string[] | undefined {
  const ofTask = networkTargets(spec?.task);
  return ofTask === undefined || ofTask.length === 0 ? spec?.networks.map((network) => network.target) : ofTask;
}

function secretIds(spec: TaskSpec | undefined): readonly string[] | undefined {
  return spec?.runtime.case === 'container' ? spec.runtime.value.secrets.map((secret) => secret.secretId) : undefined;
}

function configIds(spec: TaskSpec | undefined): readonly string[] | undefined {
  return spec?.runtime.case === 'container' ? spec.runtime.value.configs.map((config) => config.configId) : undefined;
}
