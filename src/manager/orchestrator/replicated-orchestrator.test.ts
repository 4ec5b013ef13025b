import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  durationFromMs,
  NodeSpec_Availability,
  NodeStatus_State,
  RestartPolicy_RestartCondition,
  TaskSpecSchema,
  TaskState,
  TaskStatusSchema,
  timestampFromMs,
  type RestartPolicy,
  type ServiceSpec,
  type Task,
  EndpointSpecSchema,
  UpdateConfig_FailureAction,
} from '../../api/index.js';
import { SimClock } from '../../sim/index.js';
import { replicatedMode, restartPolicy, serviceSpec, TestCluster } from './cluster.test-helper.js';
import { ReplicatedOrchestrator } from './replicated-orchestrator.js';

let cluster: TestCluster;

beforeEach(async () => {
  cluster = new TestCluster(new SimClock());
  for (const id of ['n1', 'n2', 'n3']) await cluster.node(id);
});

afterEach(async () => {
  await cluster.stop();
});

function start(): void {
  cluster.start(new ReplicatedOrchestrator(cluster.deps));
}

function slots(tasks: readonly Task[]): readonly number[] {
  return tasks.map((task) => Number(task.slot)).sort((left, right) => left - right);
}

function withRestart(policy: Partial<RestartPolicy>, replicas = 1): ServiceSpec {
  const spec = serviceSpec('web', { mode: replicatedMode(replicas) });
  return { ...spec, task: { ...create(TaskSpecSchema), ...spec.task, restart: restartPolicy(policy) } };
}

function only(tasks: readonly Task[]): Task {
  expect(tasks).toHaveLength(1);
  return tasks[0] as Task;
}

describe('slots', () => {
  it('creates one task for each replica, in slots from 1', async () => {
    start();
    await cluster.service('s', serviceSpec('web', { mode: replicatedMode(3) }));
    await cluster.settle();
    expect(slots(cluster.running('s'))).toEqual([1, 2, 3]);
  });

  it('gives new tasks the spec object of their service, its version, annotations, endpoint and log driver', async () => {
    const spec: ServiceSpec = {
      ...serviceSpec('web'),
      endpoint: create(EndpointSpecSchema),
    };
    start();
    await cluster.service('s', spec);
    await cluster.clock.settle();
    const task = only(cluster.tasks('s'));
    const service = cluster.getService('s');
    expect(task.spec).toBe(service.spec?.task);
    expect(task.serviceAnnotations).toBe(service.spec?.annotations);
    expect(task.endpoint?.spec).toBe(service.spec?.endpoint);
    expect(task.specVersion).toEqual(service.specVersion);
    expect(task.desiredState).toBe(TaskState.RUNNING);
    expect(task.status).toMatchObject({ state: TaskState.NEW, message: 'created' });
    expect(task.nodeId).toBe('');
  });

  it('takes the log driver of the cluster where the task names none', async () => {
    await cluster.cluster(5);
    await cluster.store.update((tx) => {
      const present = tx.get('cluster', 'cluster');
      if (present?.spec === undefined) return;
      tx.update('cluster', {
        ...present,
        spec: {
          ...present.spec,
          taskDefaults: {
            $typeName: 'docker.swarmkit.v1.TaskDefaults',
            logDriver: { $typeName: 'docker.swarmkit.v1.Driver', name: 'journald', options: {} },
          },
        },
      });
    });
    start();
    await cluster.service('s', serviceSpec('web'));
    await cluster.clock.settle();
    expect(only(cluster.tasks('s')).logDriver?.name).toBe('journald');
  });

  it('fills the lowest free slot numbers when it scales up', async () => {
    start();
    await cluster.service('s', serviceSpec('web', { mode: replicatedMode(3) }));
    await cluster.settle();
    const second = cluster.tasks('s').find((task) => task.slot === 2n) as Task;
    await cluster.store.update((tx) => tx.remove('task', second.id));
    await cluster.updateService('s', (spec) => ({ ...spec, mode: replicatedMode(5) }));
    await cluster.settle();
    expect(slots(cluster.running('s'))).toEqual([1, 2, 3, 4, 5]);
  });

  it('keeps the nodes balanced when it scales down, and sets the rest to REMOVE', async () => {
    start();
    await cluster.service('s', serviceSpec('web', { mode: replicatedMode(0) }));
    for (const [slot, nodeId] of [
      [1n, 'n1'],
      [2n, 'n1'],
      [3n, 'n1'],
      [4n, 'n2'],
    ] as const) {
      const service = cluster.getService('s');
      await cluster.store.update((tx) => {
        tx.create('task', {
          $typeName: 'docker.swarmkit.v1.Task',
          id: `t${slot}`,
          serviceId: 's',
          slot,
          nodeId,
          spec: service.spec?.task,
          specVersion: service.specVersion,
          desiredState: TaskState.RUNNING,
          status: create(TaskStatusSchema, { state: TaskState.RUNNING }),
          networks: [],
          assignedGenericResources: [],
          volumes: [],
        });
      });
    }
    await cluster.updateService('s', (spec) => ({ ...spec, mode: replicatedMode(2) }));
    await cluster.clock.settle();
    const removed = cluster.tasks('s').filter((task) => task.desiredState === TaskState.REMOVE);
    expect(slots(removed)).toEqual([2, 3]);
  });

  it('sets every task of a removed service to REMOVE', async () => {
    start();
    await cluster.service('s', serviceSpec('web', { mode: replicatedMode(2) }));
    await cluster.settle();
    await cluster.store.update((tx) => tx.remove('service', 's'));
    await cluster.clock.settle();
    expect(cluster.tasks('s').map((task) => task.desiredState)).toEqual([TaskState.REMOVE, TaskState.REMOVE]);
  });

  it('replaces a wanted task that somebody deleted', async () => {
    start();
    await cluster.service('s', serviceSpec('web'));
    await cluster.settle();
    const first = only(cluster.tasks('s'));
    await cluster.store.update((tx) => tx.remove('task', first.id));
    await cluster.settle();
    expect(only(cluster.running('s')).id).not.toBe(first.id);
  });

  it('deletes the history of slots that are no longer used', async () => {
    start();
    await cluster.service('s', serviceSpec('web', { mode: replicatedMode(2) }));
    await cluster.settle();
    await cluster.updateService('s', (spec) => ({ ...spec, mode: replicatedMode(1) }));
    await cluster.settle();
    expect(cluster.tasks('s')).toHaveLength(2);
    await cluster.updateService('s', (spec) => ({ ...spec, annotations: undefined }));
    await cluster.settle();
    expect(only(cluster.tasks('s')).slot).toBe(1n);
  });

  it('leaves services of other modes alone', async () => {
    start();
    await cluster.service('job', {
      ...serviceSpec('job'),
      mode: {
        case: 'replicatedJob',
        value: { $typeName: 'docker.swarmkit.v1.ReplicatedJob', maxConcurrent: 1n, totalCompletions: 1n },
      },
    });
    await cluster.service('none', { ...serviceSpec('none'), mode: { case: undefined } });
    await cluster.settle();
    expect(cluster.tasks()).toEqual([]);
  });
});

describe('restarts', () => {
  it('replaces a failed task in the same slot', async () => {
    start();
    await cluster.service('s', withRestart({}));
    await cluster.settle();
    const first = only(cluster.running('s'));
    await cluster.setTask(first.id, TaskState.FAILED);
    await cluster.settle();
    const second = only(cluster.running('s'));
    expect(second.slot).toBe(first.slot);
    expect(cluster.tasks('s').find((task) => task.id === first.id)?.desiredState).toBe(TaskState.SHUTDOWN);
  });

  it('holds the replacement at READY until the delay is over', async () => {
    start();
    await cluster.service('s', withRestart({ delay: durationFromMs(5_000) }));
    await cluster.settle();
    await cluster.setTask(only(cluster.running('s')).id, TaskState.FAILED);
    await cluster.pass(4_900);
    expect(only(cluster.wanted('s'))).toMatchObject({
      desiredState: TaskState.READY,
      status: { state: TaskState.READY },
    });
    await cluster.pass(200);
    expect(cluster.running('s')).toHaveLength(1);
  });

  it('takes 5 seconds where the service names no delay', async () => {
    start();
    const spec = serviceSpec('web');
    await cluster.service('s', { ...spec, task: { ...create(TaskSpecSchema), ...spec.task, restart: undefined } });
    await cluster.settle();
    await cluster.setTask(only(cluster.running('s')).id, TaskState.FAILED);
    await cluster.pass(4_900);
    expect(cluster.running('s')).toHaveLength(0);
    await cluster.pass(200);
    expect(cluster.running('s')).toHaveLength(1);
  });

  it('queues a restart behind the delay of a task that fails while it is held', async () => {
    start();
    await cluster.service('s', withRestart({ delay: durationFromMs(1_000) }));
    await cluster.settle();
    cluster.behaviour = () => 'reject';
    await cluster.setTask(only(cluster.running('s')).id, TaskState.FAILED);
    await cluster.pass(10_000);
    expect(cluster.tasks('s').length).toBeLessThanOrEqual(12);
    expect(cluster.tasks('s').length).toBeGreaterThanOrEqual(10);
    cluster.behaviour = () => 'run';
    await cluster.pass(3_000);
    expect(cluster.running('s')).toHaveLength(1);
  });

  it.each([
    [RestartPolicy_RestartCondition.NONE, TaskState.FAILED, false],
    [RestartPolicy_RestartCondition.NONE, TaskState.COMPLETE, false],
    [RestartPolicy_RestartCondition.ON_FAILURE, TaskState.FAILED, true],
    [RestartPolicy_RestartCondition.ON_FAILURE, TaskState.REJECTED, true],
    [RestartPolicy_RestartCondition.ON_FAILURE, TaskState.COMPLETE, false],
    [RestartPolicy_RestartCondition.ANY, TaskState.COMPLETE, true],
    [RestartPolicy_RestartCondition.ANY, TaskState.FAILED, true],
  ])('condition %s after state %s: restarted %s', async (condition, state, restarted) => {
    start();
    await cluster.service('s', withRestart({ condition }));
    await cluster.settle();
    const first = only(cluster.running('s'));
    await cluster.setTask(first.id, state);
    await cluster.settle();
    expect(cluster.running('s')).toHaveLength(restarted ? 1 : 0);
    expect(cluster.tasks('s').find((task) => task.id === first.id)?.desiredState).toBe(TaskState.SHUTDOWN);
  });

  it('does not create again what finished and is not to be restarted', async () => {
    start();
    await cluster.service('s', withRestart({ condition: RestartPolicy_RestartCondition.NONE }, 2));
    await cluster.settle();
    for (const task of cluster.running('s')) await cluster.setTask(task.id, TaskState.COMPLETE);
    await cluster.updateService('s', (spec) => ({ ...spec, mode: replicatedMode(3) }));
    await cluster.settle();
    expect(slots(cluster.running('s'))).toEqual([3]);
    expect(cluster.tasks('s')).toHaveLength(3);
  });

  it('gives up after the greatest number of attempts, and begins anew with a new version', async () => {
    start();
    await cluster.service('s', withRestart({ maxAttempts: 3n }));
    cluster.behaviour = () => 'fail';
    await cluster.pass(1_000);
    expect(cluster.tasks('s')).toHaveLength(4);
    expect(cluster.wanted('s')).toHaveLength(0);
    await cluster.setImage('s', 'web:2', { failureAction: UpdateConfig_FailureAction.CONTINUE });
    await cluster.pass(1_000);
    expect(cluster.tasks('s')).toHaveLength(8);
  });

  it('counts only the attempts within the window', async () => {
    start();
    const policy = { maxAttempts: 1n, window: durationFromMs(10_000), delay: durationFromMs(100) };
    await cluster.service('s', withRestart(policy));
    await cluster.settle();
    await cluster.setTask(only(cluster.running('s')).id, TaskState.FAILED);
    await cluster.pass(11_000);
    const second = only(cluster.running('s'));
    await cluster.setTask(second.id, TaskState.FAILED);
    await cluster.pass(1_000);
    const third = only(cluster.running('s'));
    expect(third.id).not.toBe(second.id);
    await cluster.setTask(third.id, TaskState.FAILED);
    await cluster.pass(1_000);
    expect(cluster.running('s')).toHaveLength(0);
  });
});

describe('nodes', () => {
  it.each([
    ['down', (): Promise<void> => cluster.nodeState('n1', NodeStatus_State.DOWN)],
    ['drained', (): Promise<void> => cluster.availability('n1', NodeSpec_Availability.DRAIN)],
    ['gone', (): Promise<void> => cluster.store.update((tx) => tx.remove('node', 'n1'))],
  ])('moves the tasks of a node that is %s', async (_name, lose) => {
    start();
    await cluster.service('s', serviceSpec('web', { mode: replicatedMode(6) }));
    await cluster.settle();
    await lose();
    await cluster.pass(61_000, 1_000);
    expect(cluster.running('s')).toHaveLength(6);
    expect(cluster.running('s').some((task) => task.nodeId === 'n1')).toBe(false);
  });

  it.each([
    ['disconnected', (): Promise<void> => cluster.nodeState('n1', NodeStatus_State.DISCONNECTED)],
    ['unknown', (): Promise<void> => cluster.nodeState('n1', NodeStatus_State.UNKNOWN)],
    ['paused', (): Promise<void> => cluster.availability('n1', NodeSpec_Availability.PAUSE)],
  ])('leaves the tasks of a node that is %s', async (_name, change) => {
    start();
    await cluster.service('s', serviceSpec('web', { mode: replicatedMode(3) }));
    await cluster.settle();
    const before = cluster.running('s').map((task) => task.id);
    await change();
    await cluster.settle();
    expect(cluster.running('s').map((task) => task.id)).toEqual(before);
  });

  it('does not delay the replacement for a drained node, but waits for the old task to stop', async () => {
    start();
    await cluster.service('s', withRestart({ delay: durationFromMs(30_000) }, 1));
    await cluster.settle();
    const first = only(cluster.running('s'));
    cluster.stops = false;
    await cluster.availability(first.nodeId, NodeSpec_Availability.DRAIN);
    await cluster.settle();
    expect(only(cluster.wanted('s')).desiredState).toBe(TaskState.READY);
    cluster.stops = true;
    await cluster.settle();
    expect(cluster.running('s')).toHaveLength(1);
  });

  it('waits for an old task that does not stop for one minute only', async () => {
    start();
    await cluster.service('s', withRestart({ delay: durationFromMs(1_000) }));
    await cluster.settle();
    cluster.stops = false;
    await cluster.availability(only(cluster.running('s')).nodeId, NodeSpec_Availability.DRAIN);
    await cluster.pass(59_000, 1_000);
    expect(cluster.running('s')).toHaveLength(0);
    await cluster.pass(2_000, 1_000);
    expect(cluster.running('s')).toHaveLength(1);
  });

  it('does not wait for a task whose node goes down meanwhile', async () => {
    start();
    await cluster.service('s', serviceSpec('web'));
    await cluster.settle();
    const first = only(cluster.running('s'));
    cluster.stops = false;
    await cluster.availability(first.nodeId, NodeSpec_Availability.DRAIN);
    await cluster.settle();
    expect(cluster.running('s')).toHaveLength(0);
    await cluster.nodeState(first.nodeId, NodeStatus_State.DOWN);
    await cluster.settle();
    expect(cluster.running('s')).toHaveLength(1);
  });

  it('starts a held task whose node was drained and came back while it was held', async () => {
    start();
    await cluster.service('s', serviceSpec('web'));
    await cluster.settle();
    cluster.stops = false;
    await cluster.availability(only(cluster.running('s')).nodeId, NodeSpec_Availability.DRAIN);
    await cluster.settle();
    const held = only(cluster.wanted('s'));
    await cluster.availability(held.nodeId, NodeSpec_Availability.DRAIN);
    await cluster.clock.settle();
    await cluster.availability(held.nodeId, NodeSpec_Availability.ACTIVE);
    await cluster.clock.settle();
    cluster.stops = true;
    await cluster.settle();
    expect(only(cluster.running('s')).id).toBe(held.id);
  });

  it('moves a task that was assigned to a node after that was lost', async () => {
    start();
    await cluster.nodeState('n1', NodeStatus_State.DOWN);
    await cluster.service('s', serviceSpec('web'));
    await cluster.clock.settle();
    const first = only(cluster.tasks('s'));
    await cluster.setTask(first.id, TaskState.ASSIGNED, { nodeId: 'n1' });
    await cluster.settle();
    expect(only(cluster.running('s')).id).not.toBe(first.id);
  });
});

describe('a new leader', () => {
  function storedTask(id: string, change: Partial<Task>): Task {
    const service = cluster.store.view((tx) => tx.get('service', 's'));
    return {
      $typeName: 'docker.swarmkit.v1.Task',
      id,
      serviceId: 's',
      slot: 1n,
      nodeId: 'n1',
      spec: service?.spec?.task,
      specVersion: service?.specVersion,
      desiredState: TaskState.RUNNING,
      status: create(TaskStatusSchema, {
        state: TaskState.RUNNING,
        timestamp: timestampFromMs(cluster.clock.nowMs()),
      }),
      networks: [],
      assignedGenericResources: [],
      volumes: [],
      ...change,
    };
  }

  it('deletes tasks whose service does not exist', async () => {
    await cluster.store.update((tx) => tx.create('task', storedTask('t', { serviceId: 'gone' })));
    await cluster.store.update((tx) => tx.create('task', storedTask('free', { serviceId: '' })));
    start();
    await cluster.clock.settle();
    expect(cluster.tasks().map((task) => task.id)).toEqual(['free']);
  });

  it('restarts what failed and what is on lost nodes', async () => {
    await cluster.service('s', withRestart({}, 2));
    await cluster.nodeState('n2', NodeStatus_State.DOWN);
    const failed = create(TaskStatusSchema, { state: TaskState.FAILED });
    await cluster.store.update((tx) => tx.create('task', storedTask('failed', { status: failed })));
    await cluster.store.update((tx) => tx.create('task', storedTask('lost', { slot: 2n, nodeId: 'n2' })));
    start();
    await cluster.settle();
    expect(slots(cluster.running('s'))).toEqual([1, 2]);
    expect(cluster.running('s').some((task) => task.id === 'failed' || task.id === 'lost')).toBe(false);
  });

  it('resumes a pending delay with the time that is left of it', async () => {
    await cluster.service('s', withRestart({ delay: durationFromMs(10_000) }));
    const ready = create(TaskStatusSchema, {
      state: TaskState.READY,
      timestamp: timestampFromMs(cluster.clock.nowMs() - 7_000),
    });
    await cluster.store.update((tx) =>
      tx.create('task', storedTask('held', { desiredState: TaskState.READY, status: ready })),
    );
    start();
    await cluster.pass(2_900);
    expect(only(cluster.wanted('s')).desiredState).toBe(TaskState.READY);
    await cluster.pass(200);
    expect(cluster.running('s').map((task) => task.id)).toEqual(['held']);
  });

  it('starts an overdue held task at once', async () => {
    await cluster.service('s', withRestart({ delay: durationFromMs(10_000) }));
    const ready = create(TaskStatusSchema, {
      state: TaskState.READY,
      timestamp: timestampFromMs(cluster.clock.nowMs() - 70_000),
    });
    await cluster.store.update((tx) =>
      tx.create('task', storedTask('held', { desiredState: TaskState.READY, status: ready })),
    );
    start();
    await cluster.settle();
    expect(cluster.running('s').map((task) => task.id)).toEqual(['held']);
  });

  it('goes on waiting for a predecessor that is still stopping', async () => {
    cluster.stops = false;
    await cluster.service('s', withRestart({}));
    await cluster.store.update((tx) => tx.create('task', storedTask('old', { desiredState: TaskState.SHUTDOWN })));
    const ready = create(TaskStatusSchema, {
      state: TaskState.READY,
      timestamp: timestampFromMs(cluster.clock.nowMs()),
    });
    await cluster.store.update((tx) =>
      tx.create('task', storedTask('held', { desiredState: TaskState.READY, status: ready })),
    );
    start();
    await cluster.settle();
    expect(cluster.running('s')).toHaveLength(0);
    cluster.stops = true;
    await cluster.settle();
    expect(cluster.running('s').map((task) => task.id)).toEqual(['held']);
  });

  it('counts the restarts that the store still shows', async () => {
    await cluster.service('s', withRestart({ maxAttempts: 2n }));
    const dead = { desiredState: TaskState.SHUTDOWN, status: create(TaskStatusSchema, { state: TaskState.FAILED }) };
    for (const id of ['a', 'b']) {
      await cluster.store.update((tx) => tx.create('task', storedTask(id, dead)));
      await cluster.clock.advance(1_000);
    }
    await cluster.store.update((tx) => tx.create('task', storedTask('c', {})));
    start();
    await cluster.settle();
    await cluster.setTask('c', TaskState.FAILED);
    await cluster.settle();
    expect(cluster.wanted('s')).toHaveLength(0);
  });
});
