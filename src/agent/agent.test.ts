import { create } from '@bufbuild/protobuf';
import { afterEach, describe, expect, it } from 'vitest';

import {
  ConfigSchema,
  NodeSchema,
  SecretSchema,
  SessionMessageSchema,
  SubscriptionMessageSchema,
  TaskSchema,
  TaskState,
  TasksMessageSchema,
  VolumeAssignmentSchema,
} from '../api/index.js';
import type { SessionMessage, Task } from '../api/index.js';
import { Code, SILENT_LOGGER, SwarmError } from '../base/index.js';
import { SeededRandom, SimClock, SimExecutor, type SimScript } from '../sim/index.js';
import { Agent, type AgentOptions } from './agent.js';
import { MemoryAgentDatabase } from './database.js';
import { FakeDispatcher, change, linesOf, taskItem } from './fake-dispatcher.test-helper.js';

const UNAVAILABLE = new SwarmError(Code.UNAVAILABLE, 'not now');
const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function newTask(id: string, fields: object = {}): Task {
  return create(TaskSchema, {
    id,
    serviceId: 'service',
    nodeId: 'node-1',
    slot: 1n,
    spec: { runtime: { case: 'container', value: { image: 'image' } } },
    status: { state: TaskState.ASSIGNED, appliedBy: 'manager' },
    desiredState: TaskState.RUNNING,
    ...fields,
  });
}

function world(
  options: AgentOptions & { readonly script?: (task: Task) => SimScript; readonly containerStatus?: boolean } = {},
) {
  const clock = new SimClock();
  const { script, containerStatus } = options;
  const executor = new SimExecutor(
    {
      hostname: 'sim',
      ...(script === undefined ? {} : { script }),
      ...(containerStatus === undefined ? {} : { containerStatus }),
    },
    { clock },
  );
  const database = new MemoryAgentDatabase();
  const dispatcher = new FakeDispatcher(() => clock.monotonicMs());
  const messages: SessionMessage[] = [];
  const start = (stored = database) => {
    const controller = new AbortController();
    const agent = new Agent(options, {
      connect: dispatcher.connect,
      executor,
      database: stored,
      clock,
      random: new SeededRandom(1),
      log: SILENT_LOGGER,
      onSessionMessage: (message) => messages.push(message),
    });
    const running = agent.run(controller.signal);
    running.catch(() => undefined);
    const stop = async (): Promise<void> => {
      controller.abort(new SwarmError(Code.CANCELED, 'the test is over'));
      await running.catch(() => undefined);
    };
    stops.push(stop);
    return { agent, running, stop };
  };
  return { clock, executor, database, dispatcher, messages, start };
}

describe('a session', () => {
  it('registers with the description, and the agent is ready', async () => {
    const { dispatcher, start, clock, messages } = world({ hostname: 'named' });
    const { agent } = start();
    await agent.ready;
    await clock.settle();
    expect(dispatcher.seen.sessions).toMatchObject([{ description: { hostname: 'named' }, sessionId: '' }]);
    expect(messages.map((m) => m.sessionId)).toEqual(['session-1']);
    expect(dispatcher.seen.observed).toEqual([10]);
  });

  it('beats at once and then at the period that was returned', async () => {
    const { dispatcher, start, clock } = world();
    await start().agent.ready;
    await clock.settle();
    dispatcher.heartbeatMs = 700;
    await clock.advance(6500);
    expect(dispatcher.seen.heartbeatsAtMs).toEqual([0, 5000, 5700, 6400]);
  });

  it('takes a period of nothing for the usual one', async () => {
    const { dispatcher, start, clock } = world();
    dispatcher.heartbeatMs = 0;
    await start().agent.ready;
    await clock.advance(10_000);
    expect(dispatcher.seen.heartbeatsAtMs).toEqual([0, 5000, 10_000]);
  });

  it('is tried again ever more seldom, up to 8 s, and a random part of that', async () => {
    const { dispatcher, start, clock } = world();
    dispatcher.fail.session = UNAVAILABLE;
    start();
    const starts: number[] = [];
    for (let ms = 0; ms < 120_000; ms += 10) {
      while (starts.length < dispatcher.seen.sessions.length) starts.push(ms);
      await clock.advance(10);
    }
    const gaps = starts.slice(1).map((at, i) => at - (starts[i] ?? 0));
    const limits = [100, 300, 700, 1500, 3100, 6300];
    gaps.forEach((gap, i) => expect(gap).toBeLessThanOrEqual((limits[i] ?? 8000) + 10));
    expect(Math.max(...gaps)).toBeGreaterThan(6300);
    expect(new Set(gaps.slice(6)).size).toBeGreaterThan(5);
    expect(dispatcher.seen.observed).toEqual(gaps.map(() => -10).concat(-10));
  });

  it('starts again soon after one that had registered, under the id it had', async () => {
    const { dispatcher, start, clock } = world();
    await start().agent.ready;
    await clock.advance(60_000);
    dispatcher.dropSession();
    await clock.advance(100);
    expect(dispatcher.seen.sessions.map((s) => s.sessionId)).toEqual(['', 'session-1']);
    expect(dispatcher.seen.observed).toEqual([10, -10, 10]);
  });

  it.each(['session', 'heartbeat', 'report'] as const)('gives up on a %s without answer after 5 s', async (call) => {
    const { dispatcher, start, clock } = world();
    dispatcher.hang[call] = true;
    dispatcher.complete = [taskItem(newTask('t'))];
    start();
    await clock.advance(4999);
    expect(dispatcher.seen.sessions).toHaveLength(1);
    dispatcher.hang = {};
    await clock.advance(200);
    expect(dispatcher.seen.sessions).toHaveLength(2);
    expect(dispatcher.state('t')).toBe('RUNNING');
  });

  it.each(['heartbeat', 'assignments', 'report', 'subscriptions'] as const)('ends when %s fails', async (call) => {
    const { dispatcher, start, clock } = world();
    dispatcher.complete = [taskItem(newTask('t'))];
    dispatcher.fail[call] = new SwarmError(Code.NOT_FOUND, 'node not registered');
    start();
    await clock.advance(50_000);
    const failed = dispatcher.seen.sessions.length;
    expect(failed).toBeGreaterThan(5);
    dispatcher.fail = {};
    await clock.advance(10_000);
    expect(dispatcher.state('t')).toBe('RUNNING');
    const settled = dispatcher.seen.sessions.length;
    await clock.advance(60_000);
    expect(dispatcher.seen.sessions).toHaveLength(settled);
  });

  it('goes on without log subscriptions where the manager has none', async () => {
    const { dispatcher, start, clock } = world();
    dispatcher.fail.subscriptions = new SwarmError(Code.UNIMPLEMENTED, 'unknown service');
    await start().agent.ready;
    await clock.advance(60_000);
    expect(dispatcher.seen.sessions).toHaveLength(1);
  });

  it('gives up for good when the first manager cannot be trusted, if so chosen', async () => {
    const untrusted = new SwarmError(Code.UNAVAILABLE, 'self-signed certificate', {
      details: { reason: 'certificate' },
    });
    const fatal = world({ certificateErrorsAreFatal: true });
    fatal.dispatcher.fail.connect = untrusted;
    const { agent, running } = fatal.start();
    await expect(running).rejects.toThrow('self-signed certificate');
    await expect(agent.ready).rejects.toThrow('self-signed certificate');

    const patient = world();
    patient.dispatcher.fail.connect = untrusted;
    const later = patient.start();
    await patient.clock.advance(10_000);
    patient.dispatcher.fail = {};
    await patient.clock.advance(10_000);
    await later.agent.ready;
  });

  it('does not give up for a certificate once it was ready', async () => {
    const { dispatcher, start, clock } = world({ certificateErrorsAreFatal: true });
    await start().agent.ready;
    dispatcher.fail.session = new SwarmError(Code.UNAVAILABLE, 'x', { details: { reason: 'certificate' } });
    dispatcher.dropSession();
    await clock.advance(5000);
    dispatcher.fail = {};
    await clock.advance(10_000);
    expect(dispatcher.seen.observed.at(-1)).toBe(10);
  });

  it('registers anew when the description changes, looked at every 20 s', async () => {
    const { dispatcher, executor, start, clock } = world();
    await start().agent.ready;
    executor.description = { ...executor.description };
    await clock.advance(20_000);
    expect(dispatcher.seen.sessions).toHaveLength(1);
    executor.description = { ...executor.description, hostname: 'renamed' };
    await clock.advance(19_999);
    expect(dispatcher.seen.sessions).toHaveLength(1);
    await clock.advance(1);
    expect(dispatcher.seen.sessions.map((s) => s.description?.hostname)).toEqual(['sim', 'renamed']);
    expect(dispatcher.seen.observed).toEqual([10, 10]);
  });

  it('looks at the description at once when asked to', async () => {
    const { dispatcher, executor, start, clock } = world();
    const { agent } = start();
    await agent.ready;
    executor.description = { ...executor.description, hostname: 'renamed' };
    agent.checkDescription();
    await clock.settle();
    expect(dispatcher.seen.sessions).toHaveLength(2);
  });

  it('waits for an executor that cannot describe the node yet', async () => {
    const { dispatcher, executor, start, clock } = world();
    const describe = executor.describe.bind(executor);
    executor.describe = () => Promise.reject(new Error('the engine is down'));
    start();
    await clock.advance(5000);
    expect(dispatcher.seen.sessions).toHaveLength(0);
    executor.describe = describe;
    await clock.advance(8000);
    expect(dispatcher.seen.sessions).toHaveLength(1);
  });

  it('gives node and keys to the executor when they change, and every message to the node', async () => {
    const { dispatcher, executor, start, clock, messages } = world();
    const node = create(NodeSchema, { id: 'node-1', spec: { annotations: { labels: { a: '1' } } } });
    const keys = [1n, 2n, 3n].map((lamportTime) => ({
      subsystem: 'networking:gossip',
      lamportTime,
      key: new Uint8Array(16),
    }));
    dispatcher.first = { node, networkBootstrapKeys: keys };
    const configured: (string | undefined)[] = [];
    const keysSet: number[] = [];
    executor.configure = async (n) => void configured.push(n.spec?.annotations?.labels['a']);
    executor.setNetworkBootstrapKeys = async (k) => void keysSet.push(k.length);
    await start().agent.ready;
    await clock.settle();
    const push = async (fields: object): Promise<void> => {
      dispatcher.sessionMessages.push(create(SessionMessageSchema, { node, networkBootstrapKeys: keys, ...fields }));
      await clock.settle();
    };
    await push({ node: { ...node, meta: { version: { index: 7n } }, status: { addr: 'other' } } });
    expect([configured, keysSet]).toEqual([['1'], [3]]);
    await push({ node: create(NodeSchema, { id: 'node-1', spec: { annotations: { labels: { a: '2' } } } }) });
    await push({ networkBootstrapKeys: [...keys.slice(1), { ...keys[0], lamportTime: 4n }] });
    await push({ networkBootstrapKeys: [] });
    expect([configured, keysSet]).toEqual([
      ['1', '2', '1'],
      [3, 3],
    ]);
    expect(messages).toHaveLength(5);
  });
});

describe('assignments', () => {
  it('run a task through all its states', async () => {
    const { dispatcher, start, clock, executor } = world({ containerStatus: true });
    executor.trace = [];
    dispatcher.complete = [taskItem(newTask('t'))];
    await start().agent.ready;
    await clock.settle();
    expect(dispatcher.statuses.get('t')).toMatchObject({
      state: TaskState.RUNNING,
      message: 'started',
      err: '',
      appliedBy: 'manager',
      runtimeStatus: { case: 'container', value: { containerId: 'sim-t', pid: 1 } },
    });
    expect(executor.trace).toEqual(['prepare t', 'start t', 'wait t']);
    dispatcher.send(change(taskItem(newTask('t', { desiredState: TaskState.SHUTDOWN }))));
    await clock.settle();
    expect(dispatcher.state('t')).toBe('SHUTDOWN');
    expect(executor.running()).toEqual([]);
    dispatcher.send(change(taskItem(newTask('t')), true));
    await clock.settle();
    expect(executor.present()).toEqual([]);
    expect(executor.trace.slice(3)).toEqual(['shutdown t', 'remove t', 'close t']);
  });

  it('hold a task at READY until more is desired', async () => {
    const { dispatcher, start, clock } = world();
    dispatcher.complete = [taskItem(newTask('t', { desiredState: TaskState.READY }))];
    await start().agent.ready;
    await clock.advance(10_000);
    expect(dispatcher.state('t')).toBe('READY');
    dispatcher.send(change(taskItem(newTask('t'))));
    await clock.settle();
    expect(dispatcher.state('t')).toBe('RUNNING');
  });

  it('ignore tasks that are not yet assigned, and everything they do not know', async () => {
    const { dispatcher, start, clock, executor } = world();
    await start().agent.ready;
    await clock.settle();
    dispatcher.send(
      change(taskItem(newTask('pending', { status: { state: TaskState.PENDING } }))),
      change(taskItem(create(TaskSchema, { id: 'blank' }))),
      change(taskItem(newTask(''))),
      change({ case: undefined }),
      { ...change(taskItem(newTask('odd'))), action: 7 as never },
      { ...change({ case: undefined }), assignment: undefined },
      change(taskItem(newTask('good'))),
    );
    await clock.settle();
    expect(executor.running()).toEqual(['good']);
    expect(dispatcher.seen.sessions).toHaveLength(1);
  });

  it('reset everything when complete', async () => {
    const { dispatcher, start, clock, executor, database } = world();
    dispatcher.complete = [taskItem(newTask('a')), taskItem(newTask('b'))];
    await start().agent.ready;
    await clock.settle();
    expect(executor.running()).toEqual(['a', 'b']);
    dispatcher.sendComplete(taskItem(newTask('b')), taskItem(newTask('c')));
    await clock.settle();
    expect(executor.running()).toEqual(['b', 'c']);
    expect((await database.load()).map(({ task }) => task.id)).toEqual(['b', 'c']);
  });

  it('are asked for anew when one does not follow on the last, and it is not applied', async () => {
    const { dispatcher, start, clock, executor } = world();
    await start().agent.ready;
    await clock.settle();
    dispatcher.skip();
    dispatcher.complete = [taskItem(newTask('whole'))];
    dispatcher.send(change(taskItem(newTask('gap'))));
    await clock.settle();
    expect(dispatcher.seen.assignmentStreams).toBe(2);
    expect(dispatcher.seen.sessions).toHaveLength(1);
    expect(executor.running()).toEqual(['whole']);
    dispatcher.send(change(taskItem(newTask('next'))));
    await clock.settle();
    expect(executor.running()).toEqual(['next', 'whole']);
  });

  it('that never follow end the session instead of being asked for without end', async () => {
    const { dispatcher, start, clock } = world();
    await start().agent.ready;
    await clock.settle();
    for (let i = 0; i < 100; i++) {
      dispatcher.skip();
      dispatcher.send();
    }
    await clock.settle();
    expect(dispatcher.seen.assignmentStreams).toBeLessThan(8);
  });

  it('are asked for as a list of tasks where the manager knows no better', async () => {
    const { dispatcher, start, clock, executor } = world();
    dispatcher.fail.assignments = new SwarmError(Code.UNIMPLEMENTED, 'unknown method Assignments');
    await start().agent.ready;
    dispatcher.taskLists.push(create(TasksMessageSchema, { tasks: [newTask('a'), newTask('b')] }));
    await clock.settle();
    expect(executor.running()).toEqual(['a', 'b']);
    dispatcher.taskLists.push(create(TasksMessageSchema, { tasks: [newTask('b')] }));
    await clock.settle();
    expect(executor.running()).toEqual(['b']);
    expect(dispatcher.seen.sessions).toHaveLength(1);
  });

  it('bring secrets and configs before the tasks that use them', async () => {
    const { dispatcher, start, clock, executor } = world();
    const seen: (string | undefined)[] = [];
    executor.intercept = (made) => {
      const prepare = made.prepare.bind(made);
      const { dependencies } = made;
      made.prepare = (signal) => {
        for (const id of ['s1', 's2', 'driver']) {
          const data = dependencies.secret(id)?.spec?.data;
          seen.push(data === undefined ? undefined : new TextDecoder().decode(data));
        }
        const config = dependencies.config('c1');
        seen.push(
          new TextDecoder().decode(config?.spec?.data),
          String(config?.sensitive),
          dependencies.volume('v')?.id,
        );
        return prepare(signal);
      };
    };
    await start().agent.ready;
    await clock.settle();
    const bytes = (text: string) => new TextEncoder().encode(text);
    const container = {
      secrets: [
        { secretId: 's1', target: { case: 'file', value: { name: 'f' } } },
        { secretId: 'driver', target: { case: 'file', value: { name: 'd' } } },
      ],
      configs: [{ configId: 'c1' }],
    };
    dispatcher.send(
      change(taskItem(newTask('t', { spec: { runtime: { case: 'container', value: container } } }))),
      change({
        case: 'config',
        value: create(ConfigSchema, {
          id: 'c1',
          spec: { data: bytes('{{secret "f"}}!'), templating: { name: 'golang' } },
        }),
      }),
      change({ case: 'secret', value: create(SecretSchema, { id: 's1', spec: { data: bytes('one') } }) }),
      change({ case: 'secret', value: create(SecretSchema, { id: 's2', spec: { data: bytes('two') } }) }),
      change({ case: 'secret', value: create(SecretSchema, { id: 'driver', spec: { data: bytes('everybody') } }) }),
      change({ case: 'secret', value: create(SecretSchema, { id: 'driver.t', spec: { data: bytes('only t') } }) }),
      change({ case: 'volume', value: create(VolumeAssignmentSchema, { id: 'v' }) }),
    );
    await clock.settle();
    expect(seen).toEqual(['one', undefined, 'only t', 'one!', 'true', undefined]);
  });

  it('reject a task whose templates or payloads cannot be expanded, or that gets no controller', async () => {
    const { dispatcher, start, clock, executor } = world();
    executor.intercept = ({ task }) => {
      if (task.id === 'none') throw new SwarmError(Code.UNIMPLEMENTED, 'unsupported runtime');
    };
    await start().agent.ready;
    await clock.settle();
    const env = { spec: { runtime: { case: 'container', value: { env: ['A={{.Nope}}'] } } } };
    dispatcher.send(change(taskItem(newTask('none'))), change(taskItem(newTask('templated', env))));
    await clock.settle();
    expect(dispatcher.statuses.get('none')).toMatchObject({
      state: TaskState.REJECTED,
      message: 'resolving controller failed',
      err: 'unsupported runtime',
    });
    expect(dispatcher.statuses.get('templated')).toMatchObject({ state: TaskState.REJECTED });
    expect(dispatcher.statuses.get('templated')?.err).toContain("can't evaluate field Nope");
    dispatcher.send(
      change(taskItem(newTask('none', { desiredState: TaskState.SHUTDOWN }))),
      change(taskItem(newTask('templated')), true),
    );
    await clock.settle();
    expect(dispatcher.state('none')).toBe('REJECTED');
  });

  it('report volumes as free that are taken away', async () => {
    const { dispatcher, start, clock } = world();
    await start().agent.ready;
    await clock.settle();
    dispatcher.send(change({ case: 'volume', value: create(VolumeAssignmentSchema, { id: 'v' }) }));
    dispatcher.send(change({ case: 'volume', value: create(VolumeAssignmentSchema, { id: 'v' }) }, true));
    await clock.settle();
    expect(dispatcher.seen.unpublished).toEqual(['v']);
  });

  it('start a task again that is taken away and given back while its removal is under way', async () => {
    const { dispatcher, start, clock, executor } = world();
    dispatcher.complete = [taskItem(newTask('t'))];
    await start().agent.ready;
    await clock.settle();
    dispatcher.send(change(taskItem(newTask('t')), true));
    dispatcher.send(change(taskItem(newTask('t'))));
    await clock.settle();
    expect(executor.running()).toEqual(['t']);
  });
});

describe('statuses', () => {
  it('that wait go together in one call, the newest of each task', async () => {
    const { dispatcher, start, clock } = world();
    dispatcher.complete = Array.from({ length: 500 }, (_, i) => taskItem(newTask(`t${i}`)));
    await start().agent.ready;
    await clock.runUntil(
      () => [...dispatcher.statuses.values()].filter((s) => s.state === TaskState.RUNNING).length === 500,
      1000,
    );
    expect(dispatcher.seen.reports.length).toBeLessThan(30);
    expect(clock.monotonicMs()).toBe(0);
  });

  it('never go backwards, and all are reported again to the next manager', async () => {
    const { dispatcher, start, clock } = world();
    dispatcher.complete = ['a', 'b'].map((id) => taskItem(newTask(id)));
    await start().agent.ready;
    await clock.settle();
    dispatcher.statuses.clear();
    dispatcher.dropSession();
    await clock.advance(1000);
    expect([...dispatcher.statuses.keys()].sort()).toEqual(['a', 'b']);
    for (const states of dispatcher.history.values()) expect(states).toEqual([...states].sort((x, y) => x - y));
  });

  it('of tasks that are not of this node hold up no others', async () => {
    const { dispatcher, start, clock } = world();
    dispatcher.foreign.add('t3');
    dispatcher.complete = Array.from({ length: 8 }, (_, i) => taskItem(newTask(`t${i}`)));
    await start().agent.ready;
    await clock.settle();
    expect([...dispatcher.statuses.keys()].sort()).toEqual(['t0', 't1', 't2', 't4', 't5', 't6', 't7']);
    expect(dispatcher.seen.sessions).toHaveLength(1);
  });

  it('carry exit code and error of a task that failed', async () => {
    const { dispatcher, start, clock } = world({ containerStatus: true, script: () => ({ runMs: 500, exitCode: 3 }) });
    dispatcher.complete = [taskItem(newTask('t'))];
    await start().agent.ready;
    await clock.advance(500);
    expect(dispatcher.statuses.get('t')).toMatchObject({
      state: TaskState.FAILED,
      message: 'started',
      err: 'task: non-zero exit (3)',
      runtimeStatus: { value: { exitCode: 3 } },
    });
  });

  it('bear the time of their change only', async () => {
    const { dispatcher, start, clock } = world();
    dispatcher.complete = [taskItem(newTask('t'))];
    await start().agent.ready;
    await clock.settle();
    const { timestamp } = dispatcher.statuses.get('t') ?? {};
    dispatcher.dropSession();
    await clock.advance(3000);
    expect(dispatcher.statuses.get('t')?.timestamp).toEqual(timestamp);
    expect(Number(timestamp?.seconds)).toBe(clock.nowMs() / 1000 - 3);
  });
});

describe('an agent that starts again', () => {
  it('goes on with its tasks, its own statuses counting', async () => {
    const { dispatcher, start, clock, executor } = world();
    dispatcher.complete = [taskItem(newTask('t'))];
    const first = start();
    await first.agent.ready;
    await clock.settle();
    await first.stop();
    expect(executor.running()).toEqual(['t']);
    dispatcher.fail.session = UNAVAILABLE;
    executor.trace = [];
    start();
    await clock.settle();
    expect(executor.trace).toEqual(['wait t']);
    executor.crash('t', 9);
    await clock.settle();
    dispatcher.fail = {};
    dispatcher.statuses.clear();
    await clock.advance(10_000);
    expect(dispatcher.state('t')).toBe('FAILED');
    expect(executor.trace).toEqual(['wait t']);
  });

  it('finds out what was lost', async () => {
    const { dispatcher, start, clock, executor } = world();
    dispatcher.complete = [taskItem(newTask('t'))];
    const first = start();
    await first.agent.ready;
    await clock.settle();
    await first.stop();
    executor.lose('t');
    start();
    await clock.advance(1000);
    expect(dispatcher.statuses.get('t')).toMatchObject({ state: TaskState.FAILED, err: 'No such container: sim-t' });
  });

  it('finishes a removal that was interrupted', async () => {
    const { dispatcher, start, clock, executor, database } = world();
    dispatcher.complete = [taskItem(newTask('t'))];
    const first = start();
    await first.agent.ready;
    await clock.settle();
    await first.stop();
    await database.commit([{ kind: 'unassign', taskId: 't' }]);
    dispatcher.complete = [];
    start();
    await clock.advance(1000);
    expect(executor.present()).toEqual([]);
    expect(await database.load()).toEqual([]);
  });

  it('holds tasks that need secrets until these have come', async () => {
    const { dispatcher, start, clock, executor, database } = world();
    const spec = { runtime: { case: 'container', value: { secrets: [{ secretId: 's' }] } } };
    const waiting = newTask('waiting', { spec });
    await database.commit([
      { kind: 'task', task: waiting },
      {
        kind: 'status',
        taskId: 'waiting',
        status: create(TaskSchema, { status: { state: TaskState.READY } }).status as never,
      },
      { kind: 'task', task: newTask('free') },
      {
        kind: 'status',
        taskId: 'free',
        status: create(TaskSchema, { status: { state: TaskState.ACCEPTED } }).status as never,
      },
    ]);
    executor.createContainer('waiting');
    dispatcher.fail.session = UNAVAILABLE;
    start();
    await clock.advance(5000);
    expect(executor.running()).toEqual(['free']);
    dispatcher.fail = {};
    dispatcher.complete = [
      { case: 'secret', value: create(SecretSchema, { id: 's', spec: {} }) },
      taskItem(waiting),
      taskItem(newTask('free')),
    ];
    await clock.advance(10_000);
    expect(executor.running()).toEqual(['free', 'waiting']);
  });

  it('cannot start when the database cannot be read', async () => {
    const { start, database } = world();
    database.load = () => Promise.reject(new SwarmError(Code.DATA_LOSS, 'damaged'));
    const { running, agent } = start(database);
    await expect(running).rejects.toThrow('damaged');
    await expect(agent.ready).rejects.toThrow('damaged');
  });

  it('is not ready when it was stopped before', async () => {
    const { start, dispatcher } = world();
    dispatcher.fail.session = UNAVAILABLE;
    const { agent, stop, running } = start();
    await stop();
    await expect(running).resolves.toBeUndefined();
    await expect(agent.ready).rejects.toThrow();
  });
});

describe('leaving', () => {
  it('removes all tasks and accepts no more', async () => {
    const { dispatcher, start, clock, executor, database } = world();
    dispatcher.complete = ['a', 'b'].map((id) => taskItem(newTask(id)));
    const { agent } = start();
    await agent.ready;
    await clock.settle();
    const left = agent.leave(new AbortController().signal);
    await clock.settle();
    await left;
    await clock.settle();
    expect(executor.present()).toEqual([]);
    expect(await database.load()).toEqual([]);
    dispatcher.send(change(taskItem(newTask('c'))));
    await clock.settle();
    expect(executor.present()).toEqual([]);
  });
});

describe('log subscriptions', () => {
  const script = (): SimScript => ({ logs: ['one', 'two'], logPeriodMs: 100 });
  const subscription = (fields: object) => create(SubscriptionMessageSchema, { id: 'sub', ...fields });

  it('give what there is of the tasks they name, and close', async () => {
    const { dispatcher, start, clock } = world({ script });
    dispatcher.complete = ['a', 'b', 'c'].map((id) => taskItem(newTask(id, { serviceId: `of-${id}` })));
    await start().agent.ready;
    await clock.settle();
    dispatcher.subscriptions.push(subscription({ selector: { taskIds: ['a'], serviceIds: ['of-c'] } }));
    await clock.settle();
    const { published } = dispatcher.seen;
    expect(linesOf(published.flatMap((m) => m.messages)).sort()).toEqual(['a: one', 'a: two', 'c: one', 'c: two']);
    expect(published[0]?.messages[0]?.context).toMatchObject({ nodeId: 'node-1', serviceId: 'of-a', taskId: 'a' });
    expect(published.every((m) => m.subscriptionId === 'sub')).toBe(true);
    expect(published.map((m) => m.close)).toEqual([...published.slice(1).map(() => false), true]);
  });

  it('close at once where nothing matches', async () => {
    const { dispatcher, start, clock } = world({ script });
    await start().agent.ready;
    dispatcher.subscriptions.push(subscription({ selector: { taskIds: ['none'] } }));
    dispatcher.subscriptions.push(create(SubscriptionMessageSchema, { id: 'blank' }));
    await clock.settle();
    expect(dispatcher.seen.published.map((m) => [m.subscriptionId, m.close])).toEqual([
      ['sub', true],
      ['blank', true],
    ]);
  });

  it('follow running tasks and new ones until they are closed', async () => {
    const { dispatcher, start, clock } = world({ script });
    dispatcher.complete = [taskItem(newTask('a'))];
    await start().agent.ready;
    await clock.settle();
    dispatcher.subscriptions.push(subscription({ selector: { serviceIds: ['service'] }, options: { follow: true } }));
    dispatcher.subscriptions.push(subscription({ selector: { serviceIds: ['service'] }, options: { follow: true } }));
    await clock.advance(150);
    dispatcher.send(change(taskItem(newTask('b'))));
    await clock.advance(1000);
    const lines = (): string[] => linesOf(dispatcher.seen.published.flatMap((m) => m.messages));
    expect(lines()).toEqual(['a: one', 'a: two', 'b: one', 'b: two']);
    dispatcher.subscriptions.push(subscription({ close: true }));
    await clock.settle();
    expect(dispatcher.seen.published.at(-1)).toMatchObject({ close: true });
    expect(dispatcher.seen.published.filter((m) => m.close)).toHaveLength(1);
  });

  it('do not harm the session when publishing fails', async () => {
    const { dispatcher, start, clock } = world({ script });
    dispatcher.complete = [taskItem(newTask('a'))];
    dispatcher.fail.publish = new SwarmError(Code.NOT_FOUND, 'no such subscription');
    await start().agent.ready;
    await clock.settle();
    dispatcher.subscriptions.push(subscription({ selector: { taskIds: ['a'] }, options: { follow: true } }));
    await clock.advance(60_000);
    expect(dispatcher.seen.sessions).toHaveLength(1);
  });

  it('end with the session', async () => {
    const { dispatcher, start, clock } = world({ script });
    dispatcher.complete = [taskItem(newTask('a'))];
    await start().agent.ready;
    await clock.settle();
    dispatcher.subscriptions.push(subscription({ selector: { taskIds: ['a'] }, options: { follow: true } }));
    await clock.advance(100);
    dispatcher.dropSession();
    await clock.advance(5000);
    expect(linesOf(dispatcher.seen.published.flatMap((m) => m.messages))).toEqual(['a: one']);
    expect(dispatcher.seen.sessions).toHaveLength(2);
  });
});
