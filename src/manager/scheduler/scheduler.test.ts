import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { Code, SILENT_LOGGER, SwarmError, type Logger } from '../../base/index.js';
import { SimClock } from '../../sim/index.js';
import { by, MemoryStore, type ProposalOutcome, type Proposer, type WriteTransaction } from '../../store/index.js';
import {
  discreteResource,
  MountSchema,
  Mount_Type,
  namedResource,
  NodeRole,
  NodeStatus_State,
  TaskState,
  VolumePublishStatus_State,
  VolumeSchema,
  VolumeSpec_VolumeAvailability,
  type Node,
  type Task,
  type Volume,
} from '../../api/index.js';
import { Scheduler } from './scheduler.js';
import { NO_CHANCE, node, nodeWith, runningTask, service, task, type TaskInit } from './test-objects.js';

/** A log whose entries commit when the test says so. */
class ManualLog implements Proposer {
  readonly waiting: ProposalOutcome[] = [];
  refusal: SwarmError | undefined;
  automatic = true;
  #head = 0n;
  #committed = 0n;

  headIndex(): bigint {
    return this.#head;
  }

  propose(_actions: Uint8Array, outcome: ProposalOutcome): void {
    if (this.refusal !== undefined) throw this.refusal;
    this.#head += 1n;
    this.waiting.push(outcome);
    if (this.automatic) this.commit();
  }

  /** Commits all that waits, or the oldest `count`. */
  commit(count = Number.POSITIVE_INFINITY): void {
    let left = count;
    for (let outcome = this.waiting.shift(); outcome !== undefined; outcome = this.waiting.shift()) {
      this.#committed += 1n;
      outcome.committed(this.#committed);
      left -= 1;
      if (left === 0) return;
    }
  }

  lose(): void {
    const lost = this.waiting.splice(0);
    this.#head = this.#committed;
    for (const outcome of lost) outcome.lost(new SwarmError(Code.UNAVAILABLE, 'leadership was lost'));
  }
}

interface World extends AsyncDisposable {
  readonly store: MemoryStore;
  readonly log: ManualLog;
  readonly clock: SimClock;
  readonly scheduler: Scheduler;
  readonly warnings: string[];
  readonly settle: () => Promise<void>;
  readonly task: (id: string) => Task;
  /** `id>node` of assigned tasks, in the order of ids. */
  readonly assigned: () => readonly string[];
}

async function start(
  before: {
    readonly nodes?: readonly Node[];
    readonly tasks?: readonly Task[];
    readonly volumes?: readonly Volume[];
  } = {},
  queueMax?: number,
): Promise<World> {
  const clock = new SimClock();
  const log = new ManualLog();
  const store = new MemoryStore(queueMax === undefined ? {} : { subscriberQueueMax: queueMax }, {
    clock,
    proposer: log,
  });
  await store.update((tx) => {
    tx.create('service', service('s'));
    for (const each of before.nodes ?? []) tx.create('node', each);
    for (const each of before.volumes ?? []) tx.create('volume', each);
    for (const each of before.tasks ?? []) tx.create('task', each);
  });
  const warnings: string[] = [];
  const logger: Logger = { ...SILENT_LOGGER, warn: (_fields, message) => warnings.push(message), child: () => logger };
  const scheduler = new Scheduler({}, { store, clock, random: NO_CHANCE, log: logger });
  const controller = new AbortController();
  const running = scheduler.run(controller.signal);
  await clock.settle();
  const readTask = (id: string): Task => store.view((tx) => tx.get('task', id)) as Task;
  return {
    store,
    log,
    clock,
    scheduler,
    warnings,
    settle: () => clock.settle(),
    task: readTask,
    assigned: () =>
      store.view((tx) => tx.find('task', by.taskState(TaskState.ASSIGNED))).map((each) => `${each.id}>${each.nodeId}`),
    async [Symbol.asyncDispose]() {
      controller.abort(new SwarmError(Code.CANCELED, 'the test is over'));
      log.commit();
      await running;
      expect(clock.pendingTimers).toBe(0);
    },
  };
}

const addTask = (world: World, ...tasks: readonly Task[]): Promise<void> =>
  world.store.update((tx) => {
    for (const each of tasks) tx.create('task', each);
  });
const reserving = (memoryBytes: bigint): TaskInit => ({ spec: { resources: { reservations: { memoryBytes } } } });

describe('the scheduler', () => {
  it('assigns what it finds and what comes, with state, message and time', async () => {
    await using world = await start({ nodes: [node('a')], tasks: [task('t0'), task('t1', { nodeId: 'a' })] });
    expect(world.assigned()).toEqual(['t0>a', 't1>a']);
    expect(world.task('t0').status?.message).toBe('scheduler assigned task to node');
    expect(world.task('t1').status?.message).toBe('scheduler confirmed task can run on preassigned node');
    expect(world.task('t0').status?.timestamp).toBeDefined();
    await addTask(world, task('t2'));
    await world.settle();
    expect(world.assigned()).toEqual(['t0>a', 't1>a', 't2>a']);
  });

  it('leaves tasks alone that are not pending yet, or have ended', async () => {
    const untouched = [
      task('new', { status: { state: TaskState.NEW } }),
      task('over', { status: { state: TaskState.FAILED } }),
    ];
    await using world = await start({ nodes: [node('a')], tasks: untouched });
    expect(world.task('new').nodeId + world.task('over').nodeId).toBe('');
    await world.store.update((tx) => tx.update('task', { ...tx.get('task', 'new')!, status: task('x').status! }));
    await world.settle();
    expect(world.assigned()).toEqual(['new>a']);
  });

  it('says why a task finds no node, once, and assigns it when one comes', async () => {
    await using world = await start({ nodes: [nodeWith('a', { memoryBytes: 1n })], tasks: [task('t', reserving(2n))] });
    const told = world.task('t');
    expect(told.status?.err).toBe('no suitable node (insufficient resources on 1 node)');
    expect(told.status?.state).toBe(TaskState.PENDING);
    expect(world.scheduler.refusals('t')).toEqual([
      { nodeId: 'a', hostname: 'host-a', reason: 'insufficient resources on 1 node' },
    ]);
    await world.store.update((tx) => tx.update('node', { ...tx.get('node', 'a')!, role: NodeRole.MANAGER }));
    await world.settle();
    expect(world.task('t')).toBe(told);
    await world.store.update((tx) => tx.create('node', nodeWith('b', { memoryBytes: 1n })));
    await world.settle();
    expect(world.task('t').status?.err).toBe('no suitable node (insufficient resources on 2 nodes)');
    await world.store.update((tx) => tx.create('node', nodeWith('c', { memoryBytes: 2n })));
    await world.settle();
    expect(world.assigned()).toEqual(['t>c']);
    expect(world.task('t').status?.err).toBe('');
    expect(world.scheduler.refusals('gone')).toBeUndefined();
  });

  it('tries waiting tasks again when a task ends', async () => {
    const holder = runningTask('r', 'a', reserving(2n));
    await using world = await start({
      nodes: [nodeWith('a', { memoryBytes: 2n })],
      tasks: [holder, task('t', reserving(2n))],
    });
    expect(world.assigned()).toEqual([]);
    await world.store.update((tx) => {
      const present = tx.get('task', 'r')!;
      tx.update('task', { ...present, status: { ...present.status!, state: TaskState.COMPLETE } });
    });
    await world.settle();
    expect(world.assigned()).toEqual(['t>a']);
  });

  it('ends pending tasks that are not meant to run', async () => {
    await using world = await start({ nodes: [node('a')], tasks: [task('t', { desiredState: TaskState.SHUTDOWN })] });
    expect([world.task('t').status?.state, world.task('t').nodeId]).toEqual([TaskState.SHUTDOWN, '']);
  });

  it('claims named units of generic resources and gives them back', async () => {
    const offering = node('a', {
      description: { resources: { generic: [namedResource('gpu', 'x'), namedResource('gpu', 'y')] } },
    });
    const spec: TaskInit = { spec: { resources: { reservations: { generic: [discreteResource('gpu', 1n)] } } } };
    await using world = await start({
      nodes: [offering],
      tasks: [task('t0', spec), task('t1', spec), task('t2', spec)],
    });
    const units = (id: string) => world.task(id).assignedGenericResources.map((unit) => unit.resource.value?.value);
    expect([units('t0'), units('t1'), units('t2')]).toEqual([['x'], ['y'], []]);
    await world.store.update((tx) => tx.remove('task', 't0'));
    await world.settle();
    expect(units('t2')).toEqual(['x']);
  });
});

describe('rounds', () => {
  it('are decided while earlier ones are being committed, and see what these took', async () => {
    await using world = await start({
      nodes: [nodeWith('a', { memoryBytes: 1n }), nodeWith('b', { memoryBytes: 1n })],
    });
    await addTask(world, task('t0', reserving(1n)), task('t1', reserving(1n)), task('t2', reserving(1n)));
    world.log.automatic = false;
    await world.settle();
    expect(world.log.waiting.length).toBe(1);
    expect(world.assigned()).toEqual([]);
    const removed = world.store.update((tx) => tx.remove('task', 't2'));
    const added = addTask(world, task('t3', reserving(1n)));
    world.log.commit();
    await Promise.all([removed, added]);
    await world.settle();
    world.log.commit();
    await world.settle();
    expect(world.assigned()).toEqual(['t0>a', 't1>b']);
    expect(world.task('t3').status?.err).toBe('no suitable node (insufficient resources on 2 nodes)');
  });

  it('that are lost give back what they took, and are made again', async () => {
    await using world = await start({ nodes: [nodeWith('a', { memoryBytes: 1n })] });
    await addTask(world, task('t0', reserving(1n)));
    world.log.automatic = false;
    await world.settle();
    world.log.lose();
    await world.settle();
    expect(world.warnings).toEqual(['assignments could not be committed']);
    world.log.automatic = true;
    await world.settle();
    expect(world.assigned()).toEqual([]);
    await world.clock.advance(1000);
    expect(world.assigned()).toEqual(['t0>a']);
  });

  it('that the log refuses are repeated with a pause between', async () => {
    await using world = await start();
    await addTask(world, task('t0'), task('t1'));
    world.log.refusal = undefined;
    await world.store.update((tx) => tx.create('node', node('a')));
    world.log.refusal = new SwarmError(Code.FAILED_PRECONDITION, 'not the leader');
    await world.settle();
    await world.clock.advance(5000);
    expect(world.warnings.length).toBeGreaterThan(1);
    expect(world.warnings.length).toBeLessThan(8);
    world.log.refusal = undefined;
    await world.clock.advance(1000);
    expect(world.assigned()).toEqual(['t0>a', 't1>a']);
  });

  /** Room for the waiting task `t` is made, and `change` waits for the log, when the scheduler tries it again. */
  async function overtaken(world: World, change: (tx: WriteTransaction) => void): Promise<void> {
    world.log.automatic = false;
    const made = world.store.update((tx) => tx.remove('task', 'r'));
    const changed = world.store.update(change);
    world.log.commit(1);
    await made;
    await world.settle();
    expect(world.log.waiting.length).toBe(1);
    world.log.automatic = true;
    world.log.commit();
    await changed;
    await world.settle();
  }

  const crowded = {
    nodes: [nodeWith('a', { memoryBytes: 1n })],
    tasks: [runningTask('r', 'a', reserving(1n)), task('t', reserving(1n))],
  };

  it('leave out a node that is about to be down', async () => {
    await using world = await start(crowded);
    await overtaken(world, (tx) => {
      const present = tx.get('node', 'a')!;
      tx.update('node', { ...present, status: { ...present.status!, state: NodeStatus_State.DOWN } });
    });
    expect(world.task('t').status?.err).toBe('no suitable node (1 node not available for new tasks)');
    await world.store.update((tx) => tx.create('node', nodeWith('b', { memoryBytes: 1n })));
    await world.settle();
    expect(world.assigned()).toEqual(['t>b']);
  });

  it('leave out a node that is about to be gone', async () => {
    await using world = await start(crowded);
    await overtaken(world, (tx) => tx.remove('node', 'a'));
    expect(world.assigned()).toEqual([]);
  });

  it('drop an assignment whose task is about to be stopped, and end the task', async () => {
    await using world = await start(crowded);
    await overtaken(world, (tx) => tx.update('task', { ...tx.get('task', 't')!, desiredState: TaskState.SHUTDOWN }));
    expect([world.task('t').status?.state, world.task('t').nodeId]).toEqual([TaskState.SHUTDOWN, '']);
  });

  it('drop an assignment whose task is about to be gone', async () => {
    await using world = await start(crowded);
    await overtaken(world, (tx) => tx.remove('task', 't'));
    await addTask(world, task('t2', reserving(1n)));
    await world.settle();
    expect(world.assigned()).toEqual(['t2>a']);
  });

  it('split long work and still assign everything', async () => {
    const nodes = Array.from({ length: 60 }, (_, index) => node(`n${index}`));
    await using world = await start({ nodes });
    await world.store.batch((batch) => {
      for (let i = 0; i < 1500; i += 1) batch.update((tx) => tx.create('task', task(`t${i}`, { serviceId: `s${i}` })));
    });
    await world.clock.runUntil(() => world.assigned().length === 1500, 60_000);
    const perNode = new Map<string, number>();
    for (const each of world.store.view((tx) => tx.find('task', by.all()))) {
      perNode.set(each.nodeId, (perNode.get(each.nodeId) ?? 0) + 1);
    }
    expect([...new Set(perNode.values())]).toEqual([25]);
  });

  it('start from the store again after events were missed', async () => {
    await using world = await start({ nodes: [node('a')] }, 10);
    await world.store.update((tx) => {
      for (let i = 0; i < 20; i += 1) tx.create('task', task(`t${i}`));
    });
    await world.settle();
    expect(world.warnings).toContain('events were missed; the state is read anew');
    expect(world.assigned().length).toBe(20);
  });
});

describe('cluster volumes', () => {
  const volume = create(VolumeSchema, {
    id: 'v1',
    spec: { annotations: { name: 'data' }, driver: { name: 'csi' }, accessMode: {} },
    volumeInfo: { volumeId: 'x' },
  });
  const csiNode = node('a', { description: { csiInfo: [{ pluginName: 'csi' }] } });
  const mount = create(MountSchema, { type: Mount_Type.CLUSTER, source: 'data', target: '/data' });
  const mounting: TaskInit = { spec: { runtime: { case: 'container', value: { mounts: [mount] } } } };

  it('are attached to the task and asked to be published on its node', async () => {
    await using world = await start({ nodes: [node('0'), csiNode], tasks: [task('t', mounting)], volumes: [volume] });
    expect(world.assigned()).toEqual(['t>a']);
    expect(world.task('t').volumes.map(({ id, source, target }) => [id, source, target])).toEqual([
      ['v1', 'data', '/data'],
    ]);
    const status = world.store.view((tx) => tx.get('volume', 'v1'))?.publishStatus;
    expect(status?.map((each) => [each.nodeId, each.state])).toEqual([
      ['a', VolumePublishStatus_State.PENDING_PUBLISH],
    ]);
    await addTask(world, task('t2', mounting));
    await world.settle();
    expect(world.task('t2').status?.err).toBe(
      'no suitable node (cannot fulfill requested CSI volume mounts on 2 nodes)',
    );
    await world.store.update((tx) => tx.remove('task', 't'));
    await world.settle();
    expect(world.assigned()).toEqual(['t2>a']);
  });

  it('that are about to be paused call the assignment off', async () => {
    const holder = runningTask('r', 'a', { ...mounting, volumes: [{ id: 'v1', source: 'data', target: '/data' }] });
    await using world = await start({ nodes: [csiNode], volumes: [volume], tasks: [holder, task('t', mounting)] });
    expect(world.assigned()).toEqual([]);
    world.log.automatic = false;
    const freed = world.store.update((tx) => tx.remove('task', 'r'));
    const paused = world.store.update((tx) => {
      const present = tx.get('volume', 'v1')!;
      tx.update('volume', {
        ...present,
        spec: { ...present.spec!, availability: VolumeSpec_VolumeAvailability.PAUSE },
      });
    });
    world.log.commit(1);
    await freed;
    await world.settle();
    expect(world.log.waiting.length).toBe(1);
    world.log.automatic = true;
    world.log.commit();
    await paused;
    await world.settle();
    expect(world.assigned()).toEqual([]);
    expect(world.task('t').status?.err).toBe('no suitable node (cannot fulfill requested CSI volume mounts on 1 node)');
  });
});
