import { create } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ClusterSchema, EncryptionKeySchema, type EncryptionKey } from '../../api/index.js';
import { Code, SILENT_LOGGER, SwarmError } from '../../base/index.js';
import { SeededRandom, SimClock } from '../../sim/index.js';
import { MemoryStore, type ProposalOutcome } from '../../store/index.js';
import { KEY_SUBSYSTEMS, KeyManager, completeKeys, rotateKeys, type KeyRing } from './index.js';

const HOUR_MS = 3_600_000;
const EMPTY: KeyRing = { networkBootstrapKeys: [], encryptionKeyLamportClock: 0n };

function times(ring: KeyRing, subsystem: string): bigint[] {
  return ring.networkBootstrapKeys.filter((key) => key.subsystem === subsystem).map((key) => key.lamportTime);
}

function hex(keys: readonly EncryptionKey[]): string[] {
  return keys.map(({ key }) => Buffer.from(key).toString('hex'));
}

function expectSound(ring: KeyRing): void {
  const all = ring.networkBootstrapKeys.map((key) => key.lamportTime);
  expect(new Set(all).size).toBe(all.length);
  expect(new Set(hex(ring.networkBootstrapKeys)).size).toBe(all.length);
  expect(ring.networkBootstrapKeys).toHaveLength(6);
  for (const subsystem of KEY_SUBSYSTEMS) expect(times(ring, subsystem)).toHaveLength(3);
  for (const key of ring.networkBootstrapKeys) {
    expect(key.key).toHaveLength(16);
    expect(key.algorithm).toBe(0);
    expect(key.lamportTime <= ring.encryptionKeyLamportClock).toBe(true);
  }
}

describe('completeKeys', () => {
  it('makes three keys for gossip and three for IPsec, on a clock that starts at random', () => {
    const ring = completeKeys(EMPTY, new SeededRandom(1));
    expectSound(ring);
    expect(KEY_SUBSYSTEMS).toEqual(['networking:gossip', 'networking:ipsec']);
    expect(ring.encryptionKeyLamportClock).toBeLessThan(65_536n + 7n);
    expect(completeKeys(EMPTY, new SeededRandom(2)).encryptionKeyLamportClock).not.toBe(ring.encryptionKeyLamportClock);
  });

  it('leaves a sound ring as it is', () => {
    const ring = completeKeys(EMPTY, new SeededRandom(1));
    expect(completeKeys(ring, new SeededRandom(2))).toBe(ring);
  });

  it('mends a ring with missing, surplus or repeated keys, keeping the newest and foreign ones', () => {
    const ring = completeKeys(EMPTY, new SeededRandom(1));
    const [first, ...rest] = ring.networkBootstrapKeys;
    expectSound(completeKeys({ ...ring, networkBootstrapKeys: rest }, new SeededRandom(2)));
    const surplus = create(EncryptionKeySchema, {
      subsystem: 'networking:gossip',
      lamportTime: ring.encryptionKeyLamportClock + 9n,
      key: new Uint8Array(16),
    });
    const mended = completeKeys(
      { ...ring, networkBootstrapKeys: [...ring.networkBootstrapKeys, surplus] },
      new SeededRandom(2),
    );
    expectSound(mended);
    expect(mended.networkBootstrapKeys).toContain(surplus);
    expect(mended.networkBootstrapKeys).not.toContain(first);
    const repeated = [...rest.slice(0, 2), rest[0]!, ...rest.slice(2)];
    expectSound(completeKeys({ ...ring, networkBootstrapKeys: repeated }, new SeededRandom(3)));
    const foreign = create(EncryptionKeySchema, { subsystem: 'other', lamportTime: 3n });
    expect(
      completeKeys({ ...EMPTY, networkBootstrapKeys: [foreign] }, new SeededRandom(1)).networkBootstrapKeys,
    ).toContain(foreign);
  });
});

describe('rotateKeys', () => {
  it('drops the oldest key of each subsystem, whatever its place, and adds a newer one', () => {
    const oldestAnywhere = fc.constantFrom(0, 1, 2, 3, 4, 5);
    fc.assert(
      fc.property(fc.array(oldestAnywhere, { minLength: 1, maxLength: 8 }), (places) => {
        const random = new SeededRandom(1);
        let ring = completeKeys(EMPTY, random);
        for (const place of places) {
          const { networkBootstrapKeys: keys } = ring;
          const turned = { ...ring, networkBootstrapKeys: [...keys.slice(place), ...keys.slice(0, place)] };
          const next = rotateKeys(turned, random);
          expectSound(next);
          for (const subsystem of KEY_SUBSYSTEMS) {
            const before = times(ring, subsystem);
            const after = times(next, subsystem);
            expect(after.slice(0, 2)).toEqual(before.slice(1));
            expect(after[2]! > before[2]!).toBe(true);
          }
          ring = next;
        }
      }),
    );
  });

  it('replaces all keys in three rotations', () => {
    const random = new SeededRandom(1);
    const ring = completeKeys(EMPTY, random);
    const later = rotateKeys(rotateKeys(rotateKeys(ring, random), random), random);
    const old = new Set(hex(ring.networkBootstrapKeys));
    expect(hex(later.networkBootstrapKeys).some((key) => old.has(key))).toBe(false);
  });

  it('never goes behind a key that was given out, even where the stored clock does', () => {
    const ring = completeKeys(EMPTY, new SeededRandom(1));
    expectSound(rotateKeys({ ...ring, encryptionKeyLamportClock: 0n }, new SeededRandom(2)));
  });
});

describe('KeyManager', () => {
  let clock: SimClock;
  let store: MemoryStore;
  let stopping: AbortController;
  let failing: boolean;
  let index = 1n;

  beforeEach(() => {
    clock = new SimClock();
    stopping = new AbortController();
    failing = false;
    const propose = (_actions: Uint8Array, outcome: ProposalOutcome): void => {
      if (failing) throw new SwarmError(Code.UNAVAILABLE, 'busy');
      outcome.committed(++index);
    };
    store = new MemoryStore({}, { clock, proposer: { headIndex: () => index, propose } });
  });

  afterEach(() => stopping.abort(new Error('stop')));

  function manager(): KeyManager {
    return new KeyManager({}, { store, clock, random: new SeededRandom(5), log: SILENT_LOGGER });
  }

  async function createCluster(): Promise<void> {
    const cluster = create(ClusterSchema, { id: 'c1', spec: { annotations: { name: 'default' } } });
    await store.update((tx) => tx.create('cluster', cluster));
  }

  function ring(): KeyRing {
    return store.view((tx) => tx.get('cluster', 'c1'))!;
  }

  it('makes the keys at once, also where the cluster appears later, and rotates them every 12 hours', async () => {
    const run = manager().run(stopping.signal);
    await clock.advance(1_000);
    await createCluster();
    await clock.settle();
    await clock.advance(0);
    const first = ring();
    expectSound(first);
    await clock.advance(12 * HOUR_MS - 1);
    expect(ring()).toBe(first);
    await clock.advance(1);
    const second = ring();
    expectSound(second);
    expect(times(second, 'networking:gossip').slice(0, 2)).toEqual(times(first, 'networking:gossip').slice(1));
    await clock.advance(48 * HOUR_MS);
    expect(ring().encryptionKeyLamportClock).toBe(second.encryptionKeyLamportClock + 8n);
    stopping.abort(new Error('stop'));
    await run;
  });

  it('does not rotate when a leader takes over', async () => {
    await createCluster();
    const first = new AbortController();
    const run = manager().run(first.signal);
    await clock.advance(0);
    const before = ring();
    first.abort(new Error('stop'));
    await run;
    void manager().run(stopping.signal);
    await clock.advance(11 * HOUR_MS);
    expect(ring()).toBe(before);
  });

  it('tries again where the keys could not be written', async () => {
    await createCluster();
    failing = true;
    void manager().run(stopping.signal);
    await clock.advance(60_000);
    expect(ring().networkBootstrapKeys).toEqual([]);
    failing = false;
    await clock.advance(10_000);
    expectSound(ring());
  });

  it('checks its option', () => {
    expect(
      () =>
        new KeyManager({ rotationIntervalMs: 0 }, { store, clock, random: new SeededRandom(1), log: SILENT_LOGGER }),
    ).toThrow('rotationIntervalMs');
  });
});
