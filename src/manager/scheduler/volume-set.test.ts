import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import {
  MountSchema,
  Mount_Type,
  TopologySchema,
  VolumeAccessMode_Scope as Scope,
  VolumeAccessMode_Sharing as Sharing,
  VolumeSchema,
  VolumeSpec_VolumeAvailability,
  type Node,
  type Volume,
  type VolumeSpec,
  type VolumeSpecSchema,
} from '../../api/index.js';
import { node, runningTask } from './test-objects.js';
import { liesWithin, VolumeSet } from './volume-set.js';

function volume(
  id: string,
  spec: Exclude<MessageInitShape<typeof VolumeSpecSchema>, VolumeSpec> = {},
  zone?: string,
): Volume {
  return create(VolumeSchema, {
    id,
    spec: {
      annotations: { name: `name-${id}` },
      group: 'fast',
      driver: { name: 'csi' },
      accessMode: { scope: Scope.MULTI_NODE, sharing: Sharing.ALL },
      ...spec,
    },
    volumeInfo: { volumeId: `plugin-${id}`, accessibleTopology: zone === undefined ? [] : [{ segments: { zone } }] },
  });
}

const csiNode = (id: string, zone = 'a'): Node =>
  node(id, { description: { csiInfo: [{ pluginName: 'csi', accessibleTopology: { segments: { zone } } }] } });
const mount = (source: string, readonly = false) =>
  create(MountSchema, { type: Mount_Type.CLUSTER, source, target: `/mnt/${source}`, readonly });
const user = (id: string, nodeId: string, volumeId: string, readonly = false) =>
  runningTask(id, nodeId, {
    spec: {
      runtime: {
        case: 'container',
        value: { mounts: [{ type: Mount_Type.CLUSTER, source: 'x', target: '/x', readonly }] },
      },
    },
    volumes: [{ id: volumeId, source: 'x', target: '/x' }],
  });

function setOf(...volumes: readonly Volume[]): VolumeSet {
  const set = new VolumeSet();
  for (const each of volumes) set.update(each);
  return set;
}

const chosen = (set: VolumeSet, at: Node, ...mounts: ReturnType<typeof mount>[]) =>
  set.choose(mounts, at)?.map((attachment) => attachment.id);

describe('a volume', () => {
  it('is found by name, or as the least used of a group', () => {
    const set = setOf(volume('v1'), volume('v2'));
    expect(chosen(set, csiNode('n'), mount('name-v2'))).toEqual(['v2']);
    expect(chosen(set, csiNode('n'), mount('group:fast'))).toEqual(['v1']);
    set.reserve(user('t', 'n', 'v1'));
    expect(chosen(set, csiNode('n'), mount('group:fast'))).toEqual(['v2']);
    expect(chosen(set, csiNode('n'), mount('name-v3'))).toBeUndefined();
    expect(chosen(set, csiNode('n'), mount('group:slow'))).toBeUndefined();
  });

  it('that is not made yet, or not active, is not used', () => {
    const unmade = { ...volume('v1'), volumeInfo: undefined };
    expect(setOf(unmade as Volume).size).toBe(0);
    const paused = volume('v1', { availability: VolumeSpec_VolumeAvailability.PAUSE });
    expect(chosen(setOf(paused), csiNode('n'), mount('name-v1'))).toBeUndefined();
  });

  it('needs its driver on the node, and the node in its reach', () => {
    const set = setOf(volume('v1', {}, 'a'));
    expect(chosen(set, node('n'), mount('name-v1'))).toBeUndefined();
    expect(chosen(set, csiNode('n', 'b'), mount('name-v1'))).toBeUndefined();
    expect(chosen(set, csiNode('n', 'a'), mount('name-v1'))).toEqual(['v1']);
  });

  it('of one node stays on the node that uses it, until nobody does', () => {
    const set = setOf(volume('v1', { accessMode: { scope: Scope.SINGLE_NODE, sharing: Sharing.ALL } }));
    const holder = user('t', 'n1', 'v1');
    set.reserve(holder);
    expect(chosen(set, csiNode('n2'), mount('name-v1'))).toBeUndefined();
    expect(chosen(set, csiNode('n1'), mount('name-v1'))).toEqual(['v1']);
    set.release(holder);
    expect(chosen(set, csiNode('n2'), mount('name-v1'))).toEqual(['v1']);
  });

  it.each([
    [Sharing.NONE, false, false, false],
    [Sharing.NONE, true, true, false],
    [Sharing.READ_ONLY, true, true, true],
    [Sharing.READ_ONLY, true, false, false],
    [Sharing.ONE_WRITER, false, true, true],
    [Sharing.ONE_WRITER, false, false, false],
    [Sharing.ONE_WRITER, true, false, true],
    [Sharing.ALL, false, false, true],
  ])('shared as %s, used read-only %s, wanted read-only %s: %s', (sharing, used, wanted, fits) => {
    const set = setOf(volume('v1', { accessMode: { scope: Scope.MULTI_NODE, sharing } }));
    set.reserve(user('t', 'n', 'v1', used));
    expect(chosen(set, csiNode('n'), mount('name-v1', wanted)) !== undefined).toBe(fits);
  });

  it('must be there for every mount of a task', () => {
    const set = setOf(volume('v1', { accessMode: { sharing: Sharing.NONE } }));
    expect(chosen(set, csiNode('n'), mount('name-v1'), mount('name-v2'))).toBeUndefined();
    expect(chosen(set, csiNode('n'), mount('name-v1'), mount('name-v1'))).toBeUndefined();
    set.remove('v1');
    expect(chosen(set, csiNode('n'), mount('name-v1'))).toBeUndefined();
  });

  it('keeps its users when it is told of anew', () => {
    const set = setOf(volume('v1', { accessMode: { sharing: Sharing.NONE } }));
    set.reserve(user('t', 'n', 'v1'));
    set.update(volume('v1', { accessMode: { scope: Scope.MULTI_NODE, sharing: Sharing.NONE } }));
    expect(chosen(set, csiNode('n'), mount('name-v1'))).toBeUndefined();
  });
});

type Segments = Record<string, string>;

it.each<[Segments | undefined, Segments[], boolean]>([
  [undefined, [{ zone: 'a' }], true],
  [{ zone: 'a' }, [], true],
  [{ zone: 'a', rack: '1' }, [{ zone: 'a' }], true],
  [{ zone: 'a' }, [{ zone: 'b' }, { zone: 'a' }], true],
  [{ zone: 'a' }, [{ zone: 'a', rack: '1' }], false],
  [{ zone: 'a' }, [{ zone: 'b' }], false],
])('a node at %j lies within %j: %s', (at, accessible, within) => {
  const topology = at === undefined ? undefined : create(TopologySchema, { segments: at });
  const reach = accessible.map((segments) => create(TopologySchema, { segments }));
  expect(liesWithin(topology, reach)).toBe(within);
});
