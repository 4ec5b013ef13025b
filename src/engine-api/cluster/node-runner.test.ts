import { expect, test } from 'vitest';

import { SILENT_LOGGER } from '../../base/index.js';
import type { NodeOptions } from '../../node/index.js';
import { SimClock } from '../../sim/index.js';
import { FakeNode, type NodeScript } from './local-node.test-helper.js';
import { NodeRunner } from './node-runner.js';

const OPTIONS: NodeOptions = {
  stateDir: '/swarm',
  listenControlApi: '/control.sock',
  listenRemoteApi: '0.0.0.0:2377',
  joinAddr: '192.0.2.1:2377',
  joinToken: 'token',
  forceNewCluster: true,
};

function start(script: () => NodeScript): { runner: NodeRunner; nodes: FakeNode[]; clock: SimClock; states: string[] } {
  const clock = new SimClock();
  const nodes: FakeNode[] = [];
  const states: string[] = [];
  const runner: NodeRunner = new NodeRunner(OPTIONS, {
    clock,
    log: SILENT_LOGGER,
    createNode: (options) => {
      const node = new FakeNode(options, script(), clock);
      nodes.push(node);
      return node;
    },
    onChange: () => queueMicrotask(() => states.push(runner.status().state)),
  });
  return { runner, nodes, clock, states };
}

test('a node that ends after having been ready is started again, after 200 ms doubled up to 30 seconds', async () => {
  const { runner, nodes, clock } = start(() => ({}));
  await runner.ready;
  const delays: number[] = [];
  for (let round = 0; round < 10; round++) {
    const before = clock.monotonicMs();
    nodes.at(-1)?.fail(new Error('lost'));
    await clock.settle();
    expect(runner.status()).toEqual({ state: 'error', error: 'lost' });
    expect(runner.node()).toBeUndefined();
    expect(runner.view()?.nodeId).toBe('n1');
    await clock.runUntil(() => nodes.length === round + 2, 60_000);
    delays.push(clock.monotonicMs() - before);
  }
  expect(delays).toEqual([200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  await clock.settle();
  expect(runner.status().state).toBe('active');
  await runner.stop();
});

test('what held for the first start only is forgotten', async () => {
  const { runner, nodes, clock } = start(() => ({}));
  await runner.ready;
  nodes[0]?.fail(new Error('lost'));
  await clock.runUntil(() => nodes.length === 2, 60_000);
  expect(nodes[0]?.options).toMatchObject({ joinAddr: '192.0.2.1:2377', joinToken: 'token', forceNewCluster: true });
  for (const key of ['joinAddr', 'joinToken', 'forceNewCluster']) expect(nodes[1]?.options).not.toHaveProperty(key);
  await runner.stop();
});

test('a first start that fails is not repeated', async () => {
  const { runner, nodes, clock } = start(() => ({ failure: new Error('no such address') }));
  await expect(runner.ready).rejects.toThrow('no such address');
  await clock.advance(120_000);
  expect(nodes).toHaveLength(1);
  expect(runner.status()).toEqual({ state: 'error', error: 'no such address' });
  await runner.stop();
  expect(runner.status().state).toBe('inactive');
});

test('a later start that fails is repeated', async () => {
  let starts = 0;
  const { runner, nodes, clock } = start(() => (++starts === 1 ? {} : { failure: new Error('still broken') }));
  await runner.ready;
  nodes[0]?.fail(new Error('lost'));
  await clock.advance(60_000);
  expect(nodes.length).toBeGreaterThan(5);
  await runner.stop();
});

test('stopping ends the node, a wait, and every further start', async () => {
  const running = start(() => ({ hangs: true }));
  await running.clock.settle();
  await running.runner.stop();
  expect(running.nodes[0]?.stopped).toBe(true);
  await expect(running.runner.ready).rejects.toBeDefined();
  const waiting = start(() => ({}));
  await waiting.runner.ready;
  waiting.nodes[0]?.fail(new Error('lost'));
  await waiting.clock.settle();
  await waiting.runner.stop();
  await waiting.clock.advance(60_000);
  expect(waiting.nodes).toHaveLength(1);
  expect(waiting.clock.pendingTimers).toBe(0);
});

test('listeners hear of every change', async () => {
  const { runner, nodes, clock, states } = start(() => ({}));
  await runner.ready;
  nodes[0]?.fail(new Error('lost'));
  await clock.runUntil(() => nodes.length === 2, 60_000);
  await runner.stop();
  await clock.settle();
  expect(states.filter((state, index) => state !== states[index - 1])).toEqual(
    expect.arrayContaining(['active', 'error', 'inactive']),
  );
});
