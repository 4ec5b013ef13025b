import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SILENT_LOGGER } from '../../base/index.js';
import { AesGcm } from '../../platform/index.js';
import { SeededRandom, SimClock, SimDisk, type Unsynced } from '../../sim/index.js';
import { AuthenticatedCipher } from './cipher.js';
import { FakeStore, proposeCreation } from './fakes.test-helper.js';
import { RaftNode } from './raft-node.js';

const NEVER = new AbortController().signal;

const OPTIONS = {
  stateDir: '/state',
  nodeId: 'node-1',
  addr: '10.0.0.1:2377',
  snapshotIntervalEntries: 6,
  keptEntries: 2,
  segmentBytesMax: 500,
  growthBytes: 40,
};

/** What became of one life of a member. */
interface Life {
  /** What the store held once the member was open; undefined when it was killed before. */
  readonly found: readonly string[] | undefined;
  /** All that was proposed, in order, and how many of them were acknowledged. */
  readonly proposed: readonly string[];
  readonly acknowledged: number;
  readonly finished: boolean;
  readonly disk: SimDisk;
}

/** One member from its start until the disk's operation `killAt`, or until `rounds` of proposals are through. */
async function live(
  disk: SimDisk,
  name: string,
  rounds: readonly number[],
  killAt: number,
  seed: number,
): Promise<Life> {
  const store = new FakeStore();
  const random = new SeededRandom(seed);
  const cipher = new AuthenticatedCipher({ dek: new Uint8Array(32).fill(1) }, { aead: new AesGcm(), random });
  const node = new RaftNode(OPTIONS, { disk, clock: new SimClock(), random, log: SILENT_LOGGER, cipher, store });
  const life = { found: undefined as readonly string[] | undefined, proposed: [] as string[], acknowledged: 0 };
  const killed = killedAt(disk, killAt);
  const work = async (): Promise<true> => {
    await node.open(NEVER);
    life.found = [...store.ids];
    const controller = new AbortController();
    const ended = node.run(controller.signal);
    for (const [round, size] of rounds.entries()) {
      const ids = Array.from({ length: size }, (_, at) => `${name}.${round}.${at}.${'x'.repeat((at * 37) % 90)}`);
      life.proposed.push(...ids);
      const all = ids.map((id) => proposeCreation(node, store, id).then(() => life.acknowledged++));
      await Promise.all(all);
    }
    controller.abort(new Error('the end'));
    await ended;
    return true;
  };
  const finished = await Promise.race([work(), killed]);
  return { ...life, finished, disk };
}

/** From that operation on the disk answers nothing: the process is dead. */
function killedAt(disk: SimDisk, killAt: number): Promise<false> {
  let operations = 0;
  return new Promise<false>((resolve) => {
    disk.intercept = () => {
      if (operations++ < killAt) return undefined;
      resolve(false);
      return new Promise<void>(() => undefined);
    };
  });
}

/** What the store must hold after a life: everything acknowledged, and no more than was proposed. */
function checkFound(found: readonly string[], before: readonly string[], life: Life): void {
  const possible = [...before, ...life.proposed];
  expect(found).toEqual(possible.slice(0, found.length));
  expect(found.length).toBeGreaterThanOrEqual(before.length + life.acknowledged);
}

const FOREVER = Number.POSITIVE_INFINITY;

/** The ids that a start finds. */
async function reopen(disk: SimDisk): Promise<readonly string[]> {
  const { found } = await live(disk, 'reopened', [], FOREVER, 5);
  return found ?? expect.fail('did not open');
}

describe('a RaftNode killed at any moment', () => {
  const ROUNDS = [1, 3, 1, 5, 2, 4, 1];

  const UNSYNCED: readonly Unsynced[] = [
    { kind: 'lost' },
    { kind: 'kept' },
    ...[1, 30, 77, 130].map((bytes): Unsynced => ({ kind: 'torn', bytes })),
    ...[1, 2, 3, 4].map((seed): Unsynced => ({ kind: 'random', random: new SeededRandom(seed) })),
  ];

  it('has after a restart every acknowledged proposal, none that was not made, in order', async () => {
    let operations = 0;
    for (let finished = false; !finished; operations++) {
      const life = await live(new SimDisk(), 'a', ROUNDS, operations, 1);
      finished = life.finished;
      for (const unsynced of UNSYNCED) checkFound(await reopen(life.disk.crash(unsynced)), [], life);
    }
    expect(operations).toBeGreaterThan(100);
  });

  it('has the same when it is killed again while it starts', async () => {
    const life = await live(new SimDisk(), 'a', ROUNDS, 70, 1);
    expect(life.finished).toBe(false);
    const found = await reopen(life.disk.crash());
    for (let operations = 0, finished = false; !finished; operations++) {
      const second = await live(life.disk.crash(), 'b', [], operations, 2);
      finished = second.finished;
      for (const unsynced of UNSYNCED) expect(await reopen(second.disk.crash(unsynced))).toEqual(found);
    }
  });

  it('has the same over many lives of any kind', async () => {
    const lifeOf = fc.record({
      rounds: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 8 }),
      killAt: fc.integer({ min: 0, max: 160 }),
      unsynced: fc.constantFrom('lost', 'kept', 'torn', 'random'),
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(lifeOf, { minLength: 1, maxLength: 6 }), async (lives) => {
        let disk = new SimDisk();
        let before: readonly string[] = [];
        for (const [position, { rounds, killAt, unsynced, seed }] of lives.entries()) {
          const life = await live(disk, `life${position}`, rounds, killAt, seed);
          if (life.found !== undefined) expect(life.found).toEqual(before);
          const found = await reopen(life.disk.crash(unsyncedOf(unsynced, seed)));
          checkFound(found, before, life);
          disk = life.disk.crash(unsyncedOf(unsynced, seed));
          before = found;
        }
      }),
      { numRuns: 60 },
    );
  });

  function unsyncedOf(kind: Unsynced['kind'], seed: number): Unsynced {
    switch (kind) {
      case 'lost':
      case 'kept':
        return { kind };
      case 'torn':
        return { kind, bytes: seed % 300 };
      case 'random':
        return { kind, random: new SeededRandom(seed) };
    }
  }
});
