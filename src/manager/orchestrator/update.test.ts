import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  ContainerSpecSchema,
  durationFromMs,
  PlacementSchema,
  TaskSpecSchema,
  TaskState,
  UpdateConfig_FailureAction,
  UpdateConfig_UpdateOrder,
  UpdateConfigSchema,
  UpdateStatus_UpdateState,
  VersionSchema,
  type ServiceSpec,
  type Task,
  type TaskSpec,
  type UpdateConfig,
  EndpointSpecSchema,
  RestartPolicy_RestartCondition,
} from '../../api/index.js';
import { SimClock } from '../../sim/index.js';
import { replicatedMode, restartPolicy, serviceSpec, TestCluster } from './cluster.test-helper.js';
import { ReplicatedOrchestrator } from './replicated-orchestrator.js';

const { CONTINUE, ROLLBACK } = UpdateConfig_FailureAction;
const { START_FIRST } = UpdateConfig_UpdateOrder;
const State = UpdateStatus_UpdateState;

let cluster: TestCluster;

beforeEach(async () => {
  cluster = new TestCluster(new SimClock());
  for (const id of ['n1', 'n2', 'n3']) await cluster.node(id);
});

afterEach(async () => {
  await cluster.stop();
});

// With a delay, so that what always fails does not spin in virtual time.
function taskSpec(image: string): TaskSpec {
  const restart = restartPolicy({ delay: durationFromMs(500) });
  return { ...create(TaskSpecSchema), ...serviceSpec(image).task, restart };
}

function config(change: Partial<UpdateConfig>): UpdateConfig {
  return { ...create(UpdateConfigSchema, { parallelism: 1n, monitor: durationFromMs(1_000) }), ...change };
}

async function running(replicas: number, change: Partial<ServiceSpec> = {}): Promise<void> {
  cluster.start(new ReplicatedOrchestrator(cluster.deps));
  await cluster.service('s', serviceSpec('web:1', { mode: replicatedMode(replicas), ...change }));
  await cluster.settle();
  expect(cluster.running('s')).toHaveLength(replicas);
}

async function update(image: string, update: UpdateConfig): Promise<void> {
  await cluster.updateService('s', (spec) => ({ ...spec, task: taskSpec(image), update }));
}

function image(task: Task): string {
  return task.spec?.runtime.case === 'container' ? task.spec.runtime.value.image : '';
}

function runningImages(): readonly string[] {
  return cluster.running('s').map(image).sort();
}

function status(): { state: UpdateStatus_UpdateState | undefined; message: string | undefined } {
  const { updateStatus } = cluster.getService('s');
  return { state: updateStatus?.state, message: updateStatus?.message };
}

describe('stop-first', () => {
  it('replaces one slot after the other, and says when it began and ended', async () => {
    await running(3);
    await update('web:2', config({ delay: durationFromMs(10_000), monitor: durationFromMs(500) }));
    await cluster.settle();
    expect(status()).toEqual({ state: State.UPDATING, message: 'update in progress' });
    expect(cluster.getService('s').updateStatus?.startedAt).toBeDefined();
    expect(runningImages()).toEqual(['web:1', 'web:1', 'web:2']);
    await cluster.pass(10_000, 1_000);
    expect(runningImages()).toEqual(['web:1', 'web:2', 'web:2']);
    await cluster.pass(10_000, 1_000);
    expect(runningImages()).toEqual(['web:2', 'web:2', 'web:2']);
    expect(status().state).toBe(State.UPDATING);
    // Monitoring outlasts a delay that is not shorter than it by a second.
    await cluster.pass(11_000, 500);
    expect(status()).toEqual({ state: State.COMPLETED, message: 'update completed' });
    expect(cluster.getService('s').updateStatus?.completedAt).toBeDefined();
  });

  it('replaces as many slots at a time as its parallelism says', async () => {
    await running(6);
    cluster.stops = false;
    await update('web:2', config({ parallelism: 2n }));
    await cluster.settle();
    expect(cluster.wanted('s').filter((task) => image(task) === 'web:2')).toHaveLength(2);
    cluster.stops = true;
    await cluster.pass(2_000);
    expect(runningImages()).toEqual(Array(6).fill('web:2'));
  });

  it('replaces all at once with parallelism 0', async () => {
    await running(6);
    cluster.stops = false;
    await update('web:2', config({ parallelism: 0n }));
    await cluster.settle();
    expect(cluster.wanted('s').map(image)).toEqual(Array(6).fill('web:2'));
  });

  it('starts the new task only when the old one has stopped', async () => {
    await running(1);
    cluster.stops = false;
    await update('web:2', config({}));
    await cluster.settle();
    expect(cluster.wanted('s').map((task) => task.desiredState)).toEqual([TaskState.READY]);
    cluster.stops = true;
    await cluster.settle();
    expect(runningImages()).toEqual(['web:2']);
  });

  it('goes on after a minute when an old task does not stop', async () => {
    await running(1);
    cluster.stops = false;
    await update('web:2', config({}));
    await cluster.pass(61_000, 1_000);
    expect(runningImages()).toEqual(['web:2']);
  });

  it('replaces what finished and would not be restarted', async () => {
    await running(1, {
      task: { ...create(TaskSpecSchema), restart: restartPolicy({ condition: RestartPolicy_RestartCondition.NONE }) },
    });
    for (const task of cluster.running('s')) await cluster.setTask(task.id, TaskState.COMPLETE);
    await update('web:2', config({}));
    await cluster.settle();
    expect(runningImages()).toEqual(['web:2']);
  });
});

describe('start-first', () => {
  it('stops the old task only when the new one runs', async () => {
    await running(1);
    cluster.behaviour = (task) => (image(task) === 'web:2' ? 'hang' : 'run');
    await update('web:2', config({ order: START_FIRST }));
    await cluster.settle();
    expect(cluster.wanted('s').map(image).sort()).toEqual(['web:1', 'web:2']);
    expect(runningImages()).toEqual(['web:1']);
    cluster.behaviour = () => 'run';
    await cluster.settle();
    expect(runningImages()).toEqual(['web:2']);
  });

  it('keeps the old task where the new one fails, until a replacement runs', async () => {
    await running(1);
    cluster.behaviour = (task) => (image(task) === 'web:2' ? 'reject' : 'run');
    await cluster.updateService('s', (spec) => ({
      ...spec,
      task: {
        ...create(TaskSpecSchema),
        ...serviceSpec('web:2').task,
        restart: restartPolicy({ delay: durationFromMs(1_000) }),
      },
      update: config({ order: START_FIRST, failureAction: CONTINUE }),
    }));
    await cluster.pass(1_500);
    expect(runningImages()).toEqual(['web:1']);
    cluster.behaviour = () => 'run';
    await cluster.pass(5_000);
    expect(runningImages()).toEqual(['web:2']);
    expect(cluster.wanted('s')).toHaveLength(1);
  });

  it('makes no second replacement when the old task fails meanwhile', async () => {
    await running(1);
    cluster.behaviour = (task) => (image(task) === 'web:2' ? 'hang' : 'run');
    await update('web:2', config({ order: START_FIRST }));
    await cluster.settle();
    const old = cluster.running('s')[0] as Task;
    await cluster.setTask(old.id, TaskState.FAILED);
    cluster.behaviour = () => 'run';
    await cluster.pass(2_000);
    expect(runningImages()).toEqual(['web:2']);
    expect(cluster.wanted('s')).toHaveLength(1);
  });
});

describe('failures', () => {
  it('pauses at the first failure by default, and leaves a paused service alone', async () => {
    await running(4);
    cluster.behaviour = (task) => (image(task) === 'web:2' ? 'reject' : 'run');
    await cluster.updateService('s', (spec) => ({
      ...spec,
      task: {
        ...create(TaskSpecSchema),
        ...serviceSpec('web:2').task,
        restart: restartPolicy({ condition: RestartPolicy_RestartCondition.NONE }),
      },
      update: config({}),
    }));
    await cluster.pass(5_000);
    expect(status().state).toBe(State.PAUSED);
    expect(status().message).toMatch(/^update paused due to failure or early termination of task \w{25}$/);
    expect(runningImages()).toEqual(['web:1', 'web:1', 'web:1']);
    cluster.behaviour = () => 'run';
    await cluster.pass(20_000, 1_000);
    expect(runningImages()).toEqual(['web:1', 'web:1', 'web:1']);
  });

  it('goes on once the user updates a paused service', async () => {
    await running(2);
    cluster.behaviour = () => 'reject';
    await update('web:2', config({}));
    await cluster.pass(100);
    expect(status().state).toBe(State.PAUSED);
    cluster.behaviour = () => 'run';
    await update('web:3', config({}));
    await cluster.pass(5_000);
    expect(runningImages()).toEqual(['web:3', 'web:3']);
    expect(status().state).toBe(State.COMPLETED);
  });

  it('counts what fails soon after it came to run, and not what fails later', async () => {
    await running(2);
    await update('web:2', config({ delay: durationFromMs(500), monitor: durationFromMs(3_000) }));
    await cluster.pass(2_000);
    const updated = cluster.running('s').find((task) => image(task) === 'web:2') as Task;
    await cluster.setTask(updated.id, TaskState.FAILED);
    await cluster.settle();
    expect(status().state).toBe(State.PAUSED);
  });

  it('does not count a failure after the monitoring time', async () => {
    await running(2);
    await update('web:2', config({ delay: durationFromMs(2_000), monitor: durationFromMs(3_000), parallelism: 1n }));
    await cluster.settle();
    const first = cluster.running('s').find((task) => image(task) === 'web:2') as Task;
    await cluster.pass(3_500);
    await cluster.setTask(first.id, TaskState.FAILED);
    await cluster.pass(4_000);
    expect(status().state).toBe(State.COMPLETED);
  });

  it('does not count failures of tasks that the update did not make', async () => {
    await running(3);
    await update('web:2', config({ delay: durationFromMs(5_000) }));
    await cluster.settle();
    const old = cluster.running('s').find((task) => image(task) === 'web:1') as Task;
    await cluster.setTask(old.id, TaskState.FAILED);
    await cluster.settle();
    expect(status().state).toBe(State.UPDATING);
  });

  it.each([
    [0.5, 2, State.COMPLETED],
    [0.5, 3, State.PAUSED],
    [1, 4, State.COMPLETED],
  ])('with ratio %d and %i of 4 failures ends as %s', async (maxFailureRatio, failures, expected) => {
    await running(4);
    let failed = 0;
    const victims = new Set<string>();
    cluster.behaviour = (task) => {
      if (image(task) !== 'web:2') return 'run';
      if (!victims.has(task.id) && failed < failures) {
        failed++;
        victims.add(task.id);
      }
      return victims.has(task.id) ? 'fail' : 'run';
    };
    await cluster.updateService('s', (spec) => ({
      ...spec,
      task: {
        ...create(TaskSpecSchema),
        ...serviceSpec('web:2').task,
        restart: restartPolicy({ condition: RestartPolicy_RestartCondition.NONE }),
      },
      update: config({ maxFailureRatio }),
    }));
    await cluster.pass(6_000);
    expect(status().state).toBe(expected);
  });

  it('does not look at failures with CONTINUE', async () => {
    await running(2);
    cluster.behaviour = (task) => (image(task) === 'web:2' ? 'fail' : 'run');
    await cluster.updateService('s', (spec) => ({
      ...spec,
      task: {
        ...create(TaskSpecSchema),
        ...serviceSpec('web:2').task,
        restart: restartPolicy({ condition: RestartPolicy_RestartCondition.NONE }),
      },
      update: config({ failureAction: CONTINUE }),
    }));
    await cluster.pass(5_000);
    expect(status().state).toBe(State.COMPLETED);
  });
});

describe('rollback', () => {
  it('goes back to the previous spec and version, with the rollback settings', async () => {
    await running(3, { rollback: config({ parallelism: 0n }) });
    const before = cluster.getService('s');
    cluster.behaviour = (task) => (image(task) === 'web:2' ? 'reject' : 'run');
    await update('web:2', config({ failureAction: ROLLBACK }));
    await cluster.settle();
    expect(status().state).toBe(State.ROLLBACK_STARTED);
    expect(status().message).toMatch(/^update rolled back due to failure or early termination of task /);
    const service = cluster.getService('s');
    expect(service.spec).toEqual(before.spec);
    expect(service.specVersion).toEqual(before.specVersion);
    expect(service.previousSpec).toBeUndefined();
    expect(service.previousSpecVersion).toBeUndefined();
    await cluster.pass(5_000);
    expect(status()).toEqual({ state: State.ROLLBACK_COMPLETED, message: 'rollback completed' });
    expect(runningImages()).toEqual(['web:1', 'web:1', 'web:1']);
  });

  it('keeps the healthy tasks of the previous version', async () => {
    await running(3);
    const before = new Set(cluster.running('s').map((task) => task.id));
    cluster.behaviour = (task) => (image(task) === 'web:2' ? 'reject' : 'run');
    await update('web:2', config({ failureAction: ROLLBACK, order: START_FIRST }));
    await cluster.pass(10_000);
    expect(status().state).toBe(State.ROLLBACK_COMPLETED);
    expect(new Set(cluster.running('s').map((task) => task.id))).toEqual(before);
  });

  it('ends as paused, not as completed, when the rollback fails too', async () => {
    await running(2, { task: taskSpec('web:1'), rollback: config({ failureAction: ROLLBACK }) });
    cluster.behaviour = () => 'reject';
    await update('web:2', config({ failureAction: ROLLBACK }));
    await cluster.pass(30_000, 500);
    expect(status().state).toBe(State.ROLLBACK_PAUSED);
    expect(status().message).toMatch(/^rollback paused due to failure or early termination of task /);
  });

  it('pauses where there is no previous spec', async () => {
    await running(1);
    cluster.behaviour = (task) => (image(task) === 'web:2' ? 'reject' : 'run');
    await update('web:2', config({ failureAction: ROLLBACK }));
    await cluster.store.update((tx) =>
      tx.update('service', { ...cluster.getService('s'), previousSpec: undefined, previousSpecVersion: undefined }),
    );
    await cluster.settle();
    expect(status().state).toBe(State.PAUSED);
  });

  it('completes at once when nothing has to be rolled back', async () => {
    await running(1);
    await cluster.store.update((tx) => {
      tx.update('service', {
        ...cluster.getService('s'),
        spec: { ...(cluster.getService('s').spec as ServiceSpec), annotations: undefined },
        updateStatus: {
          $typeName: 'docker.swarmkit.v1.UpdateStatus',
          state: State.ROLLBACK_STARTED,
          message: 'manually requested rollback',
        },
      });
    });
    await cluster.settle();
    expect(status()).toEqual({ state: State.ROLLBACK_COMPLETED, message: 'rollback completed' });
  });
});

describe('superseding', () => {
  it('gives up an update for a newer one', async () => {
    await running(3);
    cluster.behaviour = (task) => (image(task) === 'web:2' ? 'hang' : 'run');
    await update('web:2', config({}));
    await cluster.settle();
    await update('web:3', config({}));
    await cluster.pass(5_000);
    expect(runningImages()).toEqual(['web:3', 'web:3', 'web:3']);
    expect(status().state).toBe(State.COMPLETED);
  });

  it('lets the newest task wait for what the one before it still waited for', async () => {
    await running(1);
    cluster.stops = false;
    const old = cluster.running('s')[0] as Task;
    await update('web:2', config({}));
    await cluster.settle();
    await update('web:3', config({}));
    await cluster.settle();
    for (const task of cluster.tasks('s')) {
      if (image(task) === 'web:2') await cluster.setTask(task.id, TaskState.SHUTDOWN);
    }
    await cluster.settle();
    expect(cluster.wanted('s').map((task) => task.desiredState)).toEqual([TaskState.READY]);
    await cluster.setTask(old.id, TaskState.SHUTDOWN);
    await cluster.settle();
    expect(runningImages()).toEqual(['web:3']);
  });

  it('gives up the update of a service that is removed', async () => {
    await running(3);
    await update('web:2', config({ delay: durationFromMs(1_000) }));
    await cluster.settle();
    await cluster.store.update((tx) => tx.remove('service', 's'));
    await cluster.pass(5_000);
    expect(cluster.wanted('s')).toHaveLength(0);
  });

  it('goes on with an update that it finds under way', async () => {
    await cluster.service('s', serviceSpec('web:2', { mode: replicatedMode(1), update: config({}) }));
    await cluster.store.update((tx) => {
      tx.update('service', {
        ...cluster.getService('s'),
        specVersion: create(VersionSchema, { index: 9n }),
        updateStatus: { $typeName: 'docker.swarmkit.v1.UpdateStatus', state: State.UPDATING, message: '' },
      });
      tx.create('task', {
        $typeName: 'docker.swarmkit.v1.Task',
        id: 'old',
        serviceId: 's',
        slot: 1n,
        nodeId: 'n1',
        spec: serviceSpec('web:1').task,
        specVersion: create(VersionSchema, { index: 1n }),
        desiredState: TaskState.RUNNING,
        networks: [],
        assignedGenericResources: [],
        volumes: [],
      });
    });
    await cluster.setTask('old', TaskState.RUNNING);
    cluster.start(new ReplicatedOrchestrator(cluster.deps));
    await cluster.pass(3_000);
    expect(runningImages()).toEqual(['web:2']);
    expect(status().state).toBe(State.COMPLETED);
  });
});

describe('what counts as a change', () => {
  async function idsAfter(change: (spec: ServiceSpec) => ServiceSpec): Promise<boolean> {
    const before = cluster.running('s').map((task) => task.id);
    await cluster.updateService('s', change);
    await cluster.pass(3_000);
    const after = cluster.running('s').map((task) => task.id);
    return before.some((id) => !after.includes(id));
  }

  function container(spec: ServiceSpec, change: object): ServiceSpec {
    const value = { ...create(ContainerSpecSchema, { image: 'web:1' }), ...change };
    return { ...spec, task: { ...create(TaskSpecSchema), ...spec.task, runtime: { case: 'container', value } } };
  }

  it.each<[string, boolean, (spec: ServiceSpec) => ServiceSpec]>([
    ['nothing', false, (spec) => ({ ...spec })],
    ['labels of the service', false, (spec) => ({ ...spec, annotations: undefined })],
    ['update settings', false, (spec) => ({ ...spec, update: config({ parallelism: 3n }) })],
    [
      'pull options',
      false,
      (spec) =>
        container(spec, {
          pullOptions: { $typeName: 'docker.swarmkit.v1.ContainerSpec.PullOptions', registryAuth: 'x' },
        }),
    ],
    ['environment', true, (spec) => container(spec, { env: ['A=1'] })],
    ['force_update', true, (spec) => ({ ...spec, task: { ...create(TaskSpecSchema), ...spec.task, forceUpdate: 1n } })],
    [
      'constraints that the node satisfies',
      false,
      (spec) => ({
        ...spec,
        task: {
          ...create(TaskSpecSchema),
          ...spec.task,
          placement: create(PlacementSchema, { constraints: ['node.id!=n9'] }),
        },
      }),
    ],
    [
      'constraints that the node does not satisfy',
      true,
      (spec) => ({
        ...spec,
        task: {
          ...create(TaskSpecSchema),
          ...spec.task,
          placement: create(PlacementSchema, { constraints: ['node.id==n9'] }),
        },
      }),
    ],
    [
      'ports',
      true,
      (spec) => ({
        ...spec,
        endpoint: create(EndpointSpecSchema, { ports: [{ targetPort: 80, publishedPort: 80 }] }),
      }),
    ],
    [
      'networks of the service',
      false,
      (spec) => ({
        ...spec,
        networks: [
          {
            $typeName: 'docker.swarmkit.v1.NetworkAttachmentConfig',
            target: 'net',
            aliases: [],
            addresses: [],
            driverAttachmentOpts: {},
          },
        ],
      }),
    ],
  ])('%s: replaced %s', async (_name, replaced, change) => {
    await running(1);
    expect(await idsAfter(change)).toBe(replaced);
  });
});
