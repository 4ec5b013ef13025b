import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { DatabaseSync } from 'node:sqlite';

import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { MemoryAgentDatabase, type AgentDatabase } from '../agent/index.js';
import { TaskSchema, TaskState, TaskStatusSchema } from '../api/index.js';
import { Code } from '../base/index.js';
import { SqliteAgentDatabase } from './agent-database.js';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/agent-database-`);
  path = `${directory}/tasks.db`;
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const task = create(TaskSchema, {
  id: 'b',
  serviceId: 's',
  spec: { runtime: { case: 'container', value: { image: 'i', env: ['A=b'] } } },
  desiredState: TaskState.RUNNING,
  status: { state: TaskState.ASSIGNED },
  meta: { version: { index: 5n } },
});
const running = create(TaskStatusSchema, { state: TaskState.RUNNING, message: 'started' });

describe.each<readonly [string, () => AgentDatabase]>([
  ['in memory', () => new MemoryAgentDatabase()],
  ['in SQLite', () => new SqliteAgentDatabase(path)],
])('an agent database %s', (_name, open) => {
  it('gives back tasks without status and version, and statuses apart, by id', async () => {
    const database = open();
    await database.commit([
      { kind: 'task', task },
      { kind: 'task', task: { ...task, id: 'a' } },
      { kind: 'status', taskId: 'b', status: running },
    ]);
    const stored = await database.load();
    expect(stored.map(({ task: t, assigned }) => [t.id, assigned])).toEqual([
      ['a', true],
      ['b', true],
    ]);
    expect(stored[0]?.status).toBeUndefined();
    expect(stored[1]?.status).toEqual(running);
    expect(stored[1]?.task).toMatchObject({ serviceId: 's', desiredState: TaskState.RUNNING, spec: task.spec });
    expect(stored[1]?.task.status).toBeUndefined();
    expect(stored[1]?.task.meta).toBeUndefined();
    await database.close();
  });

  it('keeps the status when a task is assigned anew, and forgets all when it is deleted', async () => {
    const database = open();
    await database.commit([
      { kind: 'task', task },
      { kind: 'status', taskId: 'b', status: running },
      { kind: 'unassign', taskId: 'b' },
    ]);
    expect((await database.load())[0]?.assigned).toBe(false);
    await database.commit([{ kind: 'task', task: { ...task, slot: 7n } }]);
    expect((await database.load())[0]).toMatchObject({
      assigned: true,
      status: { state: TaskState.RUNNING },
      task: { slot: 7n },
    });
    await database.commit([
      { kind: 'delete', taskId: 'b' },
      { kind: 'status', taskId: 'b', status: running },
      { kind: 'unassign', taskId: 'b' },
    ]);
    expect(await database.load()).toEqual([]);
    await database.close();
  });
});

describe('the SQLite agent database', () => {
  it('has everything committed after it was opened again without being closed', async () => {
    const first = new SqliteAgentDatabase(path);
    await first.commit([
      { kind: 'task', task },
      { kind: 'status', taskId: 'b', status: running },
    ]);
    const second = new SqliteAgentDatabase(path);
    expect(await second.load()).toHaveLength(1);
    await first.close();
    await second.close();
  });

  it('writes a transaction whole or not at all', async () => {
    const database = new SqliteAgentDatabase(path);
    const broken = { ...task, id: 'broken', slot: 'no number' as never };
    await expect(
      database.commit([
        { kind: 'task', task },
        { kind: 'task', task: broken },
      ]),
    ).rejects.toMatchObject({ code: Code.INTERNAL });
    expect(await database.load()).toEqual([]);
    await database.commit([{ kind: 'task', task }]);
    expect(await database.load()).toHaveLength(1);
    await database.close();
  });

  it('can be read by its owner only', async () => {
    const database = new SqliteAgentDatabase(path);
    await database.commit([{ kind: 'task', task }]);
    for (const file of [path, `${path}-wal`]) expect(statSync(file).mode & 0o777).toBe(0o600);
    await database.close();
    await database.close();
  });

  it('refuses a newer format, saying what to do', () => {
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA user_version = 2');
    newer.close();
    expect(() => new SqliteAgentDatabase(path)).toThrow(
      expect.objectContaining({
        code: Code.FAILED_PRECONDITION,
        message: expect.stringContaining('has format 2') as string,
      }),
    );
  });

  it('refuses a damaged file, saying what to do', async () => {
    writeFileSync(path, 'this is no database, and long enough to be sure of it '.repeat(100));
    expect(() => new SqliteAgentDatabase(path)).toThrow(
      expect.objectContaining({ code: Code.DATA_LOSS, message: expect.stringContaining('move it away') as string }),
    );
    rmSync(path);
    const database = new SqliteAgentDatabase(path);
    await database.commit([{ kind: 'task', task }]);
    await database.close();
    const raw = new DatabaseSync(path);
    raw.exec("UPDATE tasks SET data = x'ffff'");
    raw.close();
    const damaged = new SqliteAgentDatabase(path);
    await expect(damaged.load()).rejects.toMatchObject({ code: Code.DATA_LOSS });
    await damaged.close();
  });

  it('says when it cannot be opened', () => {
    expect(() => new SqliteAgentDatabase(`${directory}/missing/tasks.db`)).toThrow('cannot open the task database');
  });

  it('holds ten thousand tasks', async () => {
    const database = new SqliteAgentDatabase(path);
    for (let at = 0; at < 10_000; at += 250) {
      await database.commit(
        Array.from({ length: 250 }, (_, i) => ({ kind: 'task', task: { ...task, id: `t${at + i}` } })),
      );
    }
    expect(await database.load()).toHaveLength(10_000);
    await database.close();
  });
});
