import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { TaskSchema, TaskState, TaskStatusSchema, type TaskStatus } from '../api/index.js';
import { Code, SILENT_LOGGER, SwarmError } from '../base/index.js';
import { SimClock } from '../sim/index.js';
import { MemoryAgentDatabase, type DatabaseWrite } from './database.js';
import { Journal } from './journal.js';

const status = (state: TaskState): TaskStatus => create(TaskStatusSchema, { state });

function setUp() {
  const clock = new SimClock();
  const database = new MemoryAgentDatabase();
  const commits: (readonly DatabaseWrite[])[] = [];
  const told: string[] = [];
  const failing = { now: false };
  const commit = database.commit.bind(database);
  database.commit = async (writes) => {
    if (failing.now) throw new SwarmError(Code.RESOURCE_EXHAUSTED, 'disk full');
    commits.push(writes);
    await commit(writes);
  };
  const journal = new Journal({
    database,
    clock,
    log: SILENT_LOGGER,
    onStatus: (taskId, { state }) => told.push(`${taskId} ${TaskState[state]}`),
    onTask: () => undefined,
  });
  const controller = new AbortController();
  const running = journal.run(controller.signal);
  const stop = async (): Promise<void> => {
    controller.abort(new SwarmError(Code.CANCELED, 'over'));
    await running;
  };
  return { clock, database, commits, told, failing, journal, stop };
}

describe('the journal', () => {
  it('writes all that waits in one transaction, only the newest of each task, and then tells', async () => {
    const { clock, commits, told, journal, stop } = setUp();
    journal.putTask(create(TaskSchema, { id: 'a' }));
    journal.putStatus('a', status(TaskState.ACCEPTED));
    journal.putStatus('a', status(TaskState.PREPARING));
    journal.putTask(create(TaskSchema, { id: 'b' }));
    expect(told).toEqual([]);
    await clock.settle();
    expect(commits.map((writes) => writes.map((w) => w.kind))).toEqual([['task', 'status', 'task']]);
    expect(told).toEqual(['a PREPARING']);
    await stop();
  });

  it('keeps the order of removal and new assignment', async () => {
    const { clock, commits, database, journal, stop } = setUp();
    journal.putTask(create(TaskSchema, { id: 'a' }));
    journal.delete('a');
    journal.putTask(create(TaskSchema, { id: 'a', slot: 2n }));
    await clock.settle();
    expect(commits.flat().map((w) => w.kind)).toEqual(['delete', 'task']);
    expect((await database.load())[0]?.task.slot).toBe(2n);
    journal.unassign('a');
    await clock.settle();
    expect((await database.load())[0]?.assigned).toBe(false);
    await stop();
  });

  it('writes large amounts in slices', async () => {
    const { clock, commits, journal, stop } = setUp();
    for (let i = 0; i < 1000; i++) journal.putTask(create(TaskSchema, { id: `t${i}` }));
    await clock.advance(1);
    expect(commits.map((writes) => writes.length)).toEqual([256, 256, 256, 232]);
    await stop();
  });

  it('tells statuses once even when they cannot be stored, and stores them later', async () => {
    const { clock, database, told, failing, journal, stop } = setUp();
    failing.now = true;
    journal.putTask(create(TaskSchema, { id: 'a' }));
    journal.putStatus('a', status(TaskState.RUNNING));
    await clock.advance(5000);
    expect(told).toEqual(['a RUNNING']);
    journal.putStatus('a', status(TaskState.FAILED));
    failing.now = false;
    await clock.advance(1000);
    expect(told).toEqual(['a RUNNING', 'a FAILED']);
    expect((await database.load())[0]?.status?.state).toBe(TaskState.FAILED);
    await stop();
  });

  it('writes the rest when it is stopped', async () => {
    const { database, journal, stop } = setUp();
    journal.putTask(create(TaskSchema, { id: 'a' }));
    await stop();
    expect(await database.load()).toHaveLength(1);
  });
});
