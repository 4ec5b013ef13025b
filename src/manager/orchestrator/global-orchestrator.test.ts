import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  durationFromMs,
  NodeSchema,
  NodeSpec_Availability,
  NodeStatus_State,
  PlacementSchema,
  TaskSpecSchema,
  TaskState,
  UpdateConfigSchema,
  UpdateStatus_UpdateState,
  type ServiceSpec,
  type Task,
  RestartPolicy_RestartCondition,
} from '../../api/index.js';
import { SimClock } from '../../sim/index.js';
import { GLOBAL_MODE, restartPolicy, serviceSpec, TestCluster } from './cluster.test-helper.js';
import { GlobalOrchestrator } from './global-orchestrator.js';

const { ACTIVE, PAUSE, DRAIN } = NodeSpec_Availability;

let cluster: TestCluster;

beforeEach(async () => {
  cluster = new TestCluster(new SimClock());
  for (const id of ['n1', 'n2', 'n3']) await cluster.node(id);
});

afterEach(async () => {
  await cluster.stop();
});

function spec(change: Partial<ServiceSpec> = {}, constraints: readonly string[] = []): ServiceSpec {
  const base = serviceSpec('agent:1', { mode: GLOBAL_MODE, ...change });
  if (constraints.length === 0) return base;
  const placement = create(PlacementSchema, { constraints: [...constraints] });
  return { ...base, task: { ...create(TaskSpecSchema), ...base.task, placement } };
}

async function running(service: ServiceSpec = spec()): Promise<void> {
  cluster.start(new GlobalOrchestrator(cluster.deps));
  await cluster.service('s', service);
  await cluster.settle();
}

function nodes(tasks: readonly Task[] = cluster.running('s')): readonly string[] {
  return tasks.map((task) => task.nodeId).sort();
}

function image(task: Task): string {
  return task.spec?.runtime.case === 'container' ? task.spec.runtime.value.image : '';
}

describe('placement', () => {
  it('runs one task on each node, in slot 0 with the node assigned', async () => {
    await running();
    expect(nodes()).toEqual(['n1', 'n2', 'n3']);
    expect(cluster.tasks('s').every((task) => task.slot === 0n)).toBe(true);
  });

  it('counts unknown and disconnected nodes as eligible, lost, drained and paused ones not', async () => {
    await cluster.node('n4', { status: create(NodeSchema, { status: { state: NodeStatus_State.UNKNOWN } }).status });
    await cluster.node('n5', {
      status: create(NodeSchema, { status: { state: NodeStatus_State.DISCONNECTED } }).status,
    });
    await cluster.nodeState('n1', NodeStatus_State.DOWN);
    await cluster.availability('n2', DRAIN);
    await cluster.availability('n3', PAUSE);
    await running();
    expect(nodes(cluster.wanted('s'))).toEqual(['n4', 'n5']);
  });

  it('creates tasks of every global service on a new node', async () => {
    await running();
    await cluster.service('other', serviceSpec('other', { mode: GLOBAL_MODE }));
    await cluster.settle();
    await cluster.node('n4');
    await cluster.settle();
    expect(nodes()).toEqual(['n1', 'n2', 'n3', 'n4']);
    expect(nodes(cluster.running('other'))).toEqual(['n1', 'n2', 'n3', 'n4']);
  });

  it('follows the constraints as nodes change', async () => {
    await running(spec({}, ['node.labels.disk==ssd']));
    expect(nodes()).toEqual([]);
    const label = (value: string): Promise<void> =>
      cluster.changeNode('n2', (node) => ({
        ...node,
        spec: create(NodeSchema, { spec: { annotations: { labels: { disk: value } } } }).spec,
      }));
    await label('ssd');
    await cluster.settle();
    expect(nodes()).toEqual(['n2']);
    await label('none');
    await cluster.settle();
    expect(nodes()).toEqual([]);
    expect(cluster.tasks('s').map((task) => task.desiredState)).toEqual([TaskState.SHUTDOWN]);
  });

  it('follows the constraints as the service changes', async () => {
    await running();
    await cluster.updateService('s', () => spec({}, ['node.id!=n1']));
    await cluster.settle();
    expect(nodes()).toEqual(['n2', 'n3']);
  });

  it.each([
    [
      'drained',
      (): Promise<void> => cluster.availability('n1', DRAIN),
      (): Promise<void> => cluster.availability('n1', ACTIVE),
    ],
    [
      'down',
      (): Promise<void> => cluster.nodeState('n1', NodeStatus_State.DOWN),
      (): Promise<void> => cluster.nodeState('n1', NodeStatus_State.READY),
    ],
  ])('shuts down the task of a node that is %s, and makes a new one when it is back', async (_name, lose, recover) => {
    await running();
    await lose();
    await cluster.settle();
    expect(nodes(cluster.wanted('s'))).toEqual(['n2', 'n3']);
    await recover();
    await cluster.settle();
    expect(nodes()).toEqual(['n1', 'n2', 'n3']);
  });

  it('deletes the tasks of a deleted node', async () => {
    await running();
    await cluster.store.update((tx) => tx.remove('node', 'n1'));
    await cluster.settle();
    expect(nodes(cluster.tasks('s'))).toEqual(['n2', 'n3']);
  });

  it('makes a new task for a wanted one that somebody deleted', async () => {
    await running();
    const victim = cluster.running('s')[0] as Task;
    await cluster.store.update((tx) => tx.remove('task', victim.id));
    await cluster.settle();
    expect(nodes()).toEqual(['n1', 'n2', 'n3']);
  });

  it('sets the tasks of a removed service to REMOVE', async () => {
    await running();
    await cluster.store.update((tx) => tx.remove('service', 's'));
    await cluster.clock.settle();
    expect(cluster.tasks('s').map((task) => task.desiredState)).toEqual(Array(3).fill(TaskState.REMOVE));
    await cluster.node('n9');
    await cluster.settle();
    expect(cluster.wanted('s')).toEqual([]);
  });

  it('leaves global jobs alone', async () => {
    cluster.start(new GlobalOrchestrator(cluster.deps));
    await cluster.service('job', {
      ...serviceSpec('job'),
      mode: { case: 'globalJob', value: { $typeName: 'docker.swarmkit.v1.GlobalJob' } },
    });
    await cluster.settle();
    expect(cluster.tasks()).toEqual([]);
  });
});

describe('restarts', () => {
  it('replaces a failed task on the same node, after the delay', async () => {
    const restart = restartPolicy({ delay: durationFromMs(1_000) });
    await running({ ...spec(), task: { ...create(TaskSpecSchema), ...spec().task, restart } });
    const victim = cluster.running('s')[0] as Task;
    await cluster.setTask(victim.id, TaskState.FAILED);
    await cluster.pass(900);
    expect(cluster.running('s')).toHaveLength(2);
    await cluster.pass(200);
    expect(nodes()).toEqual(['n1', 'n2', 'n3']);
  });

  it('counts attempts for each node by itself', async () => {
    const restart = restartPolicy({ maxAttempts: 2n });
    cluster.behaviour = (task) => (task.nodeId === 'n1' ? 'fail' : 'run');
    await running({ ...spec(), task: { ...create(TaskSpecSchema), ...spec().task, restart } });
    expect(cluster.tasks('s').filter((task) => task.nodeId === 'n1')).toHaveLength(3);
    expect(nodes()).toEqual(['n2', 'n3']);
  });

  it('only shuts down what fails on a paused node', async () => {
    await running();
    await cluster.availability('n1', PAUSE);
    await cluster.settle();
    const victim = cluster.running('s').find((task) => task.nodeId === 'n1') as Task;
    await cluster.setTask(victim.id, TaskState.FAILED);
    await cluster.settle();
    expect(nodes(cluster.wanted('s'))).toEqual(['n2', 'n3']);
    await cluster.availability('n1', ACTIVE);
    await cluster.settle();
    expect(nodes()).toEqual(['n1', 'n2', 'n3']);
  });

  it('repairs what it finds at start', async () => {
    await running();
    await cluster.stop();
    const next = cluster.running('s').find((task) => task.nodeId === 'n2') as Task;
    await cluster.setTask(next.id, TaskState.FAILED);
    await cluster.nodeState('n3', NodeStatus_State.DOWN);
    const controller = new AbortController();
    const run = new GlobalOrchestrator(cluster.deps).run(controller.signal);
    await cluster.settle();
    expect(nodes()).toEqual(['n1', 'n2']);
    controller.abort(new Error('over'));
    await run;
  });
});

describe('updates', () => {
  const update = () =>
    create(UpdateConfigSchema, {
      parallelism: 1n,
      delay: durationFromMs(1_000),
      monitor: durationFromMs(500),
    });

  it('replaces the tasks node by node', async () => {
    await running();
    await cluster.setImage('s', 'agent:2', update());
    await cluster.settle();
    expect(cluster.running('s').filter((task) => image(task) === 'agent:2')).toHaveLength(1);
    await cluster.pass(6_000);
    expect(cluster.running('s').map(image)).toEqual(Array(3).fill('agent:2'));
    expect(nodes()).toEqual(['n1', 'n2', 'n3']);
    expect(cluster.getService('s').updateStatus?.state).toBe(UpdateStatus_UpdateState.COMPLETED);
  });

  it('does not touch paused nodes, and updates them when they are active again', async () => {
    await running();
    await cluster.availability('n1', PAUSE);
    await cluster.setImage('s', 'agent:2', update());
    await cluster.pass(6_000);
    expect(cluster.running('s').map(image).sort()).toEqual(['agent:1', 'agent:2', 'agent:2']);
    await cluster.availability('n1', ACTIVE);
    await cluster.settle();
    expect(cluster.running('s').map(image)).toEqual(Array(3).fill('agent:2'));
    expect(nodes()).toEqual(['n1', 'n2', 'n3']);
  });

  it('leaves tasks to a running update when their node changes', async () => {
    await running();
    await cluster.setImage('s', 'agent:2', update());
    await cluster.settle();
    for (const id of ['n1', 'n2', 'n3']) await cluster.nodeState(id, NodeStatus_State.READY);
    await cluster.settle();
    expect(cluster.running('s').filter((task) => image(task) === 'agent:2')).toHaveLength(1);
    await cluster.pass(8_000);
    expect(cluster.running('s').map(image)).toEqual(Array(3).fill('agent:2'));
  });

  it('leaves tasks alone while the update is paused', async () => {
    await running();
    cluster.behaviour = (task) => (image(task) === 'agent:2' ? 'reject' : 'run');
    await cluster.updateService('s', (old) => ({
      ...old,
      task: {
        ...create(TaskSpecSchema),
        ...serviceSpec('agent:2').task,
        restart: restartPolicy({ condition: RestartPolicy_RestartCondition.NONE }),
      },
      update: update(),
    }));
    await cluster.pass(1_000);
    expect(cluster.getService('s').updateStatus?.state).toBe(UpdateStatus_UpdateState.PAUSED);
    for (const id of ['n1', 'n2', 'n3']) await cluster.nodeState(id, NodeStatus_State.READY);
    await cluster.pass(1_000);
    expect(cluster.running('s').map(image)).toEqual(['agent:1', 'agent:1']);
  });
});
