import { describe, expect, it } from 'vitest';

import { by } from '../store/index.js';
import { NodeStatus_State, TaskState } from '../api/index.js';
import { SimCluster } from './cluster.js';

const CALL = { signal: new AbortController().signal };

describe('a simulated cluster', () => {
  it('starts', async () => {
    const t0 = performance.now();
    const cluster = new SimCluster({ seed: 1 });
    const manager = cluster.addManager();
    await cluster.wait(manager.life!.node.ready);
    console.log('manager', performance.now() - t0, cluster.clock.monotonicMs());
    for (let i = 0; i < 5; i++) cluster.addWorker();
    await cluster.step(5_000);
    console.log('workers', performance.now() - t0);
    await cluster.wait(
      cluster.control().createService(
        {
          spec: {
            annotations: { name: 'web' },
            task: { runtime: { case: 'container', value: { image: 'nginx' } } },
            mode: { case: 'replicated', value: { replicas: 10n } },
          },
        },
        CALL,
      ),
    );
    await cluster.step(30_000);
    console.log('service', performance.now() - t0, cluster.clock.monotonicMs());
    console.log(cluster.trace.lines.join('\n'), cluster.errors);
    expect(cluster.view((tx) => tx.find('task', by.all())).map((t) => t.status?.state)).toEqual(
      Array(10).fill(TaskState.RUNNING),
    );
    expect(cluster.view((tx) => tx.find('node', by.all())).map((t) => t.status?.state)).toEqual(
      Array(6).fill(NodeStatus_State.READY),
    );
  });
});
