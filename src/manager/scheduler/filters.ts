import {
  constraintMatches,
  NodeSpec_Availability,
  NodeStatus_State,
  type EngineDescription,
  type Node,
  type Platform,
} from '../../api/index.js';
import type { NodeInfo } from './node-info.js';
import type { Requirements } from './requirements.js';
import type { VolumeSet } from './volume-set.js';

/** A reason why a task may not run on a node. */
export interface Filter {
  /** Whether the task asks for what the filter checks. */
  readonly applies: (required: Requirements) => boolean;
  /** Whether the node will do. */
  readonly passes: (required: Requirements, info: NodeInfo, volumes: VolumeSet) => boolean;
  /** What it means that `nodes` nodes will not do. The texts are SwarmKit's; people and tools search for them. */
  readonly explain: (nodes: number) => string;
}

/** Whether the node takes new tasks at all. */
export function isReady(node: Node): boolean {
  return (
    node.status?.state === NodeStatus_State.READY &&
    (node.spec?.availability ?? NodeSpec_Availability.ACTIVE) === NodeSpec_Availability.ACTIVE
  );
}

const ready: Filter = {
  applies: () => true,
  passes: (_required, info) => isReady(info.node),
  explain: (nodes) => `${count(nodes)} not available for new tasks`,
};

const resources: Filter = {
  applies: (required) => required.nanoCpus !== 0 || required.memoryBytes !== 0 || required.generic.length > 0,
  passes: (required, info) =>
    required.nanoCpus <= info.freeNanoCpus &&
    required.memoryBytes <= info.freeMemoryBytes &&
    (required.generic.length === 0 || info.hasGeneric(required.generic)),
  explain: (nodes) => `insufficient resources on ${count(nodes)}`,
};

const plugins: Filter = {
  applies: (required) =>
    required.networkPlugins.length > 0 || required.volumePlugins.length > 0 || required.logDriver !== undefined,
  passes: (required, info) => {
    // A node without an engine does not report plugins, and is trusted to have what it needs.
    const engine = info.node.description?.engine;
    if (engine === undefined) return true;
    return (
      required.volumePlugins.every((name) => hasPlugin(engine, 'Volume', name)) &&
      required.networkPlugins.every((name) => hasPlugin(engine, 'Network', name)) &&
      hasLogDriver(engine, required.logDriver)
    );
  },
  explain: (nodes) => `missing plugin on ${count(nodes)}`,
};

const constraints: Filter = {
  applies: (required) => required.constraints.length > 0,
  passes: (required, info) => required.constraints.every((constraint) => constraintMatches(constraint, info.node)),
  explain: (nodes) => `scheduling constraints not satisfied on ${count(nodes)}`,
};

const platform: Filter = {
  applies: (required) => required.platforms.length > 0,
  passes: (required, info) => {
    const actual = info.node.description?.platform;
    return actual !== undefined && required.platforms.some((wanted) => platformMatches(wanted, actual));
  },
  explain: (nodes) => `unsupported platform on ${count(nodes)}`,
};

const hostPorts: Filter = {
  applies: (required) => required.hostPorts.length > 0,
  passes: (required, info) => !required.hostPorts.some((port) => info.usesHostPort(port)),
  explain: (nodes) => `host-mode port already in use on ${count(nodes)}`,
};

const maxReplicas: Filter = {
  applies: (required) => required.maxReplicas > 0,
  passes: (required, info) => info.activeTasksOf(required.serviceId) < required.maxReplicas,
  explain: () => 'max replicas per node limit exceed',
};

const clusterVolumes: Filter = {
  applies: (required) => required.clusterMounts.length > 0,
  passes: (required, info, volumes) => volumes.choose(required.clusterMounts, info.node) !== undefined,
  explain: (nodes) => `cannot fulfill requested CSI volume mounts on ${count(nodes)}`,
};

/** In the order in which they are asked; the first that refuses a node is the one that is named. */
const FILTERS: readonly Filter[] = [
  ready,
  resources,
  plugins,
  constraints,
  platform,
  hostPorts,
  maxReplicas,
  clusterVolumes,
];

/** The filters that concern a task, in order. */
export class Pipeline {
  readonly #filters: readonly Filter[];

  constructor(
    readonly required: Requirements,
    readonly volumes: VolumeSet,
  ) {
    this.#filters = FILTERS.filter((filter) => filter.applies(required));
  }

  passes(info: NodeInfo): boolean {
    return this.#refusal(info) === undefined;
  }

  /** Why the node will not do, in a text that names no number of nodes but one; undefined when it will. */
  reason(info: NodeInfo): string | undefined {
    return this.#refusal(info)?.explain(1);
  }

  /** The reasons why none of the nodes will do, with how many nodes each holds for, the most frequent first. */
  explain(nodes: Iterable<NodeInfo>): string {
    const counts = new Map<Filter, number>(this.#filters.map((filter) => [filter, 0]));
    for (const info of nodes) {
      const refusal = this.#refusal(info);
      if (refusal !== undefined) counts.set(refusal, (counts.get(refusal) ?? 0) + 1);
    }
    return [...counts]
      .filter(([, failures]) => failures > 0)
      .sort(([, a], [, b]) => b - a)
      .map(([filter, failures]) => filter.explain(failures))
      .join('; ');
  }

  #refusal(info: NodeInfo): Filter | undefined {
    for (const filter of this.#filters) if (!filter.passes(this.required, info, this.volumes)) return filter;
    return undefined;
  }
}

function count(nodes: number): string {
  return nodes === 1 ? '1 node' : `${nodes} nodes`;
}

function hasPlugin(engine: EngineDescription, type: string, name: string): boolean {
  return engine.plugins.some(
    (plugin) => plugin.type === type && (plugin.name === name || plugin.name === `${name}:latest`),
  );
}

/** An engine that reports no log drivers is an old one that has some. */
function hasLogDriver(engine: EngineDescription, name: string | undefined): boolean {
  if (name === undefined || !engine.plugins.some((plugin) => plugin.type === 'Log')) return true;
  return hasPlugin(engine, 'Log', name);
}

function platformMatches(wanted: Platform, actual: Platform): boolean {
  const sameArchitecture = wanted.architecture === '' || architectureOf(wanted) === architectureOf(actual);
  return sameArchitecture && (wanted.os === '' || wanted.os === actual.os);
}

function architectureOf(given: Platform): string {
  switch (given.architecture) {
    case 'x86_64':
      return 'amd64';
    case 'aarch64':
      return 'arm64';
    default:
      return given.architecture;
  }
}
