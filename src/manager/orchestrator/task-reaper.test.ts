import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  TaskSchema,
  TaskSpecSchema,
  TaskState,
  TaskStatusSchema,
  timestampFromMs,
  type Task,
  UpdateConfig_UpdateOrder,
} from '../../api/index.js';
import { SimClock } from '../../sim/index.js';
import { GLOBAL_MODE, replicatedMode, restartPolicy, serviceSpec, TestCluster } from './cluster.test-helper.js';
import { GlobalOrchestrator, ReplicatedOrchestrator, TaskReaper } from './index.js';
import { planReap } from './reap-plan.js';

let cluster: TestCluster;

beforeEach(async () => {
  cluster = new TestCluster(new SimClock());
  await cluster.node('n1');
});

afterEach(async () => {
  await cluster.stop();
});

function start(): void {
  const { deps } = cluster;
  cluster.start(new ReplicatedOrchestrator(deps), new GlobalOrchestrator(deps), new TaskReaper(deps));
}

async function failTimes(serviceId: string, times: number): Promise<void> {
  for (let count = 0; count < times; count++) {
    await cluster.clock.advance(1_000);
    const [task] = cluster.running(serviceId);
    await cluster.setTask((task as Task).id, TaskState.FAILED);
    await cluster.settle();
  }
}

function task(id: string, change: Partial<Task>, state: TaskState, atMs = 0): Task {
  const status = create(TaskStatusSchema, { state, timestamp: timestampFromMs(atMs) });
  return {
    ...create(TaskSchema, { id, serviceId: 's', slot: 1n, desiredState: TaskState.SHUTDOWN, status }),
    ...change,
  };
}

describe('history', () => {
  it.each([
    [5, 10, 5],
    [1, 10, 1],
    [0, 10, 1],
    [-1, 10, 11],
    [20, 10, 11],
  ])('keeps %i tasks in a slot, the present one included, of %i restarts: %i are left', async (limit, times, left) => {
    await cluster.cluster(limit);
    start();
    await cluster.service('s', serviceSpec('web'));
    await cluster.settle();
    await failTimes('s', times);
    expect(cluster.tasks('s')).toHaveLength(left);
    expect(cluster.running('s')).toHaveLength(1);
  });

  it('keeps 5 where there is no cluster object yet', async () => {
    start();
    await cluster.service('s', serviceSpec('web'));
    await cluster.settle();
    await failTimes('s', 8);
    expect(cluster.tasks('s')).toHaveLength(5);
  });

  it('keeps the newest', async () => {
    await cluster.cluster(3);
    start();
    await cluster.service('s', serviceSpec('web'));
    await cluster.settle();
    await failTimes('s', 2);
    const kept = cluster.tasks('s').map((each) => each.id);
    await failTimes('s', 1);
    expect(cluster.tasks('s').filter((each) => kept.includes(each.id))).toHaveLength(2);
  });

  it('counts tasks of a global service for each node', async () => {
    await cluster.cluster(2);
    await cluster.node('n2');
    start();
    await cluster.service('g', serviceSpec('agent', { mode: GLOBAL_MODE }));
    await cluster.settle();
    for (const nodeId of ['n1', 'n1', 'n1', 'n2']) {
      const victim = cluster.running('g').find((each) => each.nodeId === nodeId) as Task;
      await cluster.setTask(victim.id, TaskState.FAILED);
      await cluster.settle();
    }
    expect(cluster.tasks('g').filter((each) => each.nodeId === 'n1')).toHaveLength(2);
    expect(cluster.tasks('g').filter((each) => each.nodeId === 'n2')).toHaveLength(2);
  });

  it('keeps one more than the greatest number of attempts, whatever the limit', async () => {
    await cluster.cluster(1);
    start();
    const spec = serviceSpec('web');
    const restart = restartPolicy({ maxAttempts: 6n });
    await cluster.service('s', { ...spec, task: { ...create(TaskSpecSchema), ...spec.task, restart } });
    cluster.behaviour = () => 'fail';
    await cluster.pass(1_000);
    expect(cluster.tasks('s')).toHaveLength(7);
  });

  it('takes a new limit at once', async () => {
    await cluster.cluster(8);
    start();
    await cluster.service('s', serviceSpec('web'));
    await cluster.settle();
    await failTimes('s', 10);
    expect(cluster.tasks('s')).toHaveLength(8);
    await cluster.cluster(2);
    await cluster.settle();
    expect(cluster.tasks('s')).toHaveLength(2);
  });

  it('looks again at a slot with several running tasks when one of them stops', async () => {
    await cluster.cluster(1);
    start();
    await cluster.service('s', serviceSpec('web', { mode: replicatedMode(1) }));
    await cluster.settle();
    cluster.stops = false;
    await cluster.setImage('s', 'web:2', { parallelism: 1n, order: UpdateConfig_UpdateOrder.START_FIRST });
    await cluster.settle();
    expect(cluster.tasks('s')).toHaveLength(2);
    cluster.stops = true;
    await cluster.settle();
    expect(cluster.tasks('s')).toHaveLength(1);
  });

  it('does not limit the history of jobs', async () => {
    await cluster.cluster(1);
    start();
    await cluster.service('s', {
      ...serviceSpec('job'),
      mode: {
        case: 'replicatedJob',
        value: { $typeName: 'docker.swarmkit.v1.ReplicatedJob', maxConcurrent: 1n, totalCompletions: 1n },
      },
    });
    for (const id of ['a', 'b', 'c']) {
      await cluster.store.update((tx) => tx.create('task', task(id, {}, TaskState.COMPLETE)));
    }
    await cluster.settle();
    expect(cluster.tasks('s')).toHaveLength(3);
  });
});

describe('planReap', () => {
  it('takes ended tasks, oldest status first, and tasks that will never run', () => {
    const tasks = [
      task('young', {}, TaskState.FAILED, 3_000),
      task('old', {}, TaskState.COMPLETE, 1_000),
      task('never', {}, TaskState.PENDING, 2_000),
      task('alive', {}, TaskState.RUNNING, 500),
    ];
    expect(planReap(tasks, 2).remove.map((each) => each.id)).toEqual(['old', 'never']);
    expect(planReap(tasks, 0).remove.map((each) => each.id)).toEqual(['old', 'never', 'young']);
    expect(planReap(tasks, 4).remove).toEqual([]);
    expect(planReap(tasks, undefined).remove).toEqual([]);
  });
});

describe('what nobody asks for any more', () => {
  it.each([
    [TaskState.NEW, true],
    [TaskState.PENDING, true],
    [TaskState.ASSIGNED, false],
    [TaskState.RUNNING, false],
    [TaskState.COMPLETE, true],
    [TaskState.FAILED, true],
    [TaskState.ORPHANED, true],
  ])('desired REMOVE in state %i: deleted %s', async (state, deleted) => {
    await cluster.service('s', serviceSpec('web', { mode: replicatedMode(0) }));
    cluster.start(new TaskReaper(cluster.deps));
    await cluster.store.update((tx) => tx.create('task', task('t', { desiredState: TaskState.RUNNING }, state)));
    await cluster.setTask('t', state, { desiredState: TaskState.REMOVE });
    await cluster.clock.settle();
    expect(cluster.tasks('s')).toHaveLength(deleted ? 0 : 1);
  });

  it('is collected at start as well', async () => {
    await cluster.service('s', serviceSpec('web', { mode: replicatedMode(0) }));
    const removed = { desiredState: TaskState.REMOVE };
    await cluster.store.update((tx) => tx.create('task', task('gone', removed, TaskState.SHUTDOWN)));
    await cluster.store.update((tx) => tx.create('task', task('stopping', removed, TaskState.RUNNING)));
    await cluster.store.update((tx) => tx.create('task', task('orphan', { serviceId: '' }, TaskState.ORPHANED)));
    cluster.start(new TaskReaper(cluster.deps));
    await cluster.clock.settle();
    expect(cluster.tasks().map((each) => each.id)).toEqual(['stopping']);
    await cluster.setTask('stopping', TaskState.SHUTDOWN);
    await cluster.clock.settle();
    expect(cluster.tasks()).toEqual([]);
  });

  it('includes orphans without a service, not those of one', async () => {
    await cluster.service('s', serviceSpec('web', { mode: replicatedMode(0) }));
    cluster.start(new TaskReaper(cluster.deps));
    await cluster.store.update((tx) => tx.create('task', task('free', { serviceId: '' }, TaskState.RUNNING)));
    await cluster.store.update((tx) => tx.create('task', task('owned', {}, TaskState.RUNNING)));
    await cluster.setTask('free', TaskState.ORPHANED);
    await cluster.setTask('owned', TaskState.ORPHANED);
    await cluster.clock.settle();
    expect(cluster.tasks().map((each) => each.id)).toEqual(['owned']);
  });

  it('deletes what was scaled away once it has stopped', async () => {
    start();
    await cluster.service('s', serviceSpec('web', { mode: replicatedMode(3) }));
    await cluster.settle();
    cluster.stops = false;
    await cluster.updateService('s', (spec) => ({ ...spec, mode: replicatedMode(1) }));
    await cluster.settle();
    expect(cluster.tasks('s')).toHaveLength(3);
    cluster.stops = true;
    await cluster.settle();
    expect(cluster.tasks('s')).toHaveLength(1);
  });
});
