import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  namedResource,
  NodeSchema,
  NodeSpec_Availability,
  PlacementSchema,
  TaskSchema,
  TaskSpecSchema,
  TaskState,
  TaskStatusSchema,
  VolumeSchema,
  VolumeSpec_VolumeAvailability,
  type Node,
  type Task,
} from '../../api/index.js';
import { SimClock } from '../../sim/index.js';
import { serviceSpec, TestCluster } from './cluster.test-helper.js';
import { ConstraintEnforcer, VolumeEnforcer } from './index.js';

let cluster: TestCluster;

beforeEach(() => {
  cluster = new TestCluster(new SimClock());
});

afterEach(async () => {
  await cluster.stop();
});

async function task(id: string, change: Partial<Task> = {}): Promise<void> {
  const status = create(TaskStatusSchema, { state: TaskState.RUNNING });
  const base = create(TaskSchema, { id, nodeId: 'n1', slot: 1n, desiredState: TaskState.RUNNING, status, spec: {} });
  await cluster.store.update((tx) => tx.create('task', { ...base, ...change }));
}

function node(change: {
  memoryBytes?: bigint;
  nanoCpus?: bigint;
  labels?: Record<string, string>;
  gpus?: string[];
}): Partial<Node> {
  const generic = (change.gpus ?? []).map((name) => namedResource('gpu', name));
  const { spec, description } = create(NodeSchema, {
    spec: { availability: NodeSpec_Availability.ACTIVE, annotations: { labels: change.labels ?? {} } },
    description: { resources: { memoryBytes: change.memoryBytes ?? 0n, nanoCpus: change.nanoCpus ?? 0n, generic } },
  });
  return { spec, description };
}

function rejected(): readonly string[] {
  return cluster
    .tasks()
    .filter((each) => each.status?.state === TaskState.REJECTED)
    .map((each) => each.id);
}

function reserving(memoryBytes: bigint): Partial<Task> {
  return { spec: create(TaskSpecSchema, { resources: { reservations: { memoryBytes } } }) };
}

describe('constraint enforcer', () => {
  const ssd = {
    spec: create(TaskSpecSchema, { placement: create(PlacementSchema, { constraints: ['node.labels.disk==ssd'] }) }),
  };

  it('rejects tasks whose node no longer satisfies their constraints', async () => {
    await cluster.node('n1', node({ labels: { disk: 'ssd' } }));
    await task('t', ssd);
    cluster.start(new ConstraintEnforcer(cluster.deps));
    await cluster.clock.settle();
    expect(rejected()).toEqual([]);
    await cluster.changeNode('n1', (old) => ({ ...old, ...node({}) }));
    await cluster.clock.settle();
    expect(cluster.tasks()[0]?.status).toMatchObject({
      state: TaskState.REJECTED,
      message: 'task rejected by constraint enforcer',
      err: 'assigned node no longer meets constraints',
    });
    expect(cluster.tasks()[0]?.desiredState).toBe(TaskState.RUNNING);
  });

  it('looks at all nodes at start', async () => {
    await cluster.node('n1', node({}));
    await task('t', ssd);
    cluster.start(new ConstraintEnforcer(cluster.deps));
    await cluster.clock.settle();
    expect(rejected()).toEqual(['t']);
  });

  it('goes by the present constraints of the service', async () => {
    const spec = serviceSpec('web');
    await cluster.service('s', { ...spec, task: { ...create(TaskSpecSchema), ...spec.task, ...ssd.spec } });
    await cluster.node('n1', node({}));
    await task('t', { serviceId: 's' });
    cluster.start(new ConstraintEnforcer(cluster.deps));
    await cluster.clock.settle();
    expect(rejected()).toEqual(['t']);
  });

  it.each([
    ['paused', { availability: NodeSpec_Availability.PAUSE }],
    ['drained', { availability: NodeSpec_Availability.DRAIN }],
  ])('leaves %s nodes alone', async (_name, spec) => {
    await cluster.node('n1', { spec: create(NodeSchema, { spec }).spec });
    await task('t', ssd);
    cluster.start(new ConstraintEnforcer(cluster.deps));
    await cluster.clock.settle();
    expect(rejected()).toEqual([]);
  });

  it.each([
    ['desired READY', { desiredState: TaskState.READY }, true],
    ['desired SHUTDOWN', { desiredState: TaskState.SHUTDOWN }, false],
    ['complete', { status: create(TaskStatusSchema, { state: TaskState.COMPLETE }) }, false],
    ['a job', { desiredState: TaskState.COMPLETE }, true],
  ])('a task that is %s', async (_name, change, expected) => {
    await cluster.node('n1', node({}));
    await task('t', { ...ssd, ...change });
    cluster.start(new ConstraintEnforcer(cluster.deps));
    await cluster.clock.settle();
    expect(rejected()).toEqual(expected ? ['t'] : []);
  });

  it('rejects what the node can no longer hold, keeping older tasks', async () => {
    await cluster.node('n1', node({ memoryBytes: 300n }));
    for (const id of ['z', 'y', 'x']) {
      await task(id, reserving(100n));
      await cluster.clock.advance(1_000);
    }
    cluster.start(new ConstraintEnforcer(cluster.deps));
    await cluster.clock.settle();
    expect(rejected()).toEqual([]);
    await cluster.changeNode('n1', (old) => ({ ...old, ...node({ memoryBytes: 200n }) }));
    await cluster.clock.settle();
    expect(rejected()).toEqual(['x']);
  });

  it('does not count completed tasks', async () => {
    await cluster.node('n1', node({ memoryBytes: 100n }));
    await task('done', { ...reserving(100n), status: create(TaskStatusSchema, { state: TaskState.COMPLETE }) });
    await task('t', reserving(100n));
    cluster.start(new ConstraintEnforcer(cluster.deps));
    await cluster.clock.settle();
    expect(rejected()).toEqual([]);
  });

  it('goes on to the other tasks after one whose generic resource is gone', async () => {
    await cluster.node('n1', node({ gpus: ['b'] }));
    await task('1', { assignedGenericResources: [namedResource('gpu', 'a')] });
    await task('2', { assignedGenericResources: [namedResource('gpu', 'b')] });
    await task('3', ssd);
    cluster.start(new ConstraintEnforcer(cluster.deps));
    await cluster.clock.settle();
    expect(rejected()).toEqual(['1', '3']);
  });
});

describe('volume enforcer', () => {
  async function volume(availability: VolumeSpec_VolumeAvailability): Promise<void> {
    await cluster.store.update((tx) => {
      const present = tx.get('volume', 'v');
      const wanted = create(VolumeSchema, { id: 'v', spec: { availability, annotations: { name: 'v' } } });
      if (present === undefined) tx.create('volume', wanted);
      else tx.update('volume', { ...present, spec: wanted.spec });
    });
  }

  it('rejects the tasks of a volume that is being drained', async () => {
    const volumes = create(TaskSchema, { volumes: [{ id: 'v', source: 'v', target: '/data' }] }).volumes;
    await volume(VolumeSpec_VolumeAvailability.ACTIVE);
    await task('t', { volumes });
    await task('stopping', { volumes, desiredState: TaskState.SHUTDOWN });
    await task('other');
    cluster.start(new VolumeEnforcer(cluster.deps));
    await cluster.clock.settle();
    expect(rejected()).toEqual([]);
    await volume(VolumeSpec_VolumeAvailability.DRAIN);
    await cluster.clock.settle();
    expect(rejected()).toEqual(['t']);
    expect(cluster.tasks().find((each) => each.id === 't')?.status).toMatchObject({
      message: 'task rejected by volume enforcer',
      err: 'attached to volume which is being drained',
    });
  });
});
