import { describe, expect, it } from 'vitest';
import { SeededRandom, SimDisk, type Unsynced } from '../../sim/index.js';
import { PlainCipher } from './cipher.js';
import { entry, hardState, textOf } from './fakes.test-helper.js';
import { SegmentLog, type SegmentLogOptions } from './segment-log.js';

const OPTIONS: SegmentLogOptions = { directory: '/wal', segmentBytesMax: 500, growthBytes: 32 };

/** One step of a workload: entries as [index, text], a commit index, and perhaps a prefix to forget. */
interface Step {
  readonly entries: readonly (readonly [number, string])[];
  readonly commit: number;
  readonly compact?: number;
}

/** Cuts segments, replaces a suffix, forgets prefixes: everything the log does. */
const STEPS: readonly Step[] = [
  { entries: [[1, 'a']], commit: 0 },
  {
    entries: [
      [2, 'b'],
      [3, 'c'.repeat(70)],
    ],
    commit: 1,
  },
  { entries: [], commit: 3 },
  {
    entries: [
      [4, 'd'],
      [5, 'e'],
      [6, 'f'.repeat(33)],
    ],
    commit: 3,
  },
  {
    entries: [
      [5, 'E'],
      [6, 'F'],
    ],
    commit: 4,
  },
  { entries: [[7, 'g'.repeat(200)]], commit: 6 },
  { entries: [[8, 'h']], commit: 7, compact: 4 },
  {
    entries: [
      [9, 'i'.repeat(90)],
      [10, 'j'],
    ],
    commit: 8,
  },
  { entries: [[11, 'k']], commit: 9, compact: 8 },
];

/** What a log holds: the entries from any index on, and the commit index. */
interface Model {
  readonly texts: ReadonlyMap<number, string>;
  readonly commit: number;
}

const EMPTY: Model = { texts: new Map(), commit: 0 };

function after(model: Model, { entries, commit }: Step): Model {
  const first = entries[0]?.[0] ?? Infinity;
  const kept = [...model.texts].filter(([index]) => index < first);
  return { texts: new Map([...kept, ...entries]), commit };
}

/** The model after each number of steps. */
const MODELS = STEPS.reduce((all: readonly Model[], step) => [...all, after(all.at(-1) ?? EMPTY, step)], [EMPTY]);

function deps(disk: SimDisk, seed = 1): Parameters<typeof SegmentLog.open>[1] {
  return { disk, random: new SeededRandom(seed), cipher: new PlainCipher() };
}

async function newDisk(): Promise<SimDisk> {
  const disk = new SimDisk();
  await disk.makeDirectory('/wal', 0o700);
  await disk.syncDirectory('/');
  return disk;
}

async function apply(log: SegmentLog, step: Step): Promise<void> {
  await log.append(
    step.entries.map(([index, text]) => entry(index, 1, text)),
    hardState(1, step.commit),
  );
}

/** Runs the workload until the disk's operation number `limit`, where the process is killed. */
async function runUntilKilled(limit: number): Promise<{ disk: SimDisk; acknowledged: number; finished: boolean }> {
  const disk = await newDisk();
  let acknowledged = 0;
  let operations = 0;
  const killed = new Promise<false>((resolve) => {
    disk.intercept = () => {
      if (operations++ < limit) return undefined;
      resolve(false);
      return new Promise<void>(() => undefined);
    };
  });
  const work = async (): Promise<true> => {
    const log = await SegmentLog.create(OPTIONS, deps(disk), new Uint8Array([7]));
    for (const step of STEPS) {
      await apply(log, step);
      acknowledged++;
      if (step.compact !== undefined) await log.compact(BigInt(step.compact));
    }
    return true;
  };
  const finished = await Promise.race([work(), killed]);
  return { disk, acknowledged, finished };
}

/** The one model that the log equals, of those given; fails when there is none. */
async function matchModel(log: SegmentLog, candidates: readonly Model[]): Promise<number> {
  const found = new Map<number, string>();
  for (const each of await log.read(log.firstIndex, log.lastIndex + 1n)) found.set(Number(each.Index), textOf(each));
  const commit = Number(log.hardState.commit);
  const match = candidates.findIndex((model) => {
    const expected = [...model.texts].filter(([index]) => BigInt(index) >= log.firstIndex);
    return (
      model.commit === commit &&
      expected.length === found.size &&
      expected.every(([index, text]) => found.get(index) === text)
    );
  });
  expect(match, `found ${JSON.stringify([...found])}, commit ${commit}`).toBeGreaterThanOrEqual(0);
  return match;
}

/** Opens the log that the crash left and checks it against what was acknowledged; then goes on with it. */
async function check(disk: SimDisk, acknowledged: number): Promise<void> {
  const log = await SegmentLog.open(OPTIONS, deps(disk, 2));
  if (log === undefined) {
    expect(acknowledged).toBe(0);
    return;
  }
  const match = acknowledged + (await matchModel(log, MODELS.slice(acknowledged, acknowledged + 2)));
  const next: Step = { entries: [[Number(log.lastIndex) + 1, 'next']], commit: Number(log.lastIndex) };
  await apply(log, next);
  const again = await SegmentLog.open(OPTIONS, deps(disk.crash(), 3));
  if (again === undefined) throw new Error('the log is gone');
  await matchModel(again, [after(MODELS[match] ?? EMPTY, next)]);
}

async function forEveryKill(test: (killed: { disk: SimDisk; acknowledged: number }) => Promise<void>): Promise<number> {
  for (let limit = 0; ; limit++) {
    const killed = await runUntilKilled(limit);
    await test(killed);
    if (killed.finished) return limit;
  }
}

describe('a segment log killed before any operation of the disk', () => {
  it.each([{ kind: 'lost' }, { kind: 'kept' }] satisfies Unsynced[])(
    'has what was acknowledged, and at most what was under way, when unsynced data is $kind',
    async (unsynced) => {
      const operations = await forEveryKill(({ disk, acknowledged }) => check(disk.crash(unsynced), acknowledged));
      expect(operations).toBeGreaterThanOrEqual(40);
    },
  );

  it('has the same when the write was torn at any byte', async () => {
    await forEveryKill(async ({ disk, acknowledged }) => {
      for (let bytes = 0; bytes <= 400; bytes++) await check(disk.crash({ kind: 'torn', bytes }), acknowledged);
    });
  });

  it('has the same when any part of the unsynced writes is lost', async () => {
    await forEveryKill(async ({ disk, acknowledged }) => {
      for (let seed = 0; seed < 20; seed++) {
        await check(disk.crash({ kind: 'random', random: new SeededRandom(seed) }), acknowledged);
      }
    });
  });
});

describe('a torn write that follows another', () => {
  const open = async (disk: SimDisk): Promise<SegmentLog> =>
    (await SegmentLog.open(OPTIONS, deps(disk))) ?? expect.fail('there is no log');

  const found = async (log: SegmentLog): Promise<readonly string[]> =>
    (await log.read(log.firstIndex, log.lastIndex + 1n)).map(textOf);

  /** A write whose first record never reached the disk, its second one did. */
  async function tornOnce(): Promise<SimDisk> {
    const disk = await newDisk();
    const log = await SegmentLog.create(OPTIONS, deps(disk), new Uint8Array([7]));
    await log.append([entry(1, 1, 'kept')]);
    const before = await disk.readFile('/wal/0000000000000001.wal');
    await log.append([entry(2, 1, 'old2'), entry(3, 1, 'old3')]);
    const after = Buffer.from(await disk.readFile('/wal/0000000000000001.wal'));
    const start = Buffer.from(before).lastIndexOf('kept') + 4;
    const firstRecord = after.indexOf('old2');
    after.fill(0, Math.ceil(start / 8) * 8, firstRecord + 4);
    await disk.writeFileAtomic('/wal/0000000000000001.wal', after, 0o600);
    return disk.crash();
  }

  /** Another write in the same place, killed before its sync. */
  async function writeUnsynced(disk: SimDisk, log: SegmentLog): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      disk.intercept = ({ kind }) => {
        if (kind !== 'sync') return undefined;
        resolve();
        return new Promise<void>(() => undefined);
      };
    });
    void log.append([entry(2, 1, 'new2'), entry(3, 1, 'new3')]);
    await reached;
  }

  it('never joins with what is left of the one before', async () => {
    const disk = await tornOnce();
    expect(await found(await open(disk))).toEqual(['kept']);
    for (let seed = 0; seed < 300; seed++) {
      const each = await tornOnce();
      const log = await open(each);
      await writeUnsynced(each, log);
      const rest = await found(await open(each.crash({ kind: 'random', random: new SeededRandom(seed) })));
      expect([['kept'], ['kept', 'new2', 'new3']]).toContainEqual(rest);
    }
  });

  it('never does so when it is torn at any byte', async () => {
    for (let bytes = 0; bytes < 120; bytes++) {
      const each = await tornOnce();
      const log = await open(each);
      await writeUnsynced(each, log);
      const rest = await found(await open(each.crash({ kind: 'torn', bytes })));
      expect([['kept'], ['kept', 'new2', 'new3']]).toContainEqual(rest);
    }
  });
});
