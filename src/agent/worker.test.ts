import { create } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { TaskSchema, TaskState, type Task, type TaskStatus } from '../api/index.js';
import { SILENT_LOGGER, canceled } from '../base/index.js';
import { SimClock, SimExecutor, type SimScript } from '../sim/index.js';
import { MemoryAgentDatabase } from './database.js';
import { TemporaryError } from './exec/index.js';
import { change, taskItem } from './fake-dispatcher.test-helper.js';
import { Journal } from './journal.js';
import { Worker } from './worker.js';

const NEVER = new AbortController().signal;

function newTask(id: string, desiredState = TaskState.RUNNING, fields: object = {}): Task {
  return create(TaskSchema, {
    id,
    serviceId: 'service',
    slot: 1n,
    status: { state: TaskState.ASSIGNED },
    desiredState,
    spec: { runtime: { case: 'container', value: { image: 'image' } } },
    ...fields,
  });
}

function setUp(script: (task: Task) => SimScript = () => ({})) {
  const clock = new SimClock();
  const executor = new SimExecutor({ hostname: 'sim', script }, { clock });
  executor.trace = [];
  const statuses = new Map<string, TaskStatus>();
  const history: string[] = [];
  const database = new MemoryAgentDatabase();
  const journal = new Journal({
    database,
    clock,
    log: SILENT_LOGGER,
    onStatus: (taskId, status) => {
      const before = statuses.get(taskId)?.state ?? TaskState.NEW;
      if (status.state < before) throw new Error(`${taskId} went back`);
      statuses.set(taskId, status);
      history.push(`${clock.monotonicMs()} ${TaskState[status.state]} ${status.err}`.trim());
    },
    onTask: (taskId) => worker.stored(taskId),
  });
  const controller = new AbortController();
  const running = journal.run(controller.signal);
  const worker = new Worker({
    executor,
    journal,
    clock,
    log: SILENT_LOGGER,
    describe: () => executor.description,
    onVolumeUnpublished: () => undefined,
    onTaskRemoved: () => undefined,
  });
  const stop = async (): Promise<void> => {
    await worker.close();
    controller.abort(canceled('the test'));
    await running;
  };
  const update = async (...tasks: Task[]): Promise<void> => {
    await worker.update(
      tasks.map((task) => change(taskItem(task))),
      NEVER,
    );
    await clock.settle();
  };
  const state = (id: string): string => TaskState[statuses.get(id)?.state ?? 0] ?? '';
  return { clock, executor, worker, database, statuses, history, stop, update, state };
}

describe('a worker', () => {
  it('begins nothing that a killed agent would not remember: a task runs once it is stored', async () => {
    const { clock, database, executor, update, state, stop } = setUp();
    const commit = database.commit.bind(database);
    const written = Promise.withResolvers<void>();
    database.commit = async (writes) => {
      await written.promise;
      await commit(writes);
    };
    await update(newTask('t'));
    await clock.advance(1000);
    expect(executor.trace).toEqual([]);
    written.resolve();
    await clock.advance(1000);
    expect(state('t')).toBe('RUNNING');
    await stop();
  });

  it('begins a task all the same where it cannot be stored', async () => {
    const { clock, database, state, update, stop } = setUp();
    database.commit = () => Promise.reject(new Error('disk full'));
    await update(newTask('t'));
    await clock.advance(1000);
    expect(state('t')).toBe('RUNNING');
    await stop();
  });

  it('tries again every second what may succeed later, showing why', async () => {
    const { clock, history, update, stop, executor } = setUp(() => ({ temporaryFailures: 2 }));
    await update(newTask('t'));
    await clock.advance(5000);
    expect(history.at(-1)).toBe('2000 RUNNING');
    expect(history).toContain('0 PREPARING simulated: not now');
    expect(executor.trace?.filter((call) => call === 'prepare t')).toHaveLength(3);
    await stop();
  });

  it.each([
    [{ prepareError: 'no image' }, 'REJECTED', 'no image'],
    [{ startError: 'no port' }, 'FAILED', 'no port'],
    [{ unhealthy: true }, 'FAILED', 'task: non-zero exit (1): unhealthy container'],
    [{ runMs: 10, exitCode: 2 }, 'FAILED', 'task: non-zero exit (2)'],
    [{ runMs: 10 }, 'COMPLETE', ''],
  ] as const)('with %j ends a task as %s', async (script, expected, err) => {
    const { clock, update, stop, state, statuses, executor } = setUp(() => script);
    await update(newTask('t'));
    await clock.advance(20_000);
    expect([state('t'), statuses.get('t')?.err]).toEqual([expected, err]);
    const calls = executor.trace?.length;
    await update(newTask('t', TaskState.SHUTDOWN));
    await clock.advance(20_000);
    expect([state('t'), executor.trace?.length]).toEqual([expected, calls]);
    await stop();
  });

  it('fails a task that cannot be shut down', async () => {
    const { clock, update, stop, state } = setUp(() => ({ shutdownError: 'stuck' }));
    await update(newTask('t'));
    await update(newTask('t', TaskState.SHUTDOWN));
    await clock.advance(1);
    expect(state('t')).toBe('FAILED');
    await stop();
  });

  it.each(['prepareMs', 'startMs'] as const)('gives up %s when the task is to be shut down', async (phase) => {
    const { clock, update, stop, state, executor } = setUp(() => ({ [phase]: 60_000, shutdownMs: 100 }));
    await update(newTask('t'));
    await clock.advance(1000);
    await update(newTask('t', TaskState.SHUTDOWN));
    await clock.advance(100);
    expect(state('t')).toBe('SHUTDOWN');
    expect(executor.trace?.at(-1)).toBe('shutdown t');
    await stop();
  });

  it('does not begin anew what goes on under the updated task', async () => {
    const { clock, update, stop, state, executor } = setUp(() => ({ prepareMs: 1000, shutdownMs: 1000 }));
    await update(newTask('t', TaskState.READY));
    await clock.advance(500);
    await update(newTask('t', TaskState.RUNNING));
    await clock.advance(500);
    expect(state('t')).toBe('RUNNING');
    await update(newTask('t', TaskState.SHUTDOWN));
    await clock.advance(500);
    await update(newTask('t', TaskState.REMOVE));
    await clock.advance(500);
    expect(state('t')).toBe('SHUTDOWN');
    expect(executor.trace).toEqual(['prepare t', 'start t', 'wait t', 'shutdown t']);
    await stop();
  });

  it('gives a changed definition to the controller, and nothing else', async () => {
    const { update, stop, executor } = setUp();
    await update(newTask('t'));
    await update(newTask('t', TaskState.RUNNING, { meta: { version: { index: 9n } } }));
    await update(newTask('t', TaskState.RUNNING, { status: { state: TaskState.RUNNING } }));
    expect(executor.trace).toEqual(['prepare t', 'start t', 'wait t']);
    await update(newTask('t', TaskState.RUNNING, { networks: [{ addresses: ['10.0.0.2/24'] }] }));
    expect(executor.trace).toEqual(['prepare t', 'start t', 'wait t', 'update t', 'wait t']);
    await stop();
  });

  it('ignores a task whose desired state goes backwards', async () => {
    const { update, stop, state } = setUp();
    await update(newTask('t'));
    await update(newTask('t', TaskState.SHUTDOWN));
    await update(newTask('t', TaskState.RUNNING));
    expect(state('t')).toBe('SHUTDOWN');
    await stop();
  });

  it('lets go of its tasks when closed, and drops what they still say', async () => {
    const { clock, update, stop, executor, history } = setUp();
    await update(newTask('t'));
    const before = history.length;
    await stop();
    executor.crash('t', 1);
    await clock.settle();
    expect(history).toHaveLength(before);
    expect(executor.trace?.slice(-1)).toEqual(['close t']);
  });

  it('does not wait for ever for a controller that does not let go', async () => {
    const { clock, executor, worker, stop } = setUp();
    executor.intercept = (made) => {
      made.prepare = () => new Promise(() => undefined);
    };
    await worker.update([change(taskItem(newTask('t')))], NEVER);
    await clock.settle();
    let stopped = false;
    const stopping = stop().then(() => {
      stopped = true;
    });
    await clock.advance(9999);
    expect(stopped).toBe(false);
    await clock.advance(1);
    await stopping;
  });

  it('tries a removal again a few times, and leaves the rest to the next start', async () => {
    const { clock, executor, worker, stop, update, database } = setUp();
    let attempts = 0;
    executor.intercept = (made) => {
      made.remove = async () => {
        attempts += 1;
        throw new TemporaryError('busy');
      };
    };
    await update(newTask('t'));
    await worker.assign([], NEVER);
    await clock.advance(60_000);
    expect(attempts).toBe(5);
    expect(await database.load()).toMatchObject([{ task: { id: 't' }, assigned: false }]);
    await worker.idle();
    await stop();
  });

  it('runs ten thousand tasks with neither a timer nor a leftover for each', async () => {
    const { clock, executor, worker, stop, statuses } = setUp();
    executor.trace = undefined;
    const ids = Array.from({ length: 10_000 }, (_, i) => `t${i}`);
    const assigning = worker.assign(
      ids.map((id) => change(taskItem(newTask(id)))),
      NEVER,
    );
    await clock.runUntil(() => executor.running().length === 10_000, 1000);
    await assigning;
    await clock.advance(1);
    expect(statuses.size).toBe(10_000);
    expect(clock.pendingTimers).toBe(0);
    expect(clock.monotonicMs()).toBeLessThanOrEqual(1);
    const removing = worker.assign([], NEVER);
    await clock.advance(1);
    await removing;
    expect(executor.present()).toEqual([]);
    await stop();
  });

  it('never moves a status backwards, and settles, under any order of wishes and mishaps', async () => {
    const scripts: SimScript[] = [
      {},
      { prepareMs: 30, startMs: 30, shutdownMs: 30 },
      { runMs: 25 },
      { runMs: 25, exitCode: 1 },
      { temporaryFailures: 1 },
      { prepareError: 'x' },
      { startMs: 20, startError: 'x' },
      { shutdownMs: 20, shutdownError: 'x' },
    ];
    const desired = [TaskState.READY, TaskState.RUNNING, TaskState.COMPLETE, TaskState.SHUTDOWN, TaskState.REMOVE];
    const event = fc.record({
      task: fc.nat(2),
      desired: fc.constantFrom(...desired),
      networks: fc.nat(1),
      waitMs: fc.nat(40),
      kind: fc.constantFrom('assign', 'assign', 'crash', 'lose', 'remove'),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 25 }),
        fc.array(fc.nat(7), { minLength: 3, maxLength: 3 }),
        async (events, kinds) => {
          const world = setUp((task) => scripts[kinds[Number(task.id)] ?? 0] ?? {});
          for (const { task, desired, networks, waitMs, kind } of events) {
            const id = String(task);
            if (kind === 'crash') world.executor.crash(id, 1);
            else if (kind === 'lose') world.executor.lose(id);
            else if (kind === 'remove') {
              await world.worker.update([change(taskItem(newTask(id)), true)], NEVER);
              await world.clock.settle();
              world.statuses.delete(id);
            } else await world.update(newTask(id, desired, { networks: Array.from({ length: networks }, () => ({})) }));
            await world.clock.advance(waitMs);
          }
          for (const { task } of world.worker.tasks()) await world.update({ ...task, desiredState: TaskState.REMOVE });
          await world.clock.advance(5000);
          for (const { task } of world.worker.tasks()) expect(task.status?.state).toBeGreaterThan(TaskState.RUNNING);
          // Only what cannot be shut down still runs.
          expect(world.executor.running().filter((id) => kinds[Number(id)] !== 7)).toEqual([]);
          await world.stop();
        },
      ),
      { numRuns: 200 },
    );
  });
});
