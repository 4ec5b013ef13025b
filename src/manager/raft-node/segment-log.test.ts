import { beforeEach, describe, expect, it } from 'vitest';
import { raftpb } from '../../api/index.js';
import { Code, type Disk } from '../../base/index.js';
import { AesGcm } from '../../platform/index.js';
import { SeededRandom, SimDisk } from '../../sim/index.js';
import { AuthenticatedCipher } from './cipher.js';
import { crc32c } from './crc32c.js';
import { entry, hardState, textOf } from './fakes.test-helper.js';
import { HEADER_BYTES } from './segment.js';
import { SegmentLog, type SegmentLogDeps, type SegmentLogOptions } from './segment-log.js';

const METADATA = new TextEncoder().encode('whose log');
const OPTIONS: SegmentLogOptions = { directory: '/wal', segmentBytesMax: 600, growthBytes: 64 };

let disk: SimDisk;

function deps(on: Disk = disk): SegmentLogDeps {
  const random = new SeededRandom(1);
  return {
    disk: on,
    random,
    cipher: new AuthenticatedCipher({ dek: new Uint8Array(32) }, { aead: new AesGcm(), random }),
  };
}

async function opened(on: Disk = disk): Promise<SegmentLog> {
  const log = await SegmentLog.open(OPTIONS, deps(on));
  if (log === undefined) throw new Error('there is no log');
  return log;
}

async function texts(log: SegmentLog): Promise<readonly string[]> {
  return (await log.read(log.firstIndex, log.lastIndex + 1n)).map(textOf);
}

async function segments(on: Disk = disk): Promise<readonly string[]> {
  return (await on.list('/wal')).map((each) => each.name);
}

async function filled(entries: number): Promise<SegmentLog> {
  const log = await SegmentLog.create(OPTIONS, deps(), METADATA);
  for (let index = 1; index <= entries; index++)
    await log.append([entry(index, 1, `e${index}`)], hardState(1, index - 1));
  return log;
}

beforeEach(async () => {
  disk = new SimDisk();
  await disk.makeDirectory('/wal', 0o700);
  await disk.syncDirectory('/');
});

describe('SegmentLog', () => {
  it('is not there until it is made', async () => {
    expect(await SegmentLog.open(OPTIONS, deps())).toBeUndefined();
    await (await SegmentLog.create(OPTIONS, deps(), METADATA)).close();
    const log = await opened(disk.crash());
    expect(log).toMatchObject({ firstIndex: 1n, lastIndex: 0n, metadata: METADATA });
    expect(log.term(0n)).toBe(0n);
  });

  it('gives back entries, terms, kinds and hard state after a crash', async () => {
    const log = await SegmentLog.create(OPTIONS, deps(), METADATA);
    const change = { ...entry(2, 1, 'member'), Type: raftpb.EntryType.EntryConfChange };
    await log.append([entry(1, 1, 'one'), change], hardState(1, 0));
    await log.append([entry(3, 2, '')], hardState(2, 2));
    const again = await opened(disk.crash());
    expect(await again.read(1n, 4n)).toEqual([entry(1, 1, 'one'), change, entry(3, 2, '')]);
    expect(again.hardState).toMatchObject({ term: 2n, vote: 1n, commit: 2n });
    expect([again.term(2n), again.term(3n), again.term(4n)]).toEqual([1n, 2n, undefined]);
    expect([again.type(1n), again.type(2n)]).toEqual([raftpb.EntryType.EntryNormal, raftpb.EntryType.EntryConfChange]);
  });

  it('encrypts what users gave and nothing else', async () => {
    const log = await SegmentLog.create(OPTIONS, deps(), METADATA);
    const change = { ...entry(2, 1, 'membership'), Type: raftpb.EntryType.EntryConfChange };
    await log.append([entry(1, 1, 'confidential'), change]);
    const file = Buffer.from(await disk.readFile('/wal/0000000000000001.wal'));
    expect(file.includes('confidential')).toBe(false);
    expect(file.includes('membership')).toBe(true);
  });

  it('goes on in a new segment, without a gap', async () => {
    await filled(40);
    expect((await segments()).length).toBeGreaterThan(3);
    const again = await opened(disk.crash());
    expect(await texts(again)).toEqual(Array.from({ length: 40 }, (_, at) => `e${at + 1}`));
    expect(await again.read(17n, 17n)).toEqual([]);
  });

  it('lets a later entry take the place of those from its index on', async () => {
    const log = await filled(20);
    await log.append([entry(5, 2, 'new5'), entry(6, 2, 'new6')], hardState(2, 4));
    const expected = ['e1', 'e2', 'e3', 'e4', 'new5', 'new6'];
    expect(await texts(log)).toEqual(expected);
    const again = await opened(disk.crash());
    expect(await texts(again)).toEqual(expected);
    expect(again.lastIndex).toBe(6n);
  });

  it('forgets a prefix and removes the segments that held only it', async () => {
    const log = await filled(40);
    const before = await segments();
    await log.compact(30n);
    expect(log.firstIndex).toBe(31n);
    expect(log.term(30n)).toBe(1n);
    expect(log.term(29n)).toBeUndefined();
    const after = await segments();
    expect(after.length).toBeLessThan(before.length);
    expect(before.slice(-after.length)).toEqual(after);
    const again = await opened(disk.crash());
    expect(again.firstIndex).toBeLessThanOrEqual(31n);
    expect((await again.read(31n, 41n)).map(textOf)).toEqual(Array.from({ length: 10 }, (_, at) => `e${at + 31}`));
    await expect(log.read(30n, 32n)).rejects.toMatchObject({ code: Code.OUT_OF_RANGE });
    await expect(log.read(40n, 42n)).rejects.toMatchObject({ code: Code.OUT_OF_RANGE });
  });

  it('keeps its order when a conflict is older than a removed segment', async () => {
    const log = await filled(30);
    await log.append([entry(5, 2, 'n5')], hardState(2, 4));
    for (let index = 6; index <= 40; index++) await log.append([entry(index, 2, `n${index}`)], hardState(2, index - 1));
    await log.compact(35n);
    const again = await opened(disk.crash());
    expect((await again.read(36n, 41n)).map(textOf)).toEqual(['n36', 'n37', 'n38', 'n39', 'n40']);
  });

  it('starts anew after a snapshot from elsewhere', async () => {
    const log = await filled(10);
    await log.reset(500n, 7n, hardState(7, 500));
    expect(log).toMatchObject({ firstIndex: 501n, lastIndex: 500n });
    await log.append([entry(501, 7, 'next')]);
    const again = await opened(disk.crash());
    expect(await texts(again)).toEqual(['next']);
    expect(again.term(500n)).toBe(7n);
  });

  it('refuses entries that leave a gap, are out of order or were compacted', async () => {
    const log = await filled(10);
    await log.compact(5n);
    const refused = { code: Code.INTERNAL };
    await expect(log.append([entry(12, 1, '')])).rejects.toMatchObject(refused);
    await expect(log.append([entry(11, 1, ''), entry(13, 1, '')])).rejects.toMatchObject(refused);
    await expect(log.append([entry(5, 1, '')])).rejects.toMatchObject(refused);
    await log.append([entry(11, 1, 'fits')]);
  });

  it('writes nothing where there is nothing to write', async () => {
    const log = await filled(1);
    disk.intercept = () => expect.fail();
    await log.append([]);
  });

  it('refuses to be used by two at once, or when closed', async () => {
    const log = await filled(1);
    const first = log.append([entry(2, 1, 'a')]);
    await expect(log.append([entry(2, 1, 'b')])).rejects.toMatchObject({ code: Code.INTERNAL });
    await first;
    await log.close();
    await log.close();
    await expect(log.append([entry(3, 1, 'c')])).rejects.toMatchObject({ code: Code.FAILED_PRECONDITION });
    await expect(log.read(1n, 2n)).rejects.toMatchObject({ code: Code.FAILED_PRECONDITION });
  });

  it.each([
    ['write', 'ENOSPC', Code.RESOURCE_EXHAUSTED],
    ['write', 'EIO', Code.INTERNAL],
    ['sync', 'EIO', Code.INTERNAL],
  ] as const)(
    'takes nothing more after a failed %s (%s), and has kept what it acknowledged',
    async (kind, failure, code) => {
      const log = await filled(3);
      disk.failNext(kind, failure);
      const refused = { code, message: expect.stringContaining('takes nothing more') };
      await expect(log.append([entry(4, 1, 'lost')])).rejects.toMatchObject(refused);
      await expect(log.append([entry(4, 1, 'late')])).rejects.toMatchObject(refused);
      await expect(log.compact(1n)).rejects.toMatchObject(refused);
      const again = await opened(disk.crash({ kind: 'kept' }));
      expect(await texts(again)).toEqual(['e1', 'e2', 'e3']);
      await again.append([entry(4, 1, 'goes on')]);
    },
  );

  it('takes nothing more after a new segment could not be made', async () => {
    const log = await filled(1);
    disk.failNext('open', 'ENOSPC');
    const fill = async (): Promise<void> => {
      for (let index = 2; index < 40; index++) await log.append([entry(index, 1, `e${index}`)]);
    };
    await expect(fill()).rejects.toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
    await expect(log.append([])).resolves.toBeUndefined();
    const again = await opened(disk.crash());
    expect(again.lastIndex).toBeGreaterThan(1n);
  });
});

describe('a damaged log', () => {
  async function changed(path: string, change: (bytes: Buffer) => Buffer): Promise<void> {
    await disk.writeFileAtomic(path, change(Buffer.from(await disk.readFile(path))), 0o600);
  }

  const FIRST = '/wal/0000000000000001.wal';
  const SECOND = '/wal/0000000000000002.wal';

  it('is refused for any flipped bit before the last batch, and left as it was', async () => {
    await filled(20);
    const names = await segments();
    const last = `/wal/${names.at(-1)}`;
    const lastFile = Buffer.from(await disk.readFile(last));
    const lastBatch = lastFile.subarray(0, lastOffset(lastFile));
    for (const name of names) {
      const path = `/wal/${name}`;
      const before = Buffer.from(await disk.readFile(path));
      const until = path === last ? lastBatch.length : usedBytes(before);
      for (let at = 0; at < until; at += 3) {
        await changed(path, (bytes) => flipped(bytes, at, at % 8));
        const padding = await survivesUnharmed(20);
        if (!padding) await expect(opened()).rejects.toMatchObject({ code: Code.DATA_LOSS, details: { path } });
        await disk.writeFileAtomic(path, before, 0o600);
      }
    }
  });

  /** A flipped bit in the padding between records hits nothing. */
  async function survivesUnharmed(entries: number): Promise<boolean> {
    try {
      const log = await opened();
      expect(log.lastIndex).toBe(BigInt(entries));
      return true;
    } catch {
      return false;
    }
  }

  it('says which file, where, and what to do', async () => {
    await filled(20);
    await changed(FIRST, (bytes) => flipped(bytes, HEADER_BYTES + 30, 0));
    await expect(opened()).rejects.toMatchObject({
      message: expect.stringMatching(
        /^\/wal\/0000000000000001\.wal is damaged at offset 64: .* backup; or, .* join it again$/,
      ),
    });
  });

  it('is cut where the last write was torn, and takes the next there', async () => {
    await filled(3);
    const path = FIRST;
    await changed(path, (bytes) => bytes.subarray(0, usedBytes(bytes) - 9));
    const log = await opened();
    expect(log.cutBytes).toBeGreaterThan(0);
    expect(await texts(log)).toEqual(['e1', 'e2']);
    await log.append([entry(3, 1, 'again')]);
    expect(await texts(await opened(disk.crash()))).toEqual(['e1', 'e2', 'again']);
  });

  it('is refused when a segment is missing, misplaced or empty', async () => {
    await filled(40);
    const second = await disk.readFile(SECOND);
    await disk.remove(SECOND);
    await expect(opened()).rejects.toMatchObject({ code: Code.DATA_LOSS, details: { path: SECOND } });
    await disk.writeFileAtomic(SECOND, await disk.readFile(FIRST), 0o600);
    await expect(opened()).rejects.toMatchObject({ message: expect.stringContaining("under another's name") });
    await disk.writeFileAtomic(SECOND, new Uint8Array(0), 0o600);
    await expect(opened()).rejects.toMatchObject({ message: expect.stringContaining('header has 0 bytes') });
    await disk.writeFileAtomic(SECOND, second.slice(0, HEADER_BYTES), 0o600);
    await expect(opened()).rejects.toMatchObject({ message: expect.stringContaining('first batch is missing') });
    await disk.writeFileAtomic(SECOND, second, 0o600);
    await opened();
  });

  it('is refused when whole batches are gone from the end of a segment that others follow', async () => {
    await filled(40);
    await changed(FIRST, (bytes) => bytes.subarray(0, lastOffset(bytes)));
    await expect(opened()).rejects.toMatchObject({
      details: { path: SECOND },
      message: expect.stringContaining('missing before it'),
    });
  });

  it('is refused when it was written in a newer format', async () => {
    await filled(1);
    await changed(FIRST, (bytes) => {
      bytes.writeUInt32LE(2, 8);
      bytes.writeUInt32LE(crc32c(bytes.subarray(0, HEADER_BYTES - 4)), HEADER_BYTES - 4);
      return bytes;
    });
    const message = expect.stringContaining('format 2; this program reads up to 1: use the newer program');
    await expect(opened()).rejects.toMatchObject({ code: Code.FAILED_PRECONDITION, message });
  });

  it('is refused when it is no log at all', async () => {
    await disk.writeFileAtomic(FIRST, new TextEncoder().encode('x'.repeat(100)), 0o600);
    await expect(opened()).rejects.toMatchObject({ message: expect.stringContaining('does not start with SWARMLOG') });
  });

  it('does not mistake a copy of a log that a user stored for records, however it lies', async () => {
    await filledElsewhere();
    const copy = Buffer.from(await disk.readFile('/other/0000000000000001.wal'));
    for (let shift = 0; shift < 8; shift++) {
      await disk.remove(FIRST);
      const log = await filled(1);
      const data = Buffer.concat([Buffer.alloc(shift), copy]);
      await log.append([{ ...entry(2, 1, ''), Type: raftpb.EntryType.EntryConfChange, Data: data }]);
      // The write is torn at its start; the copy in it, with later batches, is whole.
      await changed(FIRST, (bytes) => flipped(bytes, bytes.indexOf(data) - 20, 0));
      expect((await opened()).lastIndex).toBe(1n);
    }
  });

  async function filledElsewhere(): Promise<void> {
    await disk.makeDirectory('/other', 0o700);
    const random = new SeededRandom(99);
    const log = await SegmentLog.create({ directory: '/other', growthBytes: 0 }, { ...deps(), random }, METADATA);
    for (let index = 1; index <= 9; index++) await log.append([entry(index, 1, `x${index}`)]);
  }

  it('is refused with a key that does not fit when it is read', async () => {
    await filled(2);
    const random = new SeededRandom(1);
    const cipher = new AuthenticatedCipher({ dek: new Uint8Array(32).fill(9) }, { aead: new AesGcm(), random });
    const log = await SegmentLog.open(OPTIONS, { disk, random, cipher });
    await expect(log?.read(1n, 3n)).rejects.toMatchObject({ code: Code.FAILED_PRECONDITION });
  });
});

function flipped(bytes: Buffer, at: number, bit: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  return bytes;
}

/** Length of the file without the zeros written ahead, to the multiple of 8 at which records end. */
function usedBytes(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return Math.ceil(end / 8) * 8;
}

/** Where the last batch of a segment starts: every batch after the first ends with a hard state record. */
function lastOffset(bytes: Buffer): number {
  const starts: number[] = [];
  let batch = -1n;
  for (let at = HEADER_BYTES; at < usedBytes(bytes); ) {
    const next = bytes.readBigUInt64LE(at + 8);
    if (next !== batch) starts.push(at);
    batch = next;
    at += 24 + Math.ceil(bytes.readUInt32LE(at + 4) / 8) * 8;
  }
  return starts.at(-1) ?? 0;
}
