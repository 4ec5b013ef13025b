import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { SecretSchema, SubscriptionMessageSchema, TaskSchema, TaskState } from '../api/index.js';
import { Code, SwarmError } from '../base/index.js';
import type { SimScript } from '../sim/index.js';
import { UNAVAILABLE, newTask, world } from '../sim/agent-world.test-helper.js';
import { change, linesOf, taskItem } from './fake-dispatcher.test-helper.js';

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
