import { create } from '@bufbuild/protobuf';

import { NodeDescriptionSchema, discreteResource, namedResource } from '../../api/index.js';
import type { GenericResource, NodeDescription } from '../../api/index.js';
import type { EngineGenericResource, EngineInfo, EnginePlugin } from '../docker-client/index.js';
import type { DockerExecutorOptions } from './options.js';

/** The only driver for networks over several hosts that every engine brings. Source: engine-api E-401. */
const OVERLAY = 'overlay';

/** Types of managed plugins as nodes describe them. */
const PLUGIN_TYPES: Readonly<Record<string, string>> = {
  volumedriver: 'Volume',
  networkdriver: 'Network',
  logdriver: 'Log',
};

/** The node that an engine makes, from what the engine says of itself. */
export function describeEngine(
  info: EngineInfo,
  plugins: readonly EnginePlugin[],
  options: DockerExecutorOptions,
): NodeDescription {
  return create(NodeDescriptionSchema, {
    hostname: options.hostname ?? info.Name,
    platform: { architecture: info.Architecture, os: info.OSType },
    resources: {
      nanoCpus: BigInt(info.NCPU) * 1_000_000_000n,
      memoryBytes: BigInt(info.MemTotal),
      generic: [...(options.genericResources ?? (info.GenericResources ?? []).flatMap(genericOf))],
    },
    engine: {
      engineVersion: info.ServerVersion,
      labels: { ...labelsOf(info.Labels ?? []), ...options.labels },
      plugins: pluginsOf(info, plugins),
    },
  });
}

function labelsOf(labels: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    labels
      .filter((label) => label.includes('='))
      .map((label) => {
        const at = label.indexOf('=');
        return [label.slice(0, at), label.slice(at + 1)];
      }),
  );
}

function pluginsOf({ Plugins: builtIn }: EngineInfo, managed: readonly EnginePlugin[]) {
  const named: (readonly [string, string])[] = [
    ...(builtIn.Volume ?? []).map((name) => ['Volume', name] as const),
    ...[OVERLAY, ...(builtIn.Network ?? [])].map((name) => ['Network', name] as const),
    ...(builtIn.Authorization ?? []).map((name) => ['Authorization', name] as const),
    ...(builtIn.Log ?? []).map((name) => ['Log', name] as const),
    ...managed
      .filter(({ Enabled }) => Enabled)
      .flatMap((plugin) => capabilitiesOf(plugin).map((type) => [type, plugin.Name] as const)),
  ];
  const unique = new Map(named.map(([type, name]) => [`${type}\0${name}`, { type, name }]));
  return [...unique.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, plugin]) => plugin);
}

/** Types are objects in older engines and `docker.capability/version` in newer ones. */
function capabilitiesOf({ Config }: EnginePlugin): readonly string[] {
  return (Config?.Interface?.Types ?? []).flatMap((type) => {
    const [, prefix, capability] =
      typeof type === 'string' ? (/^([^.]+)\.([^/]+)/.exec(type) ?? []) : ['', type.Prefix, type.Capability];
    if (prefix !== 'docker' || capability === undefined) return [];
    return [PLUGIN_TYPES[capability] ?? capability];
  });
}

function genericOf({
  NamedResourceSpec: named,
  DiscreteResourceSpec: discrete,
}: EngineGenericResource): GenericResource[] {
  return [
    ...(named == null ? [] : [namedResource(named.Kind, named.Value)]),
    ...(discrete == null ? [] : [discreteResource(discrete.Kind, BigInt(discrete.Value))]),
  ];
}
