import { describe, expect, it } from 'vitest';

import { discreteResource, namedResource, resourceKind, TaskState, type GenericResource } from '../../api/index.js';
import { NodeInfo } from './node-info.js';
import { node, nodeWith, runningTask, task } from './test-objects.js';

const reserving = { spec: { resources: { reservations: { nanoCpus: 3n, memoryBytes: 5n } } } };
const free = (info: NodeInfo) => [info.freeNanoCpus, info.freeMemoryBytes];
const offering = (...generic: GenericResource[]) => node('n', { description: { resources: { generic } } });
const units = (given: readonly GenericResource[]) =>
  given.map((unit) => `${resourceKind(unit)}=${String(unit.resource.value?.value)}`);

describe('what a node has left', () => {
  it('falls with a task and returns with its removal, whatever its desired state', () => {
    const info = new NodeInfo(nodeWith('n', { nanoCpus: 10n, memoryBytes: 10n }));
    expect(info.addTask(runningTask('t', 'n', reserving))).toBe(true);
    expect(free(info)).toEqual([7, 5]);
    expect(info.addTask(runningTask('t', 'n', { ...reserving, desiredState: TaskState.SHUTDOWN }))).toBe(true);
    expect(free(info)).toEqual([7, 5]);
    expect([info.activeTasks, info.activeTasksOf('s')]).toEqual([0, 0]);
    expect(info.removeTask('t')).toBe(true);
    expect(info.removeTask('t')).toBe(false);
    expect(free(info)).toEqual([10, 10]);
    expect(info.activeTasks).toBe(0);
  });

  it('is counted anew when the node offers something else', () => {
    const info = new NodeInfo(nodeWith('n', { nanoCpus: 10n, memoryBytes: 10n }));
    info.addTask(runningTask('t', 'n', reserving));
    info.update(nodeWith('n', { nanoCpus: 20n, memoryBytes: 4n }));
    expect(free(info)).toEqual([17, -1]);
    info.update(node('n', { description: {} }));
    expect(free(info)).toEqual([-3, -5]);
  });

  it('counts a task once however often it is told of', () => {
    const info = new NodeInfo(nodeWith('n', { nanoCpus: 10n, memoryBytes: 10n }));
    info.addTask(runningTask('t', 'n', reserving));
    expect(info.addTask(runningTask('t', 'n', reserving))).toBe(false);
    expect(free(info)).toEqual([7, 5]);
    expect(info.activeTasks).toBe(1);
  });

  it('keeps a host port used until its last holder is gone', () => {
    const info = new NodeInfo(node('n'));
    const endpoint = { ports: [{ publishedPort: 80, publishMode: 1 }] };
    info.addTask(runningTask('a', 'n', { endpoint }));
    info.addTask(runningTask('b', 'n', { endpoint }));
    info.removeTask('a');
    expect(info.usesHostPort('0/80')).toBe(true);
    info.removeTask('b');
    expect(info.usesHostPort('0/80')).toBe(false);
  });
});

describe('generic resources', () => {
  it('are counted where they are numbers', () => {
    const info = new NodeInfo(offering(discreteResource('ssd', 3n)));
    const chosen = info.chooseGeneric([discreteResource('ssd', 2n)]);
    expect(units(chosen)).toEqual(['ssd=2']);
    info.addTask(runningTask('t', 'n', { assignedGenericResources: [...chosen] }));
    expect(info.hasGeneric([discreteResource('ssd', 2n)])).toBe(false);
    expect(info.hasGeneric([discreteResource('ssd', 1n)])).toBe(true);
    info.removeTask('t');
    expect(info.hasGeneric([discreteResource('ssd', 3n)])).toBe(true);
  });

  it('are picked by name where they have names, never twice', () => {
    const info = new NodeInfo(
      offering(namedResource('gpu', 'a'), namedResource('gpu', 'b'), namedResource('gpu', 'c')),
    );
    const first = info.chooseGeneric([discreteResource('gpu', 2n)]);
    expect(units(first)).toEqual(['gpu=a', 'gpu=b']);
    info.addTask(runningTask('t', 'n', { assignedGenericResources: [...first] }));
    expect(units(info.chooseGeneric([discreteResource('gpu', 1n)]))).toEqual(['gpu=c']);
    expect(info.hasGeneric([discreteResource('gpu', 2n)])).toBe(false);
    info.removeTask('t');
    expect(info.hasGeneric([discreteResource('gpu', 3n)])).toBe(true);
  });

  it('that the node no longer offers do not come back', () => {
    const info = new NodeInfo(offering(namedResource('gpu', 'a'), discreteResource('ssd', 5n)));
    info.addTask(
      runningTask('t', 'n', { assignedGenericResources: [namedResource('gpu', 'a'), discreteResource('ssd', 4n)] }),
    );
    info.update(offering(namedResource('gpu', 'b'), discreteResource('ssd', 2n)));
    expect(info.hasGeneric([discreteResource('ssd', 1n)])).toBe(false);
    info.removeTask('t');
    expect(info.hasGeneric([discreteResource('gpu', 2n)])).toBe(false);
    expect(info.hasGeneric([discreteResource('gpu', 1n), discreteResource('ssd', 2n)])).toBe(true);
    expect(info.hasGeneric([discreteResource('ssd', 3n)])).toBe(false);
  });
});

describe('failures', () => {
  it('count for five minutes, for the service and its version', () => {
    const info = new NodeInfo(node('n'));
    for (let i = 0; i < 4; i += 1) info.noteFailure(task('t'), i * 1000);
    expect(info.noteFailure(task('t'), 4000)).toBe(5);
    expect(info.recentFailures(task('other'), 4000)).toBe(5);
    expect(info.recentFailures(task('t', { specVersion: { index: 2n } }), 4000)).toBe(0);
    expect(info.recentFailures(task('t', { serviceId: 'x' }), 4000)).toBe(0);
    expect(info.recentFailures(task('t'), 301_500)).toBe(3);
    expect(info.noteFailure(task('t'), 400_000)).toBe(1);
  });

  it('are forgotten with the service', () => {
    const info = new NodeInfo(node('n'));
    info.noteFailure(task('t'), 0);
    info.forgetFailures('s');
    expect(info.recentFailures(task('t'), 0)).toBe(0);
  });
});
