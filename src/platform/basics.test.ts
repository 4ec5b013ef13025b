import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Code, randomInt } from '../base/index.js';
import { CryptoRandom, NodeDisk, PinoLogger, SystemClock } from './index.js';

describe('SystemClock', () => {
  it('calls back no earlier than asked and not when cancelled', async () => {
    const clock = new SystemClock();
    const startMs = clock.monotonicMs();
    const cancelled = [clock.setTimer(0, () => expect.fail()), clock.setTimer(1, () => expect.fail())];
    for (const timer of cancelled) timer.cancel();
    await new Promise<void>((resolve) => clock.setTimer(3, resolve));
    expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(3);
    await new Promise<void>((resolve) => clock.setTimer(0, resolve));
  });
});

describe('CryptoRandom', () => {
  it('gives bytes and numbers in range', () => {
    const random = new CryptoRandom();
    expect(random.bytes(17)).toHaveLength(17);
    for (let i = 0; i < 1000; i++) expect([0, 1, 2]).toContain(randomInt(random, 3));
  });

  it('gives no byte out twice, however many are drawn at a time', () => {
    const random = new CryptoRandom();
    const drawn = Array.from({ length: 2000 }, () => Buffer.from(random.bytes(16)).toString('hex'));
    expect(new Set(drawn).size).toBe(drawn.length);
    const [kept, large] = [random.bytes(32), random.bytes(100_000)];
    expect(new Set(large).size).toBe(256);
    const before = Buffer.from(kept).toString('hex');
    random.bytes(4096);
    expect(Buffer.from(kept).toString('hex')).toBe(before);
  });
});

describe('PinoLogger', () => {
  it('writes one JSON line for a message of its level or above', () => {
    const lines: string[] = [];
    const log = PinoLogger.create({ level: 'info' }, { write: (line) => lines.push(line) });
    log.debug({}, 'unseen');
    log.child({ module: 'raft' }).warn({ 'node.id': 'n1' }, 'a thing happened');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { level: 'warn', time: expect.any(String), module: 'raft', 'node.id': 'n1', msg: 'a thing happened' },
    ]);
  });
});

describe('NodeDisk', () => {
  it('gives files the mode that was asked for', async () => {
    const root = await mkdtemp(join(tmpdir(), 'disk-'));
    try {
      const disk = new NodeDisk();
      await disk.writeFileAtomic(`${root}/key`, new Uint8Array([1]), 0o600);
      await disk.makeDirectory(`${root}/inner`, 0o700);
      expect((await stat(`${root}/key`)).mode & 0o777).toBe(0o600);
      expect((await stat(`${root}/inner`)).mode & 0o777).toBe(0o700);
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  });

  it('finds a directory locked by another process, names it, and free again once that was killed', async () => {
    const root = await mkdtemp(join(tmpdir(), 'disk-'));
    const script = `
      import { DatabaseSync } from 'node:sqlite';
      import { writeFileSync } from 'node:fs';
      const database = new DatabaseSync('${root}/lock');
      database.exec('BEGIN EXCLUSIVE');
      writeFileSync('${root}/lock.holder', String(process.pid));
      console.log('locked');
      setInterval(() => database.isOpen, 1000);`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(holder.stdout, 'data');
      const disk = new NodeDisk();
      await expect(disk.lock(root)).rejects.toMatchObject({
        code: Code.FAILED_PRECONDITION,
        message: expect.stringContaining(`(process ${holder.pid})`),
      });
      holder.kill('SIGKILL');
      await once(holder, 'exit');
      await (await disk.lock(root)).release();
      expect(await readdir(root)).toEqual(['lock', 'lock.holder']);
    } finally {
      holder.kill('SIGKILL');
      await rm(root, { recursive: true, force: true });
    }
  });
});
