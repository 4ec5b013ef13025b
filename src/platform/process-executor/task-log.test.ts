import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { LogStream } from '../../api/index.js';
import { directoriesOf, taskPaths, type TaskPaths } from './paths.js';
import { TaskLog, type LogCursor, type LogRecord } from './task-log.js';
import { TaskOutput, splitLines } from './task-output.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'swarmkit-log-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function record(text: string, rawEnd = 0): LogRecord {
  return { timeMs: 5, stream: LogStream.STDOUT, rawEnd, data: Buffer.from(text) };
}

async function readAll(log: TaskLog, from: LogCursor): Promise<{ texts: string[]; next: LogCursor }> {
  const texts: string[] = [];
  for (let cursor = from; ; ) {
    const { records, next } = await log.read(cursor);
    if (records.length === 0) return { texts, next };
    texts.push(...records.map(({ data }) => Buffer.from(data).toString('utf8')));
    cursor = next;
  }
}

describe('the log of a task', () => {
  it('gives back what was added, also to a later life', async () => {
    await new TaskLog(dir).append([record('a\n'), { ...record('b'), stream: LogStream.STDERR }]);
    const log = new TaskLog(dir);
    const { records } = await log.read(log.start);
    expect(records).toEqual([
      { timeMs: 5, stream: LogStream.STDOUT, rawEnd: 0, data: Buffer.from('a\n') },
      { timeMs: 5, stream: LogStream.STDERR, rawEnd: 0, data: Buffer.from('b') },
    ]);
  });

  it('keeps two files of bounded size, and readers go on from one to the other', async () => {
    const log = new TaskLog(dir, 200);
    let cursor = log.start;
    const seen: string[] = [];
    for (let line = 0; line < 50; line++) {
      await log.append([record(`line ${line}\n`)]);
      const { texts, next } = await readAll(log, cursor);
      seen.push(...texts);
      cursor = next;
    }
    expect(seen).toEqual(Array.from({ length: 50 }, (_, line) => `line ${line}\n`));
    expect(readdirSync(dir).sort()).toEqual(['log', 'log.1']);
    for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).size).toBeLessThanOrEqual(200);
  });

  it('lets a reader that fell behind go on with the oldest lines that are left', async () => {
    const log = new TaskLog(dir, 200);
    const { next } = await log.read(log.start);
    for (let line = 0; line < 50; line++) await log.append([record(`line ${line}\n`)]);
    const { texts } = await readAll(log, next);
    expect(texts.at(-1)).toBe('line 49\n');
    expect(texts.length).toBeLessThan(20);
  });

  it('passes over what a crash has left half written', async () => {
    const log = new TaskLog(dir);
    await log.append([record('whole\n')]);
    appendFileSync(join(dir, 'log'), '{"t":1,"s":\n');
    await log.append([record('after\n')]);
    expect((await readAll(log, log.start)).texts).toEqual(['whole\n', 'after\n']);
  });
});

describe('output cut into lines', () => {
  it('loses and adds nothing, whatever the pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'b\n', '\n', 'c'.repeat(20_000))), (parts) => {
        const whole = Buffer.from(parts.join(''));
        const { records, consumed } = splitLines(whole, { stream: LogStream.STDOUT, position: 7 }, 1, true);
        expect(consumed).toBe(whole.length);
        expect(Buffer.concat(records.map(({ data }) => data)).equals(whole)).toBe(true);
        for (const { data } of records) expect(data.length).toBeLessThanOrEqual(16 * 1024);
        expect(records.at(-1)?.rawEnd ?? 7).toBe(7 + whole.length);
      }),
    );
  });

  it('keeps an unfinished line back until the end', () => {
    const chunk = Buffer.from('one\ntw');
    const place = { stream: LogStream.STDERR, position: 0 };
    expect(splitLines(chunk, place, 1, false)).toMatchObject({ consumed: 4, records: [{ rawEnd: 4 }] });
    expect(splitLines(chunk, place, 1, true)).toMatchObject({ consumed: 6 });
  });
});

describe('the output of a task', () => {
  let paths: TaskPaths;
  beforeEach(() => {
    paths = {
      ...taskPaths(directoriesOf(dir, dir), 't1'),
      dir,
      stdout: join(dir, 't1.stdout'),
      stderr: join(dir, 't1.stderr'),
    };
  });

  async function texts(log: TaskLog): Promise<string[]> {
    return (await readAll(log, log.start)).texts.filter((text) => text !== '');
  }

  it('goes on where an earlier agent has stopped', async () => {
    const log = new TaskLog(dir);
    appendFileSync(paths.stdout, 'one\ntwo');
    await new TaskOutput(paths, log).read(1, false);
    appendFileSync(paths.stdout, ' and a half\nthree\n');
    const later = new TaskLog(dir);
    await new TaskOutput(paths, later).read(2, false);
    expect(await texts(later)).toEqual(['one\n', 'two and a half\n', 'three\n']);
  });

  it('empties raw files that have grown long, and goes on, also in a later life', async () => {
    const log = new TaskLog(dir, 100 * 1024 * 1024);
    const output = new TaskOutput(paths, log);
    writeFileSync(paths.stdout, `${'x'.repeat(1023)}\n`.repeat(9000));
    while (await output.read(1, false));
    expect(statSync(paths.stdout).size).toBe(0);
    appendFileSync(paths.stdout, 'next\n');
    const later = new TaskLog(dir, 100 * 1024 * 1024);
    await new TaskOutput(paths, later).read(2, false);
    const all = await texts(later);
    expect(all).toHaveLength(9001);
    expect(all.at(-1)).toBe('next\n');
  });
});
