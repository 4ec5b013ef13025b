import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { ServiceSchema, TaskState, type ServiceSpecSchema } from '../../api/index.js';
import { CALL, fixture, task, type Fixture, type Init } from './test-fixture.js';

type Mode = Init<typeof ServiceSpecSchema>['mode'];

const { RUNNING, COMPLETE, SHUTDOWN, FAILED, ASSIGNED } = TaskState;

async function withService(mode: Mode, iteration?: bigint): Promise<Fixture> {
  const f = fixture();
  const job = iteration === undefined ? {} : { jobStatus: { jobIteration: { index: iteration } } };
  await f.put(
    'service',
    create(ServiceSchema, { id: 's1', spec: { annotations: { name: 's1' }, mode: mode! }, ...job }),
  );
  return f;
}

async function addTasks(f: Fixture, tasks: readonly (readonly [TaskState, TaskState, bigint?])[]): Promise<void> {
  for (const [at, [state, desiredState, iteration]] of tasks.entries()) {
    const job = iteration === undefined ? {} : { jobIteration: { index: iteration } };
    await f.put('task', task(`t${at}`, { serviceId: 's1', status: { state }, desiredState, ...job }));
  }
}

async function counts(f: Fixture): Promise<readonly bigint[]> {
  const { statuses } = await f.control.listServiceStatuses({ services: ['s1'] }, CALL);
  const [status] = statuses;
  return [status!.desiredTasks, status!.runningTasks, status!.completedTasks];
}

describe('listServiceStatuses', () => {
  it('counts what a replicated service declares and runs', async () => {
    const f = await withService({ case: 'replicated', value: { replicas: 5n } });
    await addTasks(f, [
      [RUNNING, RUNNING],
      [RUNNING, SHUTDOWN],
      [ASSIGNED, RUNNING],
      [FAILED, SHUTDOWN],
    ]);
    expect(await counts(f)).toEqual([5n, 2n, 0n]);
  });

  it('counts tasks that a global service is to run', async () => {
    const f = await withService({ case: 'global', value: {} });
    await addTasks(f, [
      [RUNNING, RUNNING],
      [ASSIGNED, RUNNING],
      [RUNNING, SHUTDOWN],
    ]);
    expect(await counts(f)).toEqual([2n, 2n, 0n]);
  });

  it('counts only the present iteration of a replicated job', async () => {
    const f = await withService({ case: 'replicatedJob', value: { maxConcurrent: 3n, totalCompletions: 9n } }, 2n);
    await addTasks(f, [
      [COMPLETE, COMPLETE, 2n],
      [COMPLETE, COMPLETE, 1n],
      [RUNNING, COMPLETE, 2n],
      [RUNNING, COMPLETE],
    ]);
    expect(await counts(f)).toEqual([3n, 1n, 1n]);
  });

  it('counts tasks of a global job that have not completed yet', async () => {
    const f = await withService({ case: 'globalJob', value: {} }, 0n);
    await addTasks(f, [
      [COMPLETE, COMPLETE, 0n],
      [RUNNING, COMPLETE, 0n],
      [ASSIGNED, COMPLETE, 0n],
      [FAILED, SHUTDOWN, 0n],
    ]);
    expect(await counts(f)).toEqual([2n, 1n, 1n]);
  });

  it('answers zeros for unknown services, and what still runs of removed ones', async () => {
    const f = fixture();
    expect(await counts(f)).toEqual([0n, 0n, 0n]);
    await addTasks(f, [[RUNNING, SHUTDOWN]]);
    expect(await counts(f)).toEqual([0n, 1n, 0n]);
    expect((await f.control.listServiceStatuses({}, CALL)).statuses).toEqual([]);
  });

  it('looks only at tasks of the services asked for, in the order asked', async () => {
    const f = fixture({}, { sliceMs: 0 });
    const { statuses } = await f.control.listServiceStatuses({ services: ['b', 'a'] }, CALL);
    expect(statuses.map(({ serviceId }) => serviceId)).toEqual(['b', 'a']);
    expect(f.lookups).toEqual([
      { table: 'task', by: { kind: 'service', serviceId: 'b' } },
      { table: 'task', by: { kind: 'service', serviceId: 'a' } },
    ]);
    expect(f.yields()).toBe(0);
    await addTasks(
      f,
      Array.from({ length: 64 }, () => [RUNNING, RUNNING] as const),
    );
    await f.control.listServiceStatuses({ services: ['s1', 'b', 's1'] }, CALL);
    expect(f.yields()).toBe(2);
  });
});
