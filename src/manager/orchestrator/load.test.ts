import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { TaskState, UpdateConfigSchema } from '../../api/index.js';
import { SimClock } from '../../sim/index.js';
import type { Proposer } from '../../store/index.js';
import { replicatedMode, serviceSpec, TestCluster } from './cluster.test-helper.js';
import { createOrchestrators } from './index.js';

/** A log that commits as soon as the transaction is through, and counts. */
class CountingLog implements Proposer {
  proposals = 0;
  #head = 1_000n;

  headIndex(): bigint {
    return this.#head;
  }

  propose(_actions: Uint8Array, outcome: { committed(index: bigint): void }): void {
    this.proposals++;
    const index = ++this.#head;
    queueMicrotask(() => outcome.committed(index));
  }
}

async function loaded(): Promise<{ readonly cluster: TestCluster; readonly log: CountingLog }> {
  const cluster = new TestCluster(new SimClock());
  for (let number = 0; number < 10; number++) await cluster.node(`n${number}`);
  const log = new CountingLog();
  cluster.store.setProposer(log);
  return { cluster, log };
}

async function markAll(cluster: TestCluster, of: TaskState, to: TaskState): Promise<void> {
  await cluster.store.batch((batch) => {
    for (const task of cluster.tasks('s')) {
      if (task.desiredState !== of || task.status === undefined || task.status.state === to) continue;
      const status = { ...task.status, state: to };
      batch.update((tx) => tx.update('task', { ...task, nodeId: task.nodeId || `n${Number(task.slot) % 10}`, status }));
    }
  });
  await cluster.clock.settle();
}

describe('many tasks', () => {
  it('are created in full transactions and share one spec', async () => {
    const { cluster, log } = await loaded();
    cluster.start(...createOrchestrators(cluster.deps));
    await cluster.service('s', serviceSpec('web:1', { mode: replicatedMode(10_000) }));
    const before = log.proposals;
    await cluster.clock.settle();
    expect(cluster.tasks('s')).toHaveLength(10_000);
    expect(log.proposals - before).toBe(50);
    const spec = cluster.getService('s').spec?.task;
    expect(cluster.tasks('s').every((task) => task.spec === spec)).toBe(true);
    expect(new Set(cluster.tasks('s').map((task) => task.status)).size).toBe(1);
    await cluster.stop();
  });

  it('are updated in waves that share transactions', async () => {
    const { cluster, log } = await loaded();
    cluster.start(...createOrchestrators(cluster.deps));
    const update = create(UpdateConfigSchema, { parallelism: 0n });
    await cluster.service('s', serviceSpec('web:1', { mode: replicatedMode(2_000), update }));
    await cluster.clock.settle();
    await markAll(cluster, TaskState.RUNNING, TaskState.RUNNING);
    const before = log.proposals;
    await cluster.setImage('s', 'web:2');
    await cluster.clock.settle();
    // One for the user's own change, the status, and two changes for each of 2,000 slots.
    expect(log.proposals - before).toBeLessThanOrEqual(23);
    await markAll(cluster, TaskState.SHUTDOWN, TaskState.SHUTDOWN);
    const held = cluster.tasks('s').filter((task) => task.desiredState === TaskState.READY);
    expect(held).toHaveLength(0);
    expect(cluster.wanted('s')).toHaveLength(2_000);
    // Beside what the agents wrote, only the starts.
    expect(log.proposals - before).toBeLessThanOrEqual(23 + 10 + 12);
    await cluster.stop();
  });
});
