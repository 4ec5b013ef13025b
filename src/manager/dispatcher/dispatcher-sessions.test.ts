import { create } from '@bufbuild/protobuf';
import { afterEach, describe, expect, it } from 'vitest';

import {
  DispatcherConfigSchema,
  EncryptionKeySchema,
  NodeStatus_State as NodeState,
  TaskState,
  msFromDuration,
  durationFromMs,
  type CallContext,
  type Node,
  type SessionMessage,
  type SessionRequest,
} from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import { SeededRandom, SimClock } from '../../sim/index.js';
import { hostOf } from './dispatcher.js';
import { DispatcherFixture, Reader, nodeNamed, peer, taskOn } from './testing/fixture.js';

const HOUR_MS = 3_600_000;
const NEVER = { signal: new AbortController().signal };

let fixture: DispatcherFixture;

async function started(...nodes: readonly Node[]): Promise<void> {
  fixture = new DispatcherFixture(new SimClock(), new SeededRandom(7));
  await fixture.start(...nodes);
}

function text(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes);
}

function names(message: SessionMessage): (string | undefined)[] {
  return message.managers.map(({ peer }) => peer?.nodeId);
}

afterEach(async () => {
  fixture.proposer.automatic = true;
  fixture.proposer.commit();
  await fixture.stop();
});

describe('a dispatcher that does not lead', () => {
  it('answers Aborted, before it runs and after', async () => {
    fixture = new DispatcherFixture(new SimClock(), new SeededRandom(7));
    const stopped = { code: Code.ABORTED, message: 'dispatcher is stopped' };
    await expect(fixture.as('n1').heartbeat({ sessionId: 'x' }, NEVER)).rejects.toMatchObject(stopped);
    await fixture.start(nodeNamed('n1'));
    await fixture.register('n1');
    await expect(fixture.dispatcher.run(NEVER.signal)).rejects.toThrow('already running');
    await fixture.stop();
    expect((await fixture.session('n1')).ended).toMatchObject(stopped);
    await expect(fixture.as('n1').updateTaskStatus({}, NEVER)).rejects.toMatchObject(stopped);
    await expect(fixture.as('n1').updateVolumeStatus({}, NEVER)).rejects.toMatchObject(stopped);
  });

  it('can lead again', async () => {
    await started(nodeNamed('n1'));
    await fixture.register('n1');
    await fixture.stop();
    const again = new AbortController();
    const run = fixture.dispatcher.run(again.signal);
    expect((await fixture.session('n1')).last.sessionId).not.toBe('');
    again.abort(new Error('stop'));
    await run;
  });
});

describe('registering', () => {
  it('fails with NotFound where there is no node object', async () => {
    await started();
    expect((await fixture.session('n1')).ended).toMatchObject({ code: Code.NOT_FOUND, message: 'node not found' });
  });

  it('stores READY, description and address before the first message, which holds all there is to know', async () => {
    await started(nodeNamed('n1'));
    fixture.proposer.automatic = false;
    const reader = await fixture.session('n1', '', 'host-a');
    expect(reader.messages).toEqual([]);
    fixture.proposer.commit();
    await fixture.clock.settle();
    expect(reader.messages).toHaveLength(1);
    const { node, ...message } = reader.last;
    expect(message.sessionId).toMatch(/^[0-9a-z]{25}$/);
    expect(names(reader.last)).toEqual(['m1', 'm2']);
    expect(message.managers[0]?.weight).toBe(10n);
    expect(message.networkBootstrapKeys).toHaveLength(1);
    expect(text(message.RootCA)).toBe('root 1');
    expect(node).toBe(fixture.get('node', 'n1'));
    expect(node).toMatchObject({
      description: { hostname: 'host-a' },
      status: { state: NodeState.READY, addr: '10.0.0.1' },
    });
  });

  it("takes the address from the caller's connection, without port", async () => {
    await started(nodeNamed('n1'));
    const handlers = fixture.dispatcher.service().handlers as {
      session: (request: SessionRequest, context: CallContext) => AsyncIterable<SessionMessage>;
    };
    const context: CallContext = {
      peer: { nodeId: 'n1', role: 'swarm-worker', clusterId: 'c1' },
      remoteAddr: '192.0.2.7:41234',
      headers: new Map(),
      signal: NEVER.signal,
    };
    const reader = new Reader(() => handlers.session({ sessionId: '' } as SessionRequest, context)).start();
    await fixture.clock.settle();
    expect(reader.last.node?.status?.addr).toBe('192.0.2.7');
    const nobody = new Reader(() => handlers.session({} as SessionRequest, { ...context, peer: undefined })).start();
    await fixture.clock.settle();
    expect(nobody.ended).toMatchObject({ code: Code.PERMISSION_DENIED });
  });

  it('knows all forms of an address', () => {
    expect(hostOf('192.0.2.7:80')).toBe('192.0.2.7');
    expect(hostOf('[2001:db8::1]:80')).toBe('2001:db8::1');
    expect(hostOf('[::ffff:192.0.2.7]:80')).toBe('192.0.2.7');
    expect(hostOf('::ffff:192.0.2.7:80')).toBe('192.0.2.7');
    expect(hostOf('@')).toBe('');
    expect(hostOf('')).toBe('');
  });

  it('is refused the fourth time in quick succession, and admitted again later', async () => {
    await started(nodeNamed('n1'), nodeNamed('n2'));
    for (let i = 0; i < 3; i++) expect((await fixture.session('n1')).ended).toBeUndefined();
    expect((await fixture.session('n1')).ended).toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'node n1 exceeded rate limit count of registrations',
    });
    expect((await fixture.session('n2')).ended).toBeUndefined();
    await fixture.clock.advance(8_000);
    expect((await fixture.session('n1')).ended).toBeUndefined();
  });

  it('ends the earlier session of the node with all its streams', async () => {
    await started(nodeNamed('n1'));
    const first = await fixture.session('n1');
    const { sessionId } = first.last;
    const assignments = new Reader((signal) => fixture.as('n1').assignments({ sessionId }, { signal })).start();
    await fixture.clock.settle();
    const second = await fixture.session('n1');
    const invalid = { code: Code.INVALID_ARGUMENT, message: 'session invalid' };
    expect(first.ended).toMatchObject(invalid);
    expect(assignments.ended).toMatchObject(invalid);
    await expect(fixture.as('n1').heartbeat({ sessionId }, NEVER)).rejects.toMatchObject(invalid);
    expect(second.ended).toBeUndefined();
  });

  it('goes on with a session whose id is named, with a new description and without limit', async () => {
    await started(nodeNamed('n1'));
    const sessionId = await fixture.register('n1');
    for (let i = 0; i < 9; i++) {
      const resumed = await fixture.session('n1', sessionId, `host-${i}`);
      expect(resumed.last.sessionId).toBe(sessionId);
      expect(resumed.last.node?.description?.hostname).toBe(`host-${i}`);
    }
    expect((await fixture.session('n1', 'unknown')).last.sessionId).not.toBe(sessionId);
  });

  it('counts as a sign of life when it is resumed, even while that is being written', async () => {
    await started(nodeNamed('n1'));
    const sessionId = await fixture.register('n1');
    await fixture.clock.advance(14_000);
    fixture.proposer.automatic = false;
    const resumed = await fixture.session('n1', sessionId, 'new-name');
    await fixture.clock.advance(2_000);
    fixture.proposer.automatic = true;
    fixture.proposer.commit();
    await fixture.clock.settle();
    expect(resumed.last.node?.description?.hostname).toBe('new-name');
    expect(fixture.nodeState('n1')).toBe('READY');
  });

  it('keeps the stored description where none is sent, and refuses one that is too large to store', async () => {
    await started(nodeNamed('n1'));
    await fixture.session('n1', '', 'host-a');
    const reader = new Reader((signal) => fixture.as('n1').session({}, { signal })).start();
    await fixture.clock.settle();
    expect(reader.last.node?.description?.hostname).toBe('host-a');
    expect((await fixture.session('n1', '', 'x'.repeat(600_000))).ended).toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
  });

  it('waits until the managers are known: an agent forgets those that a message does not name', async () => {
    await started(nodeNamed('n1'), nodeNamed('n2'));
    const reader = await fixture.session('n1');
    fixture.setManagers();
    await fixture.change('node', 'n1', (node) => ({ ...node, VXLANUDPPort: 4789 }));
    expect(names(reader.last)).toEqual(['m1', 'm2']);
    await fixture.stop();
    const again = new AbortController();
    const run = fixture.dispatcher.run(again.signal);
    expect((await fixture.session('n2')).ended).toMatchObject({ code: Code.UNAVAILABLE });
    again.abort(new Error('stop'));
    await run;
  });

  it('leaves no node behind as READY whose agent went away at that moment', async () => {
    await started(nodeNamed('n1'));
    fixture.proposer.automatic = false;
    const reader = await fixture.session('n1');
    reader.cancel();
    await fixture.clock.settle();
    fixture.proposer.automatic = true;
    fixture.proposer.commit();
    await fixture.clock.settle();
    expect(fixture.nodeState('n1')).toBe('READY');
    await fixture.clock.advance(15_000);
    expect(fixture.nodeState('n1')).toBe('DOWN');
  });

  it('fails with the reason where the node cannot be stored', async () => {
    await started(nodeNamed('n1'));
    fixture.proposer.automatic = false;
    const reader = await fixture.session('n1');
    fixture.proposer.lose(new SwarmError(Code.FAILED_PRECONDITION, 'lost leadership'));
    await fixture.clock.settle();
    expect(reader.ended).toMatchObject({ message: 'lost leadership' });
  });
});

describe('a session', () => {
  it('gets a complete message for every change of managers, keys, root and node object', async () => {
    await started(nodeNamed('n1'));
    const reader = await fixture.session('n1');
    const { sessionId } = reader.last;
    fixture.setManagers(peer('m1'), peer('m3'));
    await fixture.clock.settle();
    expect(names(reader.last)).toEqual(['m1', 'm3']);
    const key = create(EncryptionKeySchema, { subsystem: 'networking:ipsec', lamportTime: 9n });
    await fixture.change('cluster', 'c1', (cluster) => ({ ...cluster, networkBootstrapKeys: [key] }));
    expect(reader.last.networkBootstrapKeys).toEqual([key]);
    const caCert = new TextEncoder().encode('root 2');
    await fixture.change('cluster', 'c1', (cluster) => ({ ...cluster, rootCa: { ...cluster.rootCa!, caCert } }));
    expect(text(reader.last.RootCA)).toBe('root 2');
    await fixture.change('node', 'n1', (node) => ({ ...node, VXLANUDPPort: 4789 }));
    expect(reader.last.node?.VXLANUDPPort).toBe(4789);
    expect(reader.messages).toHaveLength(5);
    for (const message of reader.messages) {
      expect(message.sessionId).toBe(sessionId);
      expect(message.managers).toHaveLength(2);
      expect(message.networkBootstrapKeys).toHaveLength(1);
      expect(text(message.RootCA)).toMatch(/^root/);
      expect(message.node?.id).toBe('n1');
    }
  });

  it('is not bothered with what does not concern it', async () => {
    await started(nodeNamed('n1'), nodeNamed('n2'));
    const reader = await fixture.session('n1');
    await fixture.session('n2');
    await fixture.change('cluster', 'c1', (cluster) => ({ ...cluster, fips: true }));
    fixture.setManagers(peer('m1'), peer('m2'));
    await fixture.clock.settle();
    expect(reader.messages).toHaveLength(1);
  });

  it('ends with its node object', async () => {
    await started(nodeNamed('n1'));
    const reader = await fixture.session('n1');
    await fixture.store.update((tx) => tx.remove('node', 'n1'));
    await fixture.clock.settle();
    expect(reader.ended).toMatchObject({ code: Code.NOT_FOUND });
    await fixture.clock.advance(100_000);
  });

  it('ends with a last message and Aborted when the leader stops, and its node is stored as DISCONNECTED', async () => {
    await started(nodeNamed('n1'), nodeNamed('n2'));
    const reader = await fixture.session('n1');
    await fixture.stop();
    await fixture.clock.settle();
    expect(reader.messages).toHaveLength(2);
    expect(names(reader.last)).toEqual(['m1', 'm2']);
    expect(reader.ended).toMatchObject({ code: Code.ABORTED, message: 'node must disconnect' });
    expect(fixture.get('node', 'n1').status).toMatchObject({
      state: NodeState.DISCONNECTED,
      message: 'node is currently trying to find new manager',
      addr: '10.0.0.1',
    });
    expect(fixture.nodeState('n2')).toBe('UNKNOWN');
  });

  it('does not hold up the stop where nothing can be written any more', async () => {
    await started(nodeNamed('n1'));
    await fixture.register('n1');
    fixture.proposer.automatic = false;
    const stop = fixture.stop();
    await fixture.clock.advance(2_000);
    await stop;
    expect(fixture.nodeState('n1')).toBe('READY');
  });
});

describe('heartbeats', () => {
  it('keep a node READY, and are answered with the period', async () => {
    await started(nodeNamed('n1'));
    const sessionId = await fixture.register('n1');
    for (let i = 0; i < 100; i++) {
      const { period } = await fixture.as('n1').heartbeat({ sessionId }, NEVER);
      expect(msFromDuration(period)).toBe(5_000);
      await fixture.clock.advance(14_999);
    }
    expect(fixture.nodeState('n1')).toBe('READY');
  });

  it('that stay away for three periods make the node DOWN and end its session', async () => {
    await started(nodeNamed('n1'), nodeNamed('n2'));
    const reader = await fixture.session('n1');
    const { sessionId } = reader.last;
    await fixture.clock.advance(14_999);
    expect(fixture.nodeState('n1')).toBe('READY');
    await fixture.clock.advance(1);
    expect(fixture.get('node', 'n1').status).toMatchObject({ state: NodeState.DOWN, message: 'heartbeat failure' });
    const unregistered = { code: Code.NOT_FOUND, message: 'node not registered' };
    expect(reader.ended).toMatchObject(unregistered);
    await expect(fixture.as('n1').heartbeat({ sessionId }, NEVER)).rejects.toMatchObject(unregistered);
    expect((await fixture.session('n1')).ended).toBeUndefined();
    expect(fixture.nodeState('n1')).toBe('READY');
    expect(fixture.get('node', 'n1').status?.message).toBe('');
  });

  it('are refused for another session and for a node that never registered', async () => {
    await started(nodeNamed('n1'));
    await fixture.register('n1');
    await expect(fixture.as('n1').heartbeat({ sessionId: 'x' }, NEVER)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'session invalid',
    });
    await expect(fixture.as('stranger').heartbeat({ sessionId: 'x' }, NEVER)).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: 'node not registered',
    });
  });

  it('follow the period of the cluster while it runs', async () => {
    await started(nodeNamed('n1'));
    const sessionId = await fixture.register('n1');
    const period = async (): Promise<number | undefined> =>
      msFromDuration((await fixture.as('n1').heartbeat({ sessionId }, NEVER)).period);
    const set = (ms: number): Promise<void> => {
      const dispatcher = create(DispatcherConfigSchema, { heartbeatPeriod: durationFromMs(ms) });
      return fixture.change('cluster', 'c1', (old) => ({ ...old, spec: { ...old.spec!, dispatcher } }));
    };
    await set(60_000);
    expect(await period()).toBe(60_000);
    await fixture.clock.advance(179_999);
    expect(fixture.nodeState('n1')).toBe('READY');
    await set(0);
    expect(await period()).toBe(5_000);
  });
});

describe('a new leader', () => {
  it('takes every node that is not down as unknown, and as down after six periods of silence', async () => {
    await started(
      nodeNamed('n1', NodeState.READY),
      nodeNamed('n2', NodeState.DISCONNECTED),
      nodeNamed('n3', NodeState.DOWN),
    );
    expect(fixture.get('node', 'n1').status).toMatchObject({
      state: NodeState.UNKNOWN,
      message: 'Node moved to "unknown" state due to leadership change in cluster',
    });
    expect(['n1', 'n2', 'n3'].map((id) => fixture.nodeState(id))).toEqual(['UNKNOWN', 'UNKNOWN', 'DOWN']);
    await fixture.clock.advance(20_000);
    await fixture.register('n2');
    await fixture.clock.advance(9_999);
    expect(fixture.nodeState('n1')).toBe('UNKNOWN');
    await fixture.clock.advance(1);
    expect(fixture.get('node', 'n1').status).toMatchObject({
      state: NodeState.DOWN,
      message: 'heartbeat failure for node in "unknown" state',
    });
    expect(fixture.nodeState('n2')).toBe('READY');
  });

  it('lets agents wait while it takes over the nodes', async () => {
    fixture = new DispatcherFixture(new SimClock(), new SeededRandom(7));
    await fixture.put('node', nodeNamed('n1', NodeState.READY));
    fixture.proposer.automatic = false;
    const run = fixture.dispatcher.run(fixture.stopping.signal);
    fixture.stopped = run;
    const reader = await fixture.session('n1');
    expect(reader.messages).toEqual([]);
    fixture.proposer.automatic = true;
    fixture.proposer.commit();
    await fixture.clock.settle();
    expect(reader.messages).toHaveLength(1);
    expect(fixture.nodeState('n1')).toBe('READY');
  });
});

describe('tasks of a node that is down', () => {
  const STATES = [TaskState.PENDING, TaskState.ASSIGNED, TaskState.RUNNING, TaskState.COMPLETE, TaskState.FAILED];

  async function withTasks(): Promise<void> {
    await started(nodeNamed('n1'), nodeNamed('n2'));
    for (const state of STATES) await fixture.put('task', taskOn('n1', TaskState[state], state));
    await fixture.put('task', taskOn('n2', 'foreign', TaskState.RUNNING));
  }

  function states(): Record<string, string> {
    const tasks = fixture.store.view((tx) => tx.find('task', { kind: 'all' }));
    return Object.fromEntries(tasks.map(({ id, status }) => [id, TaskState[status?.state ?? 0] ?? '']));
  }

  const UNTOUCHED = { PENDING: 'PENDING', COMPLETE: 'COMPLETE', FAILED: 'FAILED', foreign: 'RUNNING' };

  it('become ORPHANED after 24 hours where they may have gone on', async () => {
    await withTasks();
    await fixture.register('n1');
    await fixture.clock.advance(15_000 + 24 * HOUR_MS - 1);
    expect(states()).toEqual({ ...UNTOUCHED, ASSIGNED: 'ASSIGNED', RUNNING: 'RUNNING' });
    await fixture.clock.advance(1);
    expect(states()).toEqual({ ...UNTOUCHED, ASSIGNED: 'ORPHANED', RUNNING: 'ORPHANED' });
    expect(fixture.get('task', 'RUNNING').status).toMatchObject({ appliedBy: 'm1' });
  });

  it('are left alone where the node came back', async () => {
    await withTasks();
    await fixture.register('n1');
    await fixture.clock.advance(20 * HOUR_MS);
    const sessionId = await fixture.register('n1');
    for (let i = 0; i < 3000; i++) {
      await fixture.as('n1').heartbeat({ sessionId }, NEVER);
      await fixture.clock.advance(10_000);
    }
    expect(states()).toMatchObject({ ASSIGNED: 'ASSIGNED', RUNNING: 'RUNNING' });
  });

  it('are orphaned by the next leader too, 24 hours after it took over', async () => {
    await started(nodeNamed('n1', NodeState.DOWN));
    await fixture.put('task', taskOn('n1', 't', TaskState.RUNNING));
    await fixture.clock.advance(24 * HOUR_MS);
    expect(states()).toEqual({ t: 'ORPHANED' });
  });

  it('are orphaned a minute later where that could not be written', async () => {
    await started(nodeNamed('n1', NodeState.DOWN));
    await fixture.put('task', taskOn('n1', 't', TaskState.RUNNING));
    fixture.proposer.automatic = false;
    await fixture.clock.advance(24 * HOUR_MS);
    fixture.proposer.lose(new SwarmError(Code.UNAVAILABLE, 'busy'));
    fixture.proposer.automatic = true;
    await fixture.clock.advance(59_999);
    expect(states()).toEqual({ t: 'RUNNING' });
    await fixture.clock.advance(1);
    expect(states()).toEqual({ t: 'ORPHANED' });
  });
});
