import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import {
  ConfigSchema,
  NetworkSchema,
  NodeSchema,
  NodeStatus_State,
  SecretSchema,
  ServiceSchema,
  TaskSchema,
  TaskState,
} from '../../api/index.js';
import { SILENT_LOGGER } from '../../base/index.js';
import { SimClock } from '../../sim/index.js';
import { MemoryStore } from '../../store/index.js';
import { loopDelayReadings, MetricsCollector } from './index.js';

const task = (id: string, state: TaskState) => create(TaskSchema, { id, status: { state } });
const node = (id: string, state: NodeStatus_State) => create(NodeSchema, { id, status: { state } });

/** A collector over a store, and its values other than zero by name and state. */
function world(options: { subscriberQueueMax?: number } = {}) {
  const clock = new SimClock();
  const store = new MemoryStore(options, { clock });
  const collector = new MetricsCollector({ store, log: SILENT_LOGGER });
  const controller = new AbortController();
  const start = async (): Promise<void> => {
    running = collector.run(controller.signal);
    await clock.settle();
  };
  let running: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    controller.abort(new Error('stopped by the test'));
    await running;
  };
  const values = (): Record<string, number> => {
    const all = collector.readings().filter(({ value }) => value !== 0);
    return Object.fromEntries(
      all.map(({ name, labels, value }) => [[name, labels['state']].filter(Boolean).join(' '), value]),
    );
  };
  return { clock, store, collector, start, stop, values };
}

describe('MetricsCollector', () => {
  it('has a series for every state from the start, all zero, under the names of stock', () => {
    const readings = world().collector.readings();
    expect(readings.every(({ value }) => value === 0)).toBe(true);
    const states = (name: string): (string | undefined)[] =>
      readings.filter((reading) => reading.name === name).map(({ labels }) => labels['state']);
    expect(states('swarm_manager_nodes')).toEqual(['unknown', 'down', 'ready', 'disconnected']);
    expect(states('swarm_manager_tasks_total')).toEqual([
      'new',
      'pending',
      'assigned',
      'accepted',
      'preparing',
      'ready',
      'starting',
      'running',
      'complete',
      'shutdown',
      'failed',
      'rejected',
      'remove',
      'orphaned',
    ]);
    expect([...new Set(readings.map(({ name }) => name))].slice(2)).toEqual([
      'swarm_manager_services_total',
      'swarm_manager_networks_total',
      'swarm_manager_secrets_total',
      'swarm_manager_configs_total',
      'swarm_manager_leader',
    ]);
  });

  it('counts what is there when it starts, and is zero again when it stops', async () => {
    const { store, start, stop, values } = world();
    await store.update((tx) => {
      tx.create('node', node('n1', NodeStatus_State.READY));
      tx.create('node', create(NodeSchema, { id: 'n2' }));
      tx.create('task', task('t1', TaskState.RUNNING));
      tx.create('task', task('t2', TaskState.RUNNING));
      tx.create('service', create(ServiceSchema, { id: 's' }));
      tx.create('network', create(NetworkSchema, { id: 'n' }));
      tx.create('secret', create(SecretSchema, { id: 's' }));
      tx.create('config', create(ConfigSchema, { id: 'c' }));
    });
    await start();
    expect(values()).toEqual({
      'swarm_manager_nodes ready': 1,
      'swarm_manager_nodes unknown': 1,
      'swarm_manager_tasks_total running': 2,
      swarm_manager_services_total: 1,
      swarm_manager_networks_total: 1,
      swarm_manager_secrets_total: 1,
      swarm_manager_configs_total: 1,
      swarm_manager_leader: 1,
    });
    await stop();
    expect(values()).toEqual({});
  });

  it('follows creations, changes of state and removals', async () => {
    const { clock, store, start, stop, values } = world();
    await start();
    await store.update((tx) => {
      tx.create('task', task('t1', TaskState.NEW));
      tx.create('task', task('t2', TaskState.NEW));
      tx.create('node', node('n1', NodeStatus_State.READY));
      tx.create('service', create(ServiceSchema, { id: 's' }));
    });
    await store.update((tx) => {
      const old = tx.get('task', 't1');
      if (old !== undefined) tx.update('task', { ...old, status: task('', TaskState.FAILED).status });
      const ready = tx.get('node', 'n1');
      if (ready !== undefined) tx.update('node', { ...ready, status: node('', NodeStatus_State.DOWN).status });
      const service = tx.get('service', 's');
      if (service !== undefined) tx.update('service', { ...service });
    });
    await clock.settle();
    const after = { swarm_manager_leader: 1, swarm_manager_services_total: 1 };
    expect(values()).toEqual({
      ...after,
      'swarm_manager_tasks_total new': 1,
      'swarm_manager_tasks_total failed': 1,
      'swarm_manager_nodes down': 1,
    });
    await store.update((tx) => {
      tx.remove('task', 't1');
      tx.remove('node', 'n1');
      tx.remove('service', 's');
    });
    await clock.settle();
    expect(values()).toEqual({ swarm_manager_leader: 1, 'swarm_manager_tasks_total new': 1 });
    await stop();
  });

  it('counts anew when it fell behind', async () => {
    const { clock, store, start, stop, values } = world({ subscriberQueueMax: 3 });
    await start();
    await store.update((tx) => {
      for (let at = 0; at < 10; at++) tx.create('task', task(`t${at}`, TaskState.NEW));
    });
    await clock.settle();
    expect(values()).toEqual({ swarm_manager_leader: 1, 'swarm_manager_tasks_total new': 10 });
    await stop();
  });
});

describe('the readings of the event loop', () => {
  it('are in seconds', () => {
    const readings = loopDelayReadings({ read: () => ({ p50Ms: 1, p99Ms: 12, maxMs: 20 }) });
    expect(readings.map(({ labels, value }) => [labels['quantile'], value])).toEqual([
      ['0.5', 0.001],
      ['0.99', 0.012],
      ['1', 0.02],
    ]);
  });
});
