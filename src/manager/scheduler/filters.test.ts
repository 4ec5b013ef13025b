import { describe, expect, it } from 'vitest';

import {
  discreteResource,
  Mount_Type,
  namedResource,
  NodeSpec_Availability,
  NodeStatus_State,
  PortConfig_Protocol,
  PortConfig_PublishMode,
  type Task,
} from '../../api/index.js';
import { Pipeline } from './filters.js';
import { NodeInfo } from './node-info.js';
import { requirementsOf } from './requirements.js';
import { node, runningTask, task, type NodeInit, type TaskInit } from './test-objects.js';
import { VolumeSet } from './volume-set.js';

const hostPort = (publishedPort: number, protocol = PortConfig_Protocol.TCP, mode = PortConfig_PublishMode.HOST) => ({
  endpoint: { ports: [{ publishedPort, protocol, publishMode: mode }] },
});
const reserving = (reservations: { nanoCpus?: bigint; memoryBytes?: bigint }): TaskInit => ({
  spec: { resources: { reservations } },
});
const plugins = (...names: readonly (readonly [type: string, name: string])[]): NodeInit => ({
  description: { engine: { plugins: names.map(([type, name]) => ({ type, name })) } },
});
const platform = (os: string, architecture: string): NodeInit => ({ description: { platform: { os, architecture } } });
const platforms = (...list: readonly { os: string; architecture: string }[]): TaskInit => ({
  spec: { placement: { platforms: [...list] } },
});
const networkDriver = (name: string): TaskInit => ({ networks: [{ network: { driverState: { name } } }] });
const logDriver = (name: string): TaskInit => ({ spec: { logDriver: { name } } });
const volumeDriver = (name: string): TaskInit => ({
  spec: {
    runtime: {
      case: 'container',
      value: { mounts: [{ type: Mount_Type.VOLUME, volumeOptions: { driverConfig: { name } } }] },
    },
  },
});
const resources = (nanoCpus: bigint, memoryBytes: bigint): NodeInit => ({
  description: { resources: { nanoCpus, memoryBytes } },
});

interface Case {
  readonly what: string;
  readonly node?: NodeInit;
  readonly running?: readonly Task[];
  readonly task?: TaskInit;
  readonly one?: string;
  readonly many?: string;
}

const NOT_AVAILABLE = ['1 node not available for new tasks', '3 nodes not available for new tasks'] as const;
const RESOURCES = ['insufficient resources on 1 node', 'insufficient resources on 3 nodes'] as const;
const PLUGIN = ['missing plugin on 1 node', 'missing plugin on 3 nodes'] as const;
const CONSTRAINTS = [
  'scheduling constraints not satisfied on 1 node',
  'scheduling constraints not satisfied on 3 nodes',
] as const;
const PLATFORM = ['unsupported platform on 1 node', 'unsupported platform on 3 nodes'] as const;
const PORT = ['host-mode port already in use on 1 node', 'host-mode port already in use on 3 nodes'] as const;
const REPLICAS = ['max replicas per node limit exceed', 'max replicas per node limit exceed'] as const;
const VOLUMES = [
  'cannot fulfill requested CSI volume mounts on 1 node',
  'cannot fulfill requested CSI volume mounts on 3 nodes',
] as const;

const refused = ([one, many]: readonly [string, string], rest: Omit<Case, 'one' | 'many'>): Case => ({
  ...rest,
  one,
  many,
});

const CASES: readonly Case[] = [
  { what: 'a ready, active node' },
  refused(NOT_AVAILABLE, { what: 'a node that is down', node: { status: { state: NodeStatus_State.DOWN } } }),
  refused(NOT_AVAILABLE, { what: 'a node of unknown state', node: { status: { state: NodeStatus_State.UNKNOWN } } }),
  refused(NOT_AVAILABLE, {
    what: 'a node that is paused',
    node: { spec: { availability: NodeSpec_Availability.PAUSE } },
  }),
  refused(NOT_AVAILABLE, {
    what: 'a node that is drained',
    node: { spec: { availability: NodeSpec_Availability.DRAIN } },
  }),
  { what: 'exactly enough resources', node: resources(10n, 10n), task: reserving({ nanoCpus: 10n, memoryBytes: 10n }) },
  refused(RESOURCES, { what: 'too few CPUs', node: resources(9n, 10n), task: reserving({ nanoCpus: 10n }) }),
  refused(RESOURCES, { what: 'too little memory', node: resources(9n, 9n), task: reserving({ memoryBytes: 10n }) }),
  refused(RESOURCES, {
    what: 'resources that a running task holds',
    node: resources(10n, 10n),
    running: [runningTask('r', 'n', reserving({ memoryBytes: 5n }))],
    task: reserving({ memoryBytes: 6n }),
  }),
  refused(RESOURCES, {
    what: 'too few units of a generic resource',
    node: { description: { resources: { generic: [discreteResource('gpu', 1n)] } } },
    task: { spec: { resources: { reservations: { generic: [discreteResource('gpu', 2n)] } } } },
  }),
  {
    what: 'enough named units of a generic resource',
    node: { description: { resources: { generic: [namedResource('gpu', 'a'), namedResource('gpu', 'b')] } } },
    task: { spec: { resources: { reservations: { generic: [discreteResource('gpu', 2n)] } } } },
  },
  { what: 'the plugin for a network', node: plugins(['Network', 'overlay']), task: networkDriver('overlay') },
  { what: 'a plugin tagged latest', node: plugins(['Network', 'weave:latest']), task: networkDriver('weave') },
  { what: 'a network without a driver', task: networkDriver('') },
  { what: 'a node without an engine', node: { description: {} }, task: networkDriver('overlay') },
  refused(PLUGIN, {
    what: 'no plugin for a network',
    node: plugins(['Volume', 'overlay']),
    task: networkDriver('overlay'),
  }),
  refused(PLUGIN, {
    what: 'another tag of a plugin',
    node: plugins(['Network', 'weave:2']),
    task: networkDriver('weave'),
  }),
  { what: 'the plugin for a volume', node: plugins(['Volume', 'nfs']), task: volumeDriver('nfs') },
  { what: 'a local volume', task: volumeDriver('local') },
  refused(PLUGIN, { what: 'no plugin for a volume', node: plugins(), task: volumeDriver('nfs') }),
  { what: 'the log driver', node: plugins(['Log', 'syslog']), task: logDriver('syslog') },
  { what: 'no log driver wanted', node: plugins(['Log', 'syslog']), task: logDriver('none') },
  { what: 'an engine that reports no log drivers', node: plugins(), task: logDriver('syslog') },
  refused(PLUGIN, { what: 'no such log driver', node: plugins(['Log', 'syslog']), task: logDriver('gelf') }),
  { what: 'a satisfied constraint', task: { spec: { placement: { constraints: ['node.id==n'] } } } },
  refused(CONSTRAINTS, {
    what: 'an unsatisfied constraint',
    task: { spec: { placement: { constraints: ['node.id!=n'] } } },
  }),
  { what: 'a constraint that cannot be read', task: { spec: { placement: { constraints: ['nonsense'] } } } },
  {
    what: 'the platform by alias',
    node: platform('linux', 'x86_64'),
    task: platforms({ os: 'linux', architecture: 'amd64' }),
  },
  {
    what: 'the other alias',
    node: platform('linux', 'arm64'),
    task: platforms({ os: 'linux', architecture: 'aarch64' }),
  },
  {
    what: 'one of several platforms',
    node: platform('linux', 'arm64'),
    task: platforms({ os: 'windows', architecture: '' }, { os: 'linux', architecture: 'arm64' }),
  },
  { what: 'any platform', node: platform('linux', 'riscv'), task: platforms({ os: '', architecture: '' }) },
  refused(PLATFORM, {
    what: 'another system',
    node: platform('windows', 'amd64'),
    task: platforms({ os: 'linux', architecture: 'amd64' }),
  }),
  refused(PLATFORM, {
    what: 'another architecture',
    node: platform('linux', 'arm'),
    task: platforms({ os: 'linux', architecture: 'arm64' }),
  }),
  refused(PLATFORM, { what: 'an unknown platform', task: platforms({ os: 'linux', architecture: 'amd64' }) }),
  { what: 'a free host port', running: [runningTask('r', 'n', hostPort(81))], task: hostPort(80) },
  {
    what: 'the same port of another protocol',
    running: [runningTask('r', 'n', hostPort(80))],
    task: hostPort(80, PortConfig_Protocol.UDP),
  },
  {
    what: 'the same port through the routing mesh',
    running: [runningTask('r', 'n', hostPort(80))],
    task: hostPort(80, PortConfig_Protocol.TCP, PortConfig_PublishMode.INGRESS),
  },
  { what: 'a host port to be chosen by the node', running: [runningTask('r', 'n', hostPort(0))], task: hostPort(0) },
  refused(PORT, { what: 'a used host port', running: [runningTask('r', 'n', hostPort(80))], task: hostPort(80) }),
  {
    what: 'fewer replicas than allowed',
    running: [runningTask('r', 'n')],
    task: { spec: { placement: { maxReplicas: 2n } } },
  },
  {
    what: 'replicas of another service',
    running: [runningTask('r', 'n', { serviceId: 'x' })],
    task: { spec: { placement: { maxReplicas: 1n } } },
  },
  refused(REPLICAS, {
    what: 'as many replicas as allowed',
    running: [runningTask('r', 'n')],
    task: { spec: { placement: { maxReplicas: 1n } } },
  }),
  refused(VOLUMES, {
    what: 'an unknown cluster volume',
    task: { spec: { runtime: { case: 'container', value: { mounts: [{ type: Mount_Type.CLUSTER, source: 'v' }] } } } },
  }),
];

describe('filters', () => {
  it.each(CASES)('$what', ({ node: nodeInit, running, task: taskInit, one, many }) => {
    const infos = ['n', 'n', 'n'].map((id) => {
      const info = new NodeInfo(node(id, nodeInit));
      for (const each of running ?? []) info.addTask(each);
      return info;
    });
    const pipeline = new Pipeline(requirementsOf(task('t', taskInit)), new VolumeSet());
    expect(pipeline.passes(infos[0]!)).toBe(one === undefined);
    expect(pipeline.reason(infos[0]!)).toBe(one);
    expect(pipeline.explain(infos.slice(0, 1))).toBe(one ?? '');
    expect(pipeline.explain(infos)).toBe(many ?? '');
  });
});

describe('an explanation', () => {
  it('names each node once, by the first filter that refuses it, the most frequent reason first', () => {
    const infos = [
      node('a', { ...resources(0n, 0n), status: { state: NodeStatus_State.DOWN } }),
      node('b', resources(0n, 0n)),
      node('c', resources(0n, 0n)),
      node('d', resources(9n, 9n)),
      node('e', resources(9n, 9n)),
    ].map((each) => new NodeInfo(each));
    const wanted = task('t', {
      spec: { resources: { reservations: { nanoCpus: 5n } }, placement: { constraints: ['node.role==manager'] } },
    });
    const pipeline = new Pipeline(requirementsOf(wanted), new VolumeSet());
    expect(pipeline.explain(infos)).toBe(
      'insufficient resources on 2 nodes; scheduling constraints not satisfied on 2 nodes; 1 node not available for new tasks',
    );
  });
});
