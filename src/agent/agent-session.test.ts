import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { NodeSchema, SessionMessageSchema } from '../api/index.js';
import { Code, SwarmError } from '../base/index.js';
import { UNAVAILABLE, newTask, world } from '../sim/agent-world.test-helper.js';
import { taskItem } from './fake-dispatcher.test-helper.js';

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
