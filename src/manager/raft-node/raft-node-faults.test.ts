import { beforeEach, describe, expect, it } from 'vitest';
import { Code, type Logger, SILENT_LOGGER } from '../../base/index.js';
import { SeededRandom, SimClock, SimDisk } from '../../sim/index.js';
import { PlainCipher } from './cipher.js';
import { creation, proposeCreation } from './fakes.test-helper.js';
import type { RaftNodeOptions } from './options.js';
import { ids, proposeAll, proposeEach, type Running, startMember } from './member.test-helper.js';
import { SegmentLog } from './segment-log.js';

let disk: SimDisk;
let clock: SimClock;
let seed: number;

function start(options: Partial<RaftNodeOptions> = {}, log: Logger = SILENT_LOGGER): Promise<Running> {
  return startMember({ disk, clock, random: new SeededRandom(++seed), log }, options);
}

async function rawLog(): Promise<SegmentLog> {
  const log = await SegmentLog.open(
    { directory: '/state/raft/wal' },
    { disk, random: new SeededRandom(0), cipher: new PlainCipher() },
  );
  if (log === undefined) throw new Error('there is no log');
  return log;
}

async function snapshotNames(): Promise<readonly string[]> {
  return (await disk.list('/state/raft/snap')).map((each) => each.name);
}

beforeEach(async () => {
  disk = new SimDisk();
  clock = new SimClock();
  seed = 0;
});

describe('a RaftNode whose disk fails', () => {
  it.each([
    ['write', 'ENOSPC', Code.RESOURCE_EXHAUSTED],
    ['sync', 'EIO', Code.INTERNAL],
  ] as const)('loses all that waits and ends after a failed %s (%s)', async (kind, failure, code) => {
    const running = await start();
    await proposeAll(running, ids(1, 3));
    disk.failNext(kind, failure);
    const results = await Promise.allSettled(ids(4, 10).map((id) => proposeCreation(running.node, running.store, id)));
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code, message: expect.stringContaining(failure) } });
    }
    expect(await running.ended).toMatchObject({ code });
    await expect(proposeCreation(running.node, running.store, 'late')).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
    });
    disk = disk.crash();
    expect((await start()).store.ids).toEqual(ids(1, 3));
  });

  it('ends when a committed change cannot be applied', async () => {
    const { node, ended } = await start();
    const lost: unknown[] = [];
    node.propose(creation('a'), {
      committed: () => {
        throw new Error('a broken invariant');
      },
      lost: () => expect.fail(),
    });
    node.propose(creation('b'), { committed: () => expect.fail(), lost: (error) => void lost.push(error.message) });
    expect(await ended).toMatchObject({ message: 'a broken invariant' });
    expect(lost).toEqual(['a broken invariant']);
  });
});

describe('a quiet RaftNode', () => {
  it('marks what it wrote as committed, once', async () => {
    const running = await start();
    await proposeAll(running, ids(1, 2));
    let syncs = 0;
    disk.intercept = ({ kind }) => void (kind === 'sync' && syncs++);
    await clock.advance(999);
    expect(syncs).toBe(0);
    await clock.advance(10_000);
    expect(syncs).toBe(1);
    disk = disk.crash();
    expect((await rawLog()).hardState.commit).toBe(4n);
  });

  it('then notices damage to the last entry, instead of taking it for a write cut short', async () => {
    const running = await start();
    await proposeAll(running, ids(1, 1));
    const path = '/state/raft/wal/0000000000000001.wal';
    let place: number | undefined;
    const flip = async (): Promise<void> => {
      const bytes = Buffer.from(await disk.readFile(path));
      place ??= bytes.lastIndexOf('c1');
      const at = place;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      await disk.writeFileAtomic(path, bytes, 0o600);
    };
    await clock.advance(1_000);
    disk = disk.crash();
    await flip();
    await expect(start()).rejects.toMatchObject({ code: Code.DATA_LOSS });
    await flip();
    await start();
  });
});

describe('snapshots of a RaftNode', () => {
  const small = { snapshotIntervalEntries: 20, keptEntries: 5, segmentBytesMax: 400, growthBytes: 0 };

  it('are made at the interval, and make room', async () => {
    const running = await start(small);
    await proposeEach(running, ids(1, 100));
    await clock.settle();
    const { snapshotIndex } = running.node.status();
    expect(snapshotIndex).toBeGreaterThanOrEqual(80n);
    expect(await snapshotNames()).toHaveLength(1);
    expect(await disk.list('/state/raft/wal')).not.toContainEqual({ name: '0000000000000001.wal', kind: 'file' });
    await running.stop();
    const again = await start(small);
    expect(again.store.ids).toEqual(ids(1, 100));
    expect(again.node.headIndex()).toBe(103n);
    expect(again.node.status().members).toHaveLength(1);
  });

  it('are never made with an interval of 0', async () => {
    const running = await start({ ...small, snapshotIntervalEntries: 0 });
    await proposeAll(running, ids(1, 100));
    await clock.settle();
    expect(await snapshotNames()).toEqual([]);
    await running.stop();
  });

  it('that fail are reported, leave the log whole, and are tried again', async () => {
    const errors: string[] = [];
    const log: Logger = { ...SILENT_LOGGER, error: (_, message) => void errors.push(message) };
    const running = await start(small, log);
    disk.intercept = ({ kind, path }) => {
      if (kind === 'write' && path.includes('/snap/') && errors.length === 0) throw new Error('no space');
    };
    await proposeEach(running, ids(1, 100));
    await clock.settle();
    expect(errors).toEqual(['could not make a snapshot']);
    expect(await snapshotNames()).toHaveLength(1);
    await running.stop();
    expect((await start(small)).store.ids).toEqual(ids(1, 100));
  });

  it('that are damaged are refused, or replaced by an older one that the log still reaches', async () => {
    const generous = { ...small, keptSnapshots: 1, keptEntries: 60 };
    const running = await start(generous);
    await proposeEach(running, ids(1, 60));
    await clock.settle();
    await running.stop();
    const names = await snapshotNames();
    expect(names).toHaveLength(2);
    const damage = async (name: string | undefined): Promise<void> => {
      const path = `/state/raft/snap/${name}`;
      const bytes = Buffer.from(await disk.readFile(path));
      bytes[200] = (bytes[200] ?? 0) ^ 4;
      await disk.writeFileAtomic(path, bytes, 0o600);
    };
    await damage(names[1]);
    const second = await start(generous);
    expect(second.store.ids).toEqual(ids(1, 60));
    await second.stop();
    await damage(names[0]);
    await disk.remove('/state/raft/wal/0000000000000001.wal');
    await expect(start(generous)).rejects.toMatchObject({
      code: Code.DATA_LOSS,
      message: expect.stringContaining(`${names[1]} is damaged`),
    });
  });

  it('without their log are refused', async () => {
    const running = await start(small);
    await proposeEach(running, ids(1, 30));
    await clock.settle();
    await running.stop();
    await disk.remove('/state/raft/wal');
    await expect(start(small)).rejects.toMatchObject({
      code: Code.DATA_LOSS,
      message: expect.stringContaining('the log is missing'),
    });
  });

  it('that are gone are missed when the log does not go back far enough', async () => {
    const running = await start(small);
    await proposeEach(running, ids(1, 100));
    await clock.settle();
    await running.stop();
    await disk.remove('/state/raft/snap');
    await expect(start(small)).rejects.toMatchObject({
      code: Code.DATA_LOSS,
      message: expect.stringContaining('no snapshot reaches'),
    });
  });
});
