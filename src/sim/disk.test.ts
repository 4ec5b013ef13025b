import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Code, type Disk } from '../base/index.js';
import { NodeDisk } from '../platform/index.js';
import { SeededRandom, SimDisk } from './index.js';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

const KINDS = [
  {
    name: 'SimDisk',
    make: async () => {
      const disk = new SimDisk();
      await disk.makeDirectory('/state', 0o700);
      return { disk, root: '/state' };
    },
    discard: async () => undefined,
  },
  {
    name: 'NodeDisk',
    make: async () => ({ disk: new NodeDisk(), root: await mkdtemp(join(tmpdir(), 'disk-')) }),
    discard: (root: string) => rm(root, { recursive: true, force: true }),
  },
];

describe.each(KINDS)('$name as a Disk', ({ make, discard }) => {
  let disk: Disk;
  let root: string;

  beforeEach(async () => {
    ({ disk, root } = await make());
  });
  afterEach(() => discard(root));

  it('reads back what an atomic write wrote, and replaces it whole', async () => {
    await disk.writeFileAtomic(`${root}/a`, bytes('first, longer'), 0o600);
    await disk.writeFileAtomic(`${root}/a`, bytes('second'), 0o600);
    expect(text(await disk.readFile(`${root}/a`))).toBe('second');
    expect(await disk.list(root)).toEqual([{ name: 'a', kind: 'file' }]);
  });

  it('survives the remains of an atomic write that was interrupted', async () => {
    await disk.open(`${root}/a.tmp`, { create: true, mode: 0o600 }).then((file) => file.close());
    await disk.writeFileAtomic(`${root}/a`, bytes('x'), 0o600);
    expect(await disk.list(root)).toEqual([{ name: 'a', kind: 'file' }]);
  });

  it('fails with NotFound where nothing is', async () => {
    const missing = { code: Code.NOT_FOUND };
    await expect(disk.readFile(`${root}/none`)).rejects.toMatchObject(missing);
    await expect(disk.open(`${root}/none`, { create: false, mode: 0o600 })).rejects.toMatchObject(missing);
    await expect(disk.open(`${root}/no/where`, { create: true, mode: 0o600 })).rejects.toMatchObject(missing);
    await expect(disk.writeFileAtomic(`${root}/no/where`, bytes(''), 0o600)).rejects.toMatchObject(missing);
    await expect(disk.list(`${root}/none`)).rejects.toMatchObject(missing);
    await expect(disk.rename(`${root}/none`, `${root}/b`)).rejects.toMatchObject(missing);
    await expect(disk.syncDirectory(`${root}/none`)).rejects.toMatchObject(missing);
    await expect(disk.lock(`${root}/none`)).rejects.toMatchObject(missing);
    expect(await disk.exists(`${root}/none`)).toBe(false);
  });

  it('fails with Internal where the kind is wrong', async () => {
    const wrong = { code: Code.INTERNAL };
    await disk.writeFileAtomic(`${root}/a`, bytes('x'), 0o600);
    await expect(disk.readFile(root)).rejects.toMatchObject(wrong);
    await expect(disk.list(`${root}/a`)).rejects.toMatchObject(wrong);
    await expect(disk.makeDirectory(`${root}/a`, 0o700)).rejects.toMatchObject(wrong);
  });

  it('writes chunks one after the other and reads short only at the end', async () => {
    const file = await disk.open(`${root}/log`, { create: true, mode: 0o600 });
    await file.write(0, [bytes('abc'), bytes(''), bytes('def')]);
    await file.write(6, [bytes('ghi')]);
    await file.write(1, [bytes('BC')]);
    await file.sync();
    expect(await file.size()).toBe(9);
    expect(text(await file.read(0, 9))).toBe('aBCdefghi');
    expect(text(await file.read(6, 100))).toBe('ghi');
    expect(await file.read(9, 1)).toHaveLength(0);
    await file.close();
  });

  it('fills with zeros what lies between the end and a later write or truncation', async () => {
    const file = await disk.open(`${root}/log`, { create: true, mode: 0o600 });
    await file.write(0, [bytes('abcdef')]);
    await file.truncate(2);
    await file.write(4, [bytes('x')]);
    await file.truncate(6);
    expect([...(await file.read(0, 10))]).toEqual([97, 98, 0, 0, 120, 0]);
    await file.close();
    await expect(file.read(0, 1)).rejects.toMatchObject({ code: Code.INTERNAL });
  });

  it('keeps what stands in a file that is opened to be created', async () => {
    await disk.writeFileAtomic(`${root}/a`, bytes('kept'), 0o600);
    const file = await disk.open(`${root}/a`, { create: true, mode: 0o600 });
    expect(text(await file.read(0, 10))).toBe('kept');
    await file.close();
  });

  it('makes directories with their parents, twice without complaint, and lists sorted by name', async () => {
    await disk.makeDirectory(`${root}/x/y`, 0o700);
    await disk.makeDirectory(`${root}/x/y`, 0o700);
    for (const name of ['b', 'a', 'c']) await disk.writeFileAtomic(`${root}/x/${name}`, bytes(''), 0o600);
    expect(await disk.list(`${root}/x`)).toEqual([
      { name: 'a', kind: 'file' },
      { name: 'b', kind: 'file' },
      { name: 'c', kind: 'file' },
      { name: 'y', kind: 'directory' },
    ]);
  });

  it('renames over what is there, and removes whole trees or nothing', async () => {
    await disk.makeDirectory(`${root}/x`, 0o700);
    await disk.writeFileAtomic(`${root}/x/a`, bytes('new'), 0o600);
    await disk.writeFileAtomic(`${root}/b`, bytes('old'), 0o600);
    await disk.rename(`${root}/x/a`, `${root}/b`);
    await disk.syncDirectory(root);
    expect(text(await disk.readFile(`${root}/b`))).toBe('new');
    await disk.writeFileAtomic(`${root}/x/c`, bytes(''), 0o600);
    await disk.remove(`${root}/x`);
    await disk.remove(`${root}/x`);
    expect(await disk.exists(`${root}/x`)).toBe(false);
  });

  it('locks a directory for one holder at a time', async () => {
    const lock = await disk.lock(root);
    await expect(disk.lock(root)).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringContaining('in use by another process'),
    });
    await lock.release();
    await lock.release();
    await (await disk.lock(root)).release();
  });
});

describe('SimDisk after a crash', () => {
  async function written(): Promise<SimDisk> {
    const disk = new SimDisk();
    await disk.makeDirectory('/d', 0o700);
    await disk.syncDirectory('/');
    const file = await disk.open('/d/log', { create: true, mode: 0o600 });
    await file.write(0, [bytes('synced')]);
    await file.sync();
    await disk.syncDirectory('/d');
    await file.write(6, [bytes('-one')]);
    await file.write(10, [bytes('-two')]);
    return disk;
  }

  it('has lost what was not synced', async () => {
    const disk = await written();
    expect(text(await disk.crash().readFile('/d/log'))).toBe('synced');
    await expect(disk.readFile('/d/log')).rejects.toMatchObject({ code: Code.INTERNAL });
  });

  it('has kept it, when asked to', async () => {
    expect(text(await (await written()).crash({ kind: 'kept' }).readFile('/d/log'))).toBe('synced-one-two');
  });

  it('tears unsynced bytes wherever asked to', async () => {
    const found: string[] = [];
    for (let kept = 0; kept <= 8; kept++) {
      found.push(text(await (await written()).crash({ kind: 'torn', bytes: kept }).readFile('/d/log')));
    }
    expect(found).toEqual(Array.from({ length: 9 }, (_, kept) => `synced${'-one-two'.slice(0, kept)}`));
  });

  it('tears at random, the same for the same seed, never the synced part', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 50; seed++) {
      const crash = async (): Promise<string> =>
        text(await (await written()).crash({ kind: 'random', random: new SeededRandom(seed) }).readFile('/d/log'));
      const found = await crash();
      expect(await crash()).toBe(found);
      expect(found.startsWith('synced')).toBe(true);
      seen.add(found);
    }
    expect(seen.size).toBeGreaterThan(5);
  });

  it('has lost names whose directory was not synced, and found removed ones again', async () => {
    const disk = await written();
    await disk.writeFileAtomic('/d/atomic', bytes('x'), 0o600);
    await disk.open('/d/new', { create: true, mode: 0o600 });
    await disk.remove('/d/log');
    expect((await disk.crash().list('/d')).map((entry) => entry.name)).toEqual(['atomic', 'log']);
  });

  it('never writes again what a failed sync dropped', async () => {
    const disk = await written();
    const file = await disk.open('/d/log', { create: false, mode: 0o600 });
    disk.failNext('sync', 'EIO');
    await expect(file.sync()).rejects.toMatchObject({ code: Code.INTERNAL, details: { reason: 'EIO' } });
    await file.write(14, [bytes('!')]);
    await file.sync();
    expect(text(await disk.crash().readFile('/d/log'))).toBe('synced\0\0\0\0\0\0\0\0!');
  });

  it('writes part of what a full disk refuses', async () => {
    const disk = await written();
    const file = await disk.open('/d/log', { create: false, mode: 0o600 });
    disk.failNext('write', 'ENOSPC');
    await expect(file.write(14, [bytes('1234')])).rejects.toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
    expect(text(await file.read(0, 100))).toBe('synced-one-two12');
  });
});
