import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterSchema, RaftConfigSchema, ServiceSchema } from '../../api/index.js';
import { Code, SILENT_LOGGER } from '../../base/index.js';
import { SeededRandom, SimClock, SimDisk } from '../../sim/index.js';
import { by, MemoryStore } from '../../store/index.js';
import { PlainCipher } from './cipher.js';
import type { RaftNodeOptions } from './options.js';
import { NEVER, OPTIONS, runMember } from './member.test-helper.js';
import { RaftNode } from './raft-node.js';

let disk: SimDisk;
let clock: SimClock;
let seed: number;

beforeEach(async () => {
  disk = new SimDisk();
  clock = new SimClock();
  seed = 0;
});

describe('the real store on a RaftNode', () => {
  async function startStore(options: Partial<RaftNodeOptions> = {}) {
    const store = new MemoryStore({}, { clock });
    const random = new SeededRandom(++seed);
    const node = new RaftNode(
      { ...OPTIONS, ...options },
      { disk, clock, random, log: SILENT_LOGGER, cipher: new PlainCipher(), store },
    );
    await node.open(NEVER);
    store.setProposer(node);
    return { store, node, ...runMember(node) };
  }

  const service = (id: string) => create(ServiceSchema, { id, spec: { annotations: { name: `name-${id}` } } });

  it('keeps its objects and their versions over a kill', async () => {
    const { store } = await startStore();
    await Promise.all(['a', 'b', 'c'].map((id) => store.update((tx) => tx.create('service', service(id)))));
    await store.update((tx) => {
      const old = tx.get('service', 'a');
      if (old !== undefined) tx.update('service', { ...old, updateStatus: undefined });
      tx.remove('service', 'b');
    });
    const before = store.view((tx) => tx.find('service', by.all()));
    expect(before.map((each) => [each.id, each.meta?.version?.index])).toEqual([
      ['a', 5n],
      ['c', 4n],
    ]);
    disk = disk.crash();
    const again = await startStore();
    expect(again.store.view((tx) => tx.find('service', by.all()))).toEqual(before);
    expect(again.store.version).toBe(6n);
    await again.stop();
  });

  it('takes the interval of snapshots from the cluster object, and comes back from one', async () => {
    const { store, node, stop } = await startStore({ segmentBytesMax: 2_000, growthBytes: 0 });
    const raft = create(RaftConfigSchema, { snapshotInterval: 10n, logEntriesForSlowFollowers: 3n });
    const cluster = create(ClusterSchema, { id: 'cluster', spec: { annotations: { name: 'default' }, raft } });
    await store.update((tx) => tx.create('cluster', cluster));
    for (let at = 0; at < 40; at++) await store.update((tx) => tx.create('service', service(`s${at}`)));
    await clock.settle();
    expect(node.status().snapshotIndex).toBeGreaterThan(20n);
    await stop();
    const again = await startStore();
    expect(again.store.view((tx) => tx.count('service'))).toBe(40);
    expect(again.store.view((tx) => tx.find('service', by.name('name-s7')))).toHaveLength(1);
    await again.stop();
  });

  it('undoes what the disk lost', async () => {
    const { store, node, stop } = await startStore();
    await store.update((tx) => tx.create('service', service('kept')));
    disk.failNext('sync', 'EIO');
    await expect(store.update((tx) => tx.create('service', service('lost')))).rejects.toMatchObject({
      code: Code.INTERNAL,
    });
    expect(store.view((tx) => tx.find('service', by.all()).map((each) => each.id))).toEqual(['kept']);
    expect(() => node.status()).toThrow('not open');
    expect(await stop()).toMatchObject({ code: Code.INTERNAL });
  });
});
