import { create } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  TaskState,
  TaskStatusSchema,
  VolumePublishStatus_State as PublishState,
  VolumeSchema,
  isTerminal,
  msFromTimestamp,
  taskState,
  timestampFromMs,
  type AssignmentsMessage,
  type TaskStatus,
} from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import { SeededRandom, SimClock } from '../../sim/index.js';
import { STATUS_TEXT_MAX } from './status-check.js';
import { DispatcherFixture, Reader, nodeNamed, taskOn } from './testing/fixture.js';

/** Numbers that no state has; an agent can send any. */
const NO_STATES = [100_000, 513, -1] as unknown as readonly TaskState[];

const NEVER = { signal: new AbortController().signal };

let fixture: DispatcherFixture;
let sessionId: string;

beforeEach(async () => {
  fixture = new DispatcherFixture(new SimClock(), new SeededRandom(3));
  await fixture.start(nodeNamed('n1'), nodeNamed('n2'));
  sessionId = await fixture.register('n1');
});

afterEach(async () => {
  fixture.proposer.automatic = true;
  fixture.proposer.commit();
  await fixture.stop();
});

function status(state: TaskState, message = ''): TaskStatus {
  return create(TaskStatusSchema, { state, message, timestamp: timestampFromMs(1000) });
}

async function report(...updates: readonly (readonly [string, TaskStatus | undefined])[]): Promise<void> {
  const sent = updates.map(([taskId, each]) => ({ taskId, ...(each === undefined ? {} : { status: each }) }));
  await fixture.as('n1').updateTaskStatus({ sessionId, updates: sent }, NEVER);
  await fixture.clock.settle();
}

function stateOf(id: string): string {
  return TaskState[taskState(fixture.get('task', id))] ?? '';
}

describe('a status report', () => {
  it('is stored with who applied it and when', async () => {
    await fixture.put('task', taskOn('n1', 'a'));
    await fixture.clock.advance(5_000);
    await report(['a', status(TaskState.RUNNING, 'started')]);
    const stored = fixture.get('task', 'a').status;
    expect(stored).toMatchObject({ state: TaskState.RUNNING, message: 'started', appliedBy: 'm1' });
    expect(msFromTimestamp(stored?.appliedAt)).toBe(fixture.clock.nowMs());
    expect(fixture.delays).toEqual([5_000]);
  });

  it('is refused for a task of another node, and with it all reports of the call', async () => {
    await fixture.put('task', taskOn('n1', 'mine'));
    await fixture.put('task', taskOn('n2', 'foreign'));
    await expect(
      report(['mine', status(TaskState.RUNNING)], ['foreign', status(TaskState.RUNNING)]),
    ).rejects.toMatchObject({ code: Code.PERMISSION_DENIED, message: 'cannot update a task not assigned this node' });
    await fixture.clock.settle();
    expect([stateOf('mine'), stateOf('foreign')]).toEqual(['ASSIGNED', 'ASSIGNED']);
  });

  it('is passed over without status, for an unknown task and with a state that no agent reports', async () => {
    await fixture.put('task', taskOn('n1', 'a'));
    await fixture.put('task', taskOn('n1', 'b'));
    await report(
      ['a', undefined],
      ['gone', status(TaskState.RUNNING)],
      ['a', status(TaskState.REMOVE)],
      ...NO_STATES.map((state) => ['a', status(state)] as const),
      ['b', status(TaskState.RUNNING)],
    );
    expect([stateOf('a'), stateOf('b')]).toEqual(['ASSIGNED', 'RUNNING']);
  });

  it('needs a valid session', async () => {
    await expect(fixture.as('n1').updateTaskStatus({ sessionId: 'x' }, NEVER)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
    await expect(fixture.as('n2').updateTaskStatus({ sessionId }, NEVER)).rejects.toMatchObject({
      message: 'session invalid',
    });
    await expect(fixture.as('n3').updateTaskStatus({ sessionId }, NEVER)).rejects.toMatchObject({
      code: Code.NOT_FOUND,
    });
  });

  it('costs no write when it says nothing new: agents repeat all they know when they register', async () => {
    await fixture.put('task', taskOn('n1', 'a'));
    await report(['a', status(TaskState.RUNNING, 'started')]);
    const { version } = fixture.store;
    await fixture.clock.advance(1_000);
    await report(['a', status(TaskState.RUNNING, 'started')]);
    expect(fixture.store.version).toBe(version);
    await report(['a', status(TaskState.RUNNING, 'healthy')]);
    expect(fixture.get('task', 'a').status?.message).toBe('healthy');
    expect(fixture.delays).toHaveLength(1);
  });

  it('is cut where its text would not fit with others, and refused where the rest is too large', async () => {
    await fixture.put('task', taskOn('n1', 'a'));
    await report(['a', create(TaskStatusSchema, { state: TaskState.FAILED, err: 'x'.repeat(2_000_000) })]);
    expect(fixture.get('task', 'a').status?.err).toHaveLength(STATUS_TEXT_MAX);
    const runtimeStatus = { case: 'container', value: { containerId: 'c'.repeat(100_000) } } as const;
    await expect(
      report(['a', create(TaskStatusSchema, { state: TaskState.FAILED, runtimeStatus })]),
    ).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });

  it('does not change how a task has ended: an agent that lost its memory stops what was complete', async () => {
    await fixture.put('task', taskOn('n1', 'a'));
    await report(['a', status(TaskState.COMPLETE)]);
    await report(['a', status(TaskState.SHUTDOWN)]);
    expect(stateOf('a')).toBe('COMPLETE');
  });

  it('never moves a task backwards, whatever arrives in whatever order and batches', async () => {
    const states = Object.values(TaskState).filter((state) => typeof state === 'number');
    const step = fc.record({ state: fc.constantFrom(...states), commit: fc.boolean() });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        const id = `t${round++}`;
        fixture.proposer.automatic = true;
        await fixture.put('task', taskOn('n1', id));
        fixture.proposer.automatic = false;
        let highest: TaskState = TaskState.ASSIGNED;
        let stored: TaskState = TaskState.ASSIGNED;
        for (const { state, commit } of steps) {
          await report([id, status(state)]);
          if (commit) fixture.proposer.commit();
          await fixture.clock.settle();
          const now = taskState(fixture.get('task', id));
          expect(now).toBeGreaterThanOrEqual(stored);
          if (isTerminal(stored)) expect(now).toBe(stored);
          stored = now;
          if (state !== TaskState.REMOVE && state > highest) highest = state;
        }
        while (fixture.proposer.waiting > 0) {
          fixture.proposer.commit();
          await fixture.clock.settle();
        }
        const last = taskState(fixture.get('task', id));
        if (isTerminal(highest))
          expect([isTerminal(last), steps.some(({ state }) => state === last)]).toEqual([true, true]);
        else expect(last).toBe(highest);
      }),
      { numRuns: 60 },
    );
  });
});

describe('reports while a write is under way', () => {
  it('are acknowledged at once and go together with the next write', async () => {
    const ids = Array.from({ length: 50 }, (_, i) => `t${i}`);
    for (const id of ids) await fixture.put('task', taskOn('n1', id));
    fixture.proposer.automatic = false;
    fixture.proposer.proposals = 0;
    await report(['t0', status(TaskState.ACCEPTED)]);
    for (const state of [TaskState.ACCEPTED, TaskState.PREPARING, TaskState.RUNNING]) {
      for (const id of ids) await report([id, status(state)]);
    }
    expect(fixture.proposer.proposals).toBe(1);
    expect(stateOf('t1')).toBe('ASSIGNED');
    fixture.proposer.commit();
    await fixture.clock.settle();
    expect(fixture.proposer.proposals).toBe(2);
    fixture.proposer.commit();
    await fixture.clock.settle();
    expect(fixture.proposer.proposals).toBe(2);
    expect(new Set(ids.map(stateOf))).toEqual(new Set(['RUNNING']));
  });

  it('are written when the dispatcher stops', async () => {
    await fixture.put('task', taskOn('n1', 'a'));
    await fixture.put('task', taskOn('n1', 'b'));
    fixture.proposer.automatic = false;
    await report(['a', status(TaskState.RUNNING)]);
    await report(['b', status(TaskState.RUNNING)]);
    const stop = fixture.stop();
    for (let i = 0; i < 3; i++) {
      fixture.proposer.commit();
      await fixture.clock.settle();
    }
    await stop;
    expect([stateOf('a'), stateOf('b')]).toEqual(['RUNNING', 'RUNNING']);
    expect(fixture.nodeState('n1')).toBe('DISCONNECTED');
  });

  it('are not lost in silence: where the write fails the node must register, and so report, again', async () => {
    await fixture.put('task', taskOn('n1', 'a'));
    const other = await fixture.session('n2');
    const session = await fixture.session('n1', sessionId);
    fixture.proposer.automatic = false;
    await report(['a', status(TaskState.RUNNING)]);
    fixture.proposer.lose(new SwarmError(Code.UNAVAILABLE, 'log is busy'));
    await fixture.clock.settle();
    fixture.proposer.automatic = true;
    expect(session.ended).toMatchObject({ code: Code.ABORTED });
    await expect(report(['a', status(TaskState.RUNNING)])).rejects.toMatchObject({ message: 'session invalid' });
    expect(other.ended).toBeUndefined();
    sessionId = await fixture.register('n1');
    await report(['a', status(TaskState.RUNNING)]);
    expect(stateOf('a')).toBe('RUNNING');
  });
});

describe('a flood of reports', () => {
  it('yields the event loop, so that other nodes are heard in between', async () => {
    const ids = Array.from({ length: 1_000 }, (_, i) => `t${i}`);
    await fixture.store.batch((batch) => {
      for (const id of ids) batch.update((tx) => tx.create('task', taskOn('n1', id)));
    });
    const updates = ids.map((taskId) => ({ taskId, status: status(TaskState.RUNNING) }));
    const answered: string[] = [];
    const flood = fixture
      .as('n1')
      .updateTaskStatus({ sessionId, updates }, NEVER)
      .then(() => answered.push('flood'));
    const reader = fixture.session('n2').then((session) => answered.push(session.last.sessionId));
    await Promise.all([flood, reader]);
    await fixture.clock.advance(0);
    expect(answered).toHaveLength(2);
    for (let i = 0; i < 20; i++) await fixture.clock.advance(1);
    expect(new Set(ids.map(stateOf))).toEqual(new Set(['RUNNING']));
  });
});

describe('a volume report', () => {
  async function volume(state: PublishState): Promise<void> {
    await fixture.put(
      'volume',
      create(VolumeSchema, {
        id: 'v1',
        spec: { annotations: { name: 'v1' } },
        publishStatus: [
          { nodeId: 'n1', state },
          { nodeId: 'n2', state },
        ],
      }),
    );
  }

  async function unpublished(...ids: readonly string[]): Promise<void> {
    await fixture
      .as('n1')
      .updateVolumeStatus({ sessionId, updates: ids.map((id) => ({ id, unpublished: true })) }, NEVER);
    await fixture.clock.settle();
  }

  function states(): (string | undefined)[] {
    return fixture.get('volume', 'v1').publishStatus.map(({ state }) => PublishState[state]);
  }

  it('moves the volume on this node on, and only where it was asked to unpublish', async () => {
    await volume(PublishState.PENDING_NODE_UNPUBLISH);
    await unpublished('v1', 'gone');
    expect(states()).toEqual(['PENDING_UNPUBLISH', 'PENDING_NODE_UNPUBLISH']);
    await volume(PublishState.PUBLISHED);
    await unpublished('v1');
    expect(states()).toEqual(['PUBLISHED', 'PUBLISHED']);
  });

  it('does nothing unless it says unpublished', async () => {
    await volume(PublishState.PENDING_NODE_UNPUBLISH);
    await fixture.as('n1').updateVolumeStatus({ sessionId, updates: [{ id: 'v1' }] }, NEVER);
    await fixture.clock.settle();
    expect(states()).toEqual(['PENDING_NODE_UNPUBLISH', 'PENDING_NODE_UNPUBLISH']);
  });

  it('needs an id and a valid session', async () => {
    await expect(unpublished('')).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    await expect(fixture.as('n1').updateVolumeStatus({ sessionId: 'x' }, NEVER)).rejects.toMatchObject({
      message: 'session invalid',
    });
  });
});

describe('an assignments stream', () => {
  function open(nodeId = 'n1'): Reader<AssignmentsMessage> {
    return new Reader((signal) => fixture.as(nodeId).assignments({ sessionId }, { signal }));
  }

  it('needs a valid session', async () => {
    const reader = new Reader((signal) => fixture.as('n1').assignments({ sessionId: 'x' }, { signal })).start();
    await fixture.clock.settle();
    expect(reader.ended).toMatchObject({ code: Code.INVALID_ARGUMENT, message: 'session invalid' });
  });

  it('begins with COMPLETE, even where there is nothing, and goes on in an unbroken chain', async () => {
    const reader = open().start();
    await fixture.clock.settle();
    for (let i = 0; i < 12; i++) await fixture.put('task', taskOn('n1', `t${i}`));
    expect(reader.messages.map(({ type }) => type)).toEqual([0, ...Array(12).fill(1)]);
    expect(reader.messages.map(({ appliesTo }) => appliesTo)).toEqual([
      '',
      ...Array.from({ length: 12 }, (_, i) => `${i + 1}`),
    ]);
    expect(reader.messages.map(({ resultsIn }) => resultsIn)).toEqual(Array.from({ length: 13 }, (_, i) => `${i + 1}`));
  });

  it('begins anew when it is opened anew, and the earlier one ends', async () => {
    await fixture.put('task', taskOn('n1', 'a'));
    const first = open().start();
    await fixture.clock.settle();
    const second = open().start();
    await fixture.clock.settle();
    expect(first.ended).toMatchObject({ code: Code.ABORTED });
    expect(second.last).toMatchObject({ type: 0, appliesTo: '', resultsIn: '1' });
    await fixture.put('task', taskOn('n1', 'b'));
    expect([first.messages.length, second.messages.length]).toEqual([1, 2]);
  });

  it('gathers what piles up while its reader is slow into one message', async () => {
    const reader = open();
    await reader.pull();
    for (let i = 0; i < 40; i++) await fixture.put('task', taskOn('n1', `t${i}`));
    await fixture.change('task', 't0', (task) => ({ ...task, desiredState: TaskState.SHUTDOWN }));
    await fixture.store.update((tx) => tx.remove('task', 't1'));
    await reader.pull();
    expect(reader.messages).toHaveLength(2);
    expect(reader.last.changes).toHaveLength(39);
    expect(reader.last.appliesTo).toBe('1');
  });

  it('wakes nobody for tasks of other nodes and for what the agent itself reported', async () => {
    const reader = open().start();
    await fixture.put('task', taskOn('n1', 'a'));
    await fixture.put('task', taskOn('n2', 'b'));
    const { length } = reader.messages;
    await report(['a', status(TaskState.RUNNING)]);
    await fixture.change('task', 'b', (task) => ({ ...task, desiredState: TaskState.SHUTDOWN }));
    expect(reader.messages).toHaveLength(length);
  });

  it('follows volumes', async () => {
    const reader = open().start();
    const volume = create(VolumeSchema, {
      id: 'v1',
      spec: { annotations: { name: 'v1' } },
      volumeInfo: { volumeId: 'p1' },
      publishStatus: [{ nodeId: 'n1', state: PublishState.PUBLISHED }],
    });
    await fixture.put('volume', volume);
    expect(reader.last.changes[0]?.assignment?.item).toMatchObject({ case: 'volume', value: { volumeId: 'p1' } });
    await fixture.put('volume', { ...volume, publishStatus: [] });
    expect(reader.last.changes[0]?.action).toBe(1);
  });

  it('lets go of everything when its reader goes away', async () => {
    const reader = open().start();
    await fixture.clock.settle();
    reader.cancel();
    await fixture.clock.settle();
    expect(reader.ended).toBeDefined();
    await fixture.put('task', taskOn('n1', 'a'));
    expect(reader.messages).toHaveLength(1);
  });
});

describe('missed store events', () => {
  it('cost a comparison, and nothing is lost', async () => {
    await fixture.stop();
    fixture = new DispatcherFixture(new SimClock(), new SeededRandom(3), {}, { subscriberQueueMax: 3 });
    await fixture.start(nodeNamed('n1'), nodeNamed('n2'));
    const session = await fixture.session('n1');
    sessionId = session.last.sessionId;
    await fixture.session('n2');
    const reader = new Reader((signal) => fixture.as('n1').assignments({ sessionId }, { signal })).start();
    await fixture.clock.settle();
    await fixture.store.update((tx) => {
      for (let i = 0; i < 20; i++) tx.create('task', taskOn('n1', `t${i}`));
      tx.remove('node', 'n2');
    });
    await fixture.clock.advance(0);
    expect(reader.messages.flatMap(({ changes }) => changes)).toHaveLength(20);
    await fixture.change('node', 'n1', (node) => ({ ...node, VXLANUDPPort: 1 }));
    expect(session.last.node?.VXLANUDPPort).toBe(1);
    await expect(fixture.as('n2').heartbeat({ sessionId: 'x' }, NEVER)).rejects.toMatchObject({ code: Code.NOT_FOUND });
  });
});

describe('the deprecated tasks stream', () => {
  it('sends the whole list again after every change', async () => {
    await fixture.put('task', taskOn('n1', 'a'));
    await fixture.put('task', taskOn('n1', 'p', TaskState.PENDING));
    const reader = new Reader((signal) => fixture.as('n1').tasks({ sessionId }, { signal })).start();
    await fixture.clock.settle();
    await fixture.put('task', taskOn('n1', 'b'));
    await report(['a', status(TaskState.RUNNING)]);
    await fixture.store.update((tx) => tx.remove('task', 'a'));
    await fixture.clock.settle();
    expect(reader.messages.map(({ tasks }) => tasks.map(({ id }) => id))).toEqual([['a'], ['a', 'b'], ['b']]);
    const refused = new Reader((signal) => fixture.as('n1').tasks({ sessionId: '' }, { signal })).start();
    await fixture.clock.settle();
    expect(refused.ended).toMatchObject({ message: 'session invalid' });
  });
});
