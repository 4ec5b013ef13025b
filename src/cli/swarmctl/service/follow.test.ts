import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, test } from 'vitest';

import { TaskState, UpdateStatus_UpdateState, UpdateStatusSchema, type UpdateStatus } from '../../../api/index.js';
import { Code, SwarmError } from '../../../base/index.js';
import { TestWorld, workerNode, type Outcome } from '../world.test-helper.js';

let world: TestWorld;

beforeEach(async () => {
  world = new TestWorld();
  await world.putCluster();
  await world.put('node', workerNode('node1', 'alpha'));
});

describe('waiting for a service', () => {
  const create3 = 'service create --name web --image nginx --replicas 3';

  /** Runs a command and lets something happen each time it has looked. */
  async function waited(command: string, steps: readonly (() => Promise<void>)[]): Promise<Outcome> {
    let outcome: Outcome | undefined;
    const running = world.run(command).then((result) => (outcome = result));
    for (const step of steps) {
      await world.clock.advance(600);
      await step();
    }
    await world.clock.runUntil(() => outcome !== undefined, 60_000);
    return running;
  }

  test('prints a line for every change and ends when all runs', async () => {
    const { code, out, err } = await waited(create3, [
      () => world.putTasks(TaskState.PENDING, { err: 'no suitable node (missing plugin on 3 nodes)' }),
      () => world.putTasks(TaskState.STARTING),
      () => world.putTasks(TaskState.RUNNING),
    ]);
    expect(code).toBe(0);
    expect(out).toBe(`${world.service().id}\n`);
    expect(err).toBe(
      [
        'web: 0/3 running',
        'web: 0/3 running: 3 pending; 3 tasks pending: no suitable node (missing plugin on 3 nodes)',
        'web: 0/3 running: 3 starting',
        'web: 3/3 running',
        '',
      ].join('\n'),
    );
  });

  test('redraws a block that fits a terminal', async () => {
    world.terminal.errorColumns = 40;
    const { err } = await waited(create3, [
      () => world.putTasks(TaskState.PENDING, { err: 'no suitable node (missing plugin on 3 nodes)' }),
      () => world.putTasks(TaskState.RUNNING),
    ]);
    expect(err).toBe(
      'web: 0/3 running\n' +
        '\u001b[1A\u001b[Jweb: 0/3 running: 3 pending\n  3 tasks pending: no suitable node (m…\n' +
        '\u001b[2A\u001b[Jweb: 3/3 running\n',
    );
  });

  test('goes on when tasks start and fail again', async () => {
    const { code, err } = await waited(`${create3} --timeout 5s`, [
      () => world.putTasks(TaskState.RUNNING),
      () => world.putTasks(TaskState.FAILED, { err: 'exit 1' }),
    ]);
    expect(code).toBe(1);
    expect(err).toContain('3 tasks failed: exit 1');
  });

  test('gives up after the time that was set', async () => {
    const { code, err } = await world.runInTime(`${create3} --timeout 2s`);
    expect(code).toBe(1);
    expect(err.split('\n').at(-2)).toBe('swarmctl: service web: gave up waiting: 0/3 running');
  });

  test.each([
    [UpdateStatus_UpdateState.PAUSED, 'update paused due to failure of task t1'],
    [UpdateStatus_UpdateState.ROLLBACK_PAUSED, 'rollback paused due to failure of task t1'],
  ])('an update that stops is a failure: %s', async (state, message) => {
    await world.run(`${create3} --detach`);
    const { code, err } = await waited('service update web --image nginx:2', [
      () => world.putTasks(TaskState.RUNNING),
      () => world.put('service', { ...world.service(), updateStatus: updateStatus(state, message) }),
    ]);
    expect(code).toBe(1);
    expect(err.split('\n').at(-2)).toBe(`swarmctl: service web: ${message}`);
  });

  test('an update that was rolled back is a failure that says why it was', async () => {
    await world.run(`${create3} --detach`);
    const set = (state: UpdateStatus_UpdateState, message: string) => (): Promise<void> =>
      world.put('service', { ...world.service(), updateStatus: updateStatus(state, message) });
    const { code, err } = await waited('service update web --image nginx:2', [
      () => world.putTasks(TaskState.RUNNING),
      set(UpdateStatus_UpdateState.ROLLBACK_STARTED, 'update rolled back due to failure of task t1'),
      set(UpdateStatus_UpdateState.ROLLBACK_COMPLETED, 'rollback completed'),
    ]);
    expect(code).toBe(1);
    expect(err.split('\n').at(-2)).toBe('swarmctl: service web: update rolled back due to failure of task t1');
  });

  test('a service that is removed meanwhile is a failure', async () => {
    const { code, err } = await waited(create3, [
      () => world.store.update((tx) => tx.remove('service', world.service().id)),
    ]);
    expect(code).toBe(1);
    expect(err).toContain('was removed meanwhile');
  });

  test('an interrupt leaves the cluster to go on, says so, and gives 130', async () => {
    const { code, err } = await waited(create3, [
      async () => world.interrupt.abort(new SwarmError(Code.CANCELED, 'swarmctl was stopped')),
    ]);
    expect(code).toBe(130);
    expect(err).toContain('the cluster goes on without us: see swarmctl service ps');
  });
});

function updateStatus(state: UpdateStatus_UpdateState, message: string): UpdateStatus {
  return create(UpdateStatusSchema, { state, message });
}
