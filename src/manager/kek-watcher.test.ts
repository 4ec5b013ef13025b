import { create } from '@bufbuild/protobuf';
import { afterEach, describe, expect, it } from 'vitest';

import { ClusterSchema, type Cluster } from '../api/index.js';
import { SILENT_LOGGER } from '../base/index.js';
import type { Kek } from '../ca/index.js';
import { SimClock } from '../sim/index.js';
import { MemoryStore } from '../store/index.js';
import { KekWatcher } from './kek-watcher.js';

const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function setUp(keys: readonly Uint8Array[] = []) {
  const clock = new SimClock();
  const store = new MemoryStore({}, { clock });
  const asked: Kek[] = [];
  const failing: { error: Error | undefined } = { error: undefined };
  const keyFiles = {
    rotateKek: async (next: Kek) => {
      if (failing.error !== undefined) throw failing.error;
      asked.push(next);
      return true;
    },
  };
  const put = (id: string, unlock: readonly Uint8Array[], subsystem = 'swarm-manager'): Promise<void> =>
    store.update((tx) => {
      const old = tx.get('cluster', id);
      const fields = { id, spec: { annotations: { name: id } }, unlockKeys: unlock.map((key) => ({ subsystem, key })) };
      const cluster: Cluster = create(ClusterSchema, fields);
      if (old === undefined) tx.create('cluster', cluster);
      else tx.update('cluster', { ...cluster, ...(old.meta === undefined ? {} : { meta: old.meta }) });
    });
  await put('c1', keys);
  const stopper = new AbortController();
  const running = new KekWatcher({ clusterId: 'c1' }, { store, keyFiles, log: SILENT_LOGGER }).run(stopper.signal);
  running.catch(() => undefined);
  stops.push(async () => {
    stopper.abort(new Error('stopped'));
    await running.catch(() => undefined);
  });
  await clock.settle();
  return { clock, asked, failing, put, running, store };
}

describe('the watcher of the key-encrypting key', () => {
  it('begins with the key that the cluster has', async () => {
    const { asked } = await setUp([key(1)]);
    expect(asked.map((kek) => kek.key)).toEqual([key(1)]);
  });

  it('follows every change, with the version of the cluster', async () => {
    const { clock, asked, put, store } = await setUp();
    await put('c1', [key(1)]);
    await clock.settle();
    const version = store.view((tx) => tx.get('cluster', 'c1'))?.meta?.version?.index;
    expect(asked.at(-1)).toEqual({ key: key(1), version });
    await put('c1', []);
    await clock.settle();
    expect(asked.at(-1)?.key).toBeUndefined();
  });

  it('takes an empty key, and the key of another subsystem, for none', async () => {
    const { clock, asked, put } = await setUp([new Uint8Array()]);
    expect(asked.at(-1)?.key).toBeUndefined();
    await put('c1', [key(1)], 'other');
    await clock.settle();
    expect(asked.every((kek) => kek.key === undefined)).toBe(true);
  });

  it('fails loudly where the key files cannot be written', async () => {
    const { failing, put, running } = await setUp();
    failing.error = new Error('disk full');
    await put('c1', [key(1)]);
    await expect(running).rejects.toThrow('disk full');
  });
});
