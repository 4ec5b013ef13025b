import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';

import {
  NodeSchema,
  NodeSpec_Availability,
  NodeStatus_State,
  ServiceSchema,
  TaskSchema,
  TaskState,
  timestampFromMs,
  UpdateStatus_UpdateState,
  type Node,
  type Service,
  type Task,
} from '../../../api/index.js';
import { judgeProgress, type Progress } from './progress.js';
import { newServiceSpec } from './spec.js';

const SPEC = newServiceSpec({ name: 'web', image: 'nginx', replicas: '2' });

function service(updateState?: UpdateStatus_UpdateState, message = ''): Service {
  return create(ServiceSchema, {
    id: 's1',
    spec: SPEC,
    specVersion: { index: 5n },
    ...(updateState === undefined ? {} : { updateStatus: { state: updateState, message } }),
  });
}

let made = 0;

function task(
  slot: number,
  state: TaskState,
  extra: { desired?: TaskState; version?: bigint; err?: string } = {},
): Task {
  made++;
  const { desired = TaskState.RUNNING, version = 5n, err = '' } = extra;
  return create(TaskSchema, {
    id: `t${made}`,
    serviceId: 's1',
    meta: { createdAt: timestampFromMs(made * 1000) },
    slot: BigInt(slot),
    nodeId: 'n1',
    desiredState: desired,
    specVersion: { index: version },
    spec: version === 5n ? SPEC.task! : { forceUpdate: 99n },
    status: { state, err },
  });
}

function node(id: string, changes: { state?: NodeStatus_State; availability?: NodeSpec_Availability } = {}): Node {
  return create(NodeSchema, {
    id,
    spec: { availability: changes.availability ?? NodeSpec_Availability.ACTIVE },
    status: { state: changes.state ?? NodeStatus_State.READY },
  });
}

function judge(tasks: readonly Task[], of: Service = service(), nodes: readonly Node[] = [node('n1')]): Progress {
  return judgeProgress({ service: of, tasks, nodes }, 'forward');
}

describe('a replicated service', () => {
  test('is settled once every slot runs', () => {
    expect(judge([])).toMatchObject({ state: 'working', headline: '0/2 running' });
    expect(judge([task(1, TaskState.RUNNING), task(2, TaskState.STARTING)])).toMatchObject({
      state: 'working',
      headline: '1/2 running: 1 starting',
    });
    expect(judge([task(1, TaskState.RUNNING), task(2, TaskState.RUNNING)])).toMatchObject({
      state: 'settled',
      headline: '2/2 running',
      reasons: [],
    });
  });

  test('counts a slot once, whatever runs twice in it', () => {
    expect(judge([task(1, TaskState.RUNNING), task(1, TaskState.RUNNING)]).state).toBe('working');
  });

  test('says why tasks are pending, the most frequent reason first', () => {
    const progress = judge([
      task(1, TaskState.PENDING, { err: 'no suitable node (rare)' }),
      task(2, TaskState.PENDING, { err: 'no suitable node (missing plugin on 3 nodes)' }),
      task(3, TaskState.PENDING, { err: 'no suitable node (missing plugin on 3 nodes)' }),
    ]);
    expect(progress.reasons).toEqual([
      '2 tasks pending: no suitable node (missing plugin on 3 nodes)',
      '1 task pending: no suitable node (rare)',
    ]);
  });

  test('says why the task before failed, and counts what it does not show', () => {
    const tasks = [1, 2, 3, 4, 5].flatMap((slot) => [
      task(slot, TaskState.FAILED, { desired: TaskState.SHUTDOWN, err: `exit ${slot}` }),
      task(slot, TaskState.READY, { desired: TaskState.READY }),
    ]);
    expect(judge(tasks).reasons).toEqual([
      '1 task failed: exit 1',
      '1 task failed: exit 2',
      '1 task failed: exit 3',
      'and 2 other reasons',
    ]);
  });

  test('waits for tasks of the old spec to be replaced and to stop', () => {
    const old = [task(1, TaskState.RUNNING, { version: 3n }), task(2, TaskState.RUNNING, { version: 3n })];
    expect(judge(old)).toMatchObject({ state: 'working', headline: '0/2 running: 2 to be replaced' });
    const fresh = [task(1, TaskState.RUNNING), task(2, TaskState.RUNNING)];
    const leaving = task(2, TaskState.RUNNING, { version: 3n, desired: TaskState.SHUTDOWN });
    expect(judge([...fresh, leaving])).toMatchObject({ state: 'working', headline: '2/2 running: 1 stopping' });
  });

  test('does not wait for a node that is down, nor for tasks that never reached one', () => {
    const fresh = [task(1, TaskState.RUNNING), task(2, TaskState.RUNNING)];
    const leaving = task(3, TaskState.RUNNING, { desired: TaskState.REMOVE });
    expect(judge([...fresh, leaving], service(), [node('n1', { state: NodeStatus_State.DOWN })]).state).toBe('settled');
    const never = task(3, TaskState.PENDING, { desired: TaskState.SHUTDOWN });
    expect(judge([...fresh, never]).state).toBe('settled');
  });

  test('is not settled with more tasks than wanted', () => {
    expect(judge([1, 2, 3].map((slot) => task(slot, TaskState.RUNNING))).state).toBe('working');
  });

  test('is settled by tasks that completed and are not to run again', () => {
    const ended = [1, 2].map((slot) => task(slot, TaskState.COMPLETE, { desired: TaskState.SHUTDOWN }));
    expect(judge(ended)).toMatchObject({ state: 'settled', headline: '0/2 running: 2 completed' });
  });

  test('has failed when the rest of its tasks failed and none follows', () => {
    const failed = task(2, TaskState.FAILED, { desired: TaskState.SHUTDOWN, err: 'exit 1' });
    expect(judge([task(1, TaskState.STARTING), failed]).state).toBe('working');
    expect(judge([task(1, TaskState.RUNNING), failed])).toMatchObject({
      state: 'failed',
      failure: '1 task failed and will not be restarted',
      reasons: ['1 task failed: exit 1'],
    });
  });
});

describe('an update', () => {
  const running = [task(1, TaskState.RUNNING), task(2, TaskState.RUNNING)];

  test('is waited for while it is monitored', () => {
    expect(judge(running, service(UpdateStatus_UpdateState.UPDATING))).toMatchObject({
      state: 'working',
      headline: '2/2 running, updating',
    });
    expect(judge(running, service(UpdateStatus_UpdateState.COMPLETED)).state).toBe('settled');
  });

  test('has failed when it is paused or was rolled back', () => {
    const paused = service(UpdateStatus_UpdateState.PAUSED, 'update paused due to failure');
    expect(judge(running, paused)).toMatchObject({ state: 'failed', failure: 'update paused due to failure' });
    expect(judge(running, service(UpdateStatus_UpdateState.ROLLBACK_STARTED))).toMatchObject({
      state: 'working',
      headline: '2/2 running, rolling back',
    });
    expect(judge(running, service(UpdateStatus_UpdateState.ROLLBACK_COMPLETED))).toMatchObject({ state: 'failed' });
    expect(judge(running, service(UpdateStatus_UpdateState.ROLLBACK_PAUSED, 'r')).state).toBe('failed');
  });

  test('that goes back was asked for by a rollback', () => {
    const view = { service: service(UpdateStatus_UpdateState.ROLLBACK_COMPLETED), tasks: running, nodes: [node('n1')] };
    expect(judgeProgress(view, 'rollback').state).toBe('settled');
  });
});

describe('a global service', () => {
  const spec = newServiceSpec({ name: 'agent', image: 'a', mode: 'global', constraint: ['node.id!=n3'] });
  const global = create(ServiceSchema, { id: 's1', spec, specVersion: { index: 5n } });
  const on = (nodeId: string, state: TaskState): Task => ({ ...task(0, state), nodeId });

  test('is to run on every node that is up, active and fits', () => {
    const nodes = [
      node('n1'),
      node('n2'),
      node('n3'),
      node('n4', { state: NodeStatus_State.DOWN }),
      node('n5', { availability: NodeSpec_Availability.DRAIN }),
    ];
    expect(judge([on('n1', TaskState.RUNNING)], global, nodes)).toMatchObject({
      state: 'working',
      headline: '1/2 running',
    });
    expect(judge([on('n1', TaskState.RUNNING), on('n2', TaskState.RUNNING)], global, nodes).state).toBe('settled');
  });
});
