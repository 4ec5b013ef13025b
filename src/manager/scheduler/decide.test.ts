import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { PortConfig_PublishMode, taskState, TaskState, type Node, type Service, type Task } from '../../api/index.js';
import { ClusterState } from './cluster-state.js';
import { decide, type Decision } from './decide.js';
import { NO_CHANCE, node, nodeWith, runningTask, service, task, type TaskInit } from './test-objects.js';

function stateOf(nodes: readonly Node[], tasks: readonly Task[]): ClusterState {
  const state = new ClusterState();
  for (const object of nodes) state.apply({ kind: 'create', table: 'node', object }, 0);
  for (const object of tasks) state.apply({ kind: 'create', table: 'task', object }, 0);
  return state;
}

function decisions(state: ClusterState, services: readonly Service[] = [service('s')], nowMs = 0): Decision[] {
  const find = (id: string): Service | undefined => services.find((each) => each.id === id);
  return [...decide(state, { nowMs, random: NO_CHANCE, service: find })].flatMap((group) => group.decisions);
}

/** Decisions as `task>node`, `task!error` and `task-`. */
function short(given: readonly Decision[]): readonly string[] {
  return given.map((decision) => {
    if (decision.kind === 'assign') return `${decision.task.id}>${decision.nodeId}`;
    return decision.kind === 'refuse' ? `${decision.task.id}!${decision.error}` : `${decision.task.id}-`;
  });
}

const tasks = (count: number, init: TaskInit = {}): readonly Task[] =>
  Array.from({ length: count }, (_, index) => task(`t${index}`, init));

/** Number of assignments by node. */
function counts(given: readonly Decision[]): Readonly<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const each of given) if (each.kind === 'assign') found[each.nodeId] = (found[each.nodeId] ?? 0) + 1;
  return found;
}

const running = (count: number, nodeId: string, init: TaskInit = {}): readonly Task[] =>
  Array.from({ length: count }, (_, index) =>
    runningTask(`r-${nodeId}-${init.serviceId ?? ''}-${index}`, nodeId, init),
  );

describe('ranking', () => {
  it('prefers the node with fewer tasks of the service, then with fewer tasks of all', () => {
    const nodes = [node('a'), node('b'), node('c')];
    const before = [...running(1, 'a'), ...running(3, 'b', { serviceId: 'x' }), ...running(2, 'c', { serviceId: 'x' })];
    expect(short(decisions(stateOf(nodes, [...before, ...tasks(4)])))).toEqual(['t0>c', 't1>b', 't2>a', 't3>c']);
  });

  it('counts tasks that are meant to run, not those that are being stopped', () => {
    const stopping = running(3, 'a', { desiredState: TaskState.SHUTDOWN });
    const found = decisions(stateOf([node('a'), node('b')], [...stopping, ...running(1, 'b'), ...tasks(1)]));
    expect(short(found)).toEqual(['t0>a']);
  });

  it('avoids a node where the version failed five times in five minutes, unless all did', () => {
    const state = stateOf([node('a'), node('b')], [...running(5, 'a'), ...running(6, 'b')]);
    for (const each of running(5, 'a')) fail(state, each, 1000);
    state.apply({ kind: 'create', table: 'task', object: task('t0') }, 0);
    expect(short(decisions(state, [service('s')], 2000))).toEqual(['t0>b']);
    for (const each of running(6, 'b')) fail(state, each, 3000);
    state.apply({ kind: 'create', table: 'task', object: task('t1') }, 0);
    expect(short(decisions(state, [service('s')], 4000))).toEqual(['t1>a']);
    state.apply({ kind: 'create', table: 'task', object: task('t2', { specVersion: { index: 2n } }) }, 0);
    expect(short(decisions(state, [service('s', 2n)], 4000))).toEqual(['t2>a']);
    state.apply({ kind: 'create', table: 'task', object: task('t3') }, 0);
    expect(short(decisions(state, [service('s')], 400_000))).toEqual(['t3>b']);
  });

  it('does not hold failures of tasks that came with their node against it', () => {
    const state = stateOf([node('a'), node('b')], [...running(5, 'b')]);
    for (let i = 0; i < 5; i += 1) {
      const own = task(`own${i}`, { nodeId: 'a' });
      state.apply({ kind: 'create', table: 'task', object: own }, 0);
      fail(state, own, 0);
    }
    state.apply({ kind: 'create', table: 'task', object: task('t0') }, 0);
    expect(short(decisions(state))).toEqual(['t0>a']);
  });

  it('forgets failures with the service', () => {
    const state = stateOf([node('a'), node('b')], [...running(5, 'a'), ...running(1, 'b')]);
    for (const each of running(5, 'a')) fail(state, each, 0);
    state.apply({ kind: 'remove', table: 'service', object: service('s') }, 0);
    state.apply({ kind: 'create', table: 'task', object: task('t0') }, 0);
    expect(short(decisions(state))).toEqual(['t0>a']);
  });
});

function fail(state: ClusterState, object: Task, nowMs: number): void {
  const failed = { ...object, status: { ...object.status!, state: TaskState.FAILED } };
  state.apply({ kind: 'update', table: 'task', object: failed, oldObject: object }, nowMs);
}

const labelled = (id: string, zone?: string, rack?: string): Node => ({
  ...node(id),
  spec: {
    ...node(id).spec!,
    annotations: { name: '', indices: [], $typeName: 'docker.swarmkit.v1.Annotations', labels: labels({ zone, rack }) },
  },
});

function labels(given: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

const spreadingOver = (...descriptors: readonly string[]): TaskInit => ({
  spec: {
    placement: {
      preferences: descriptors.map((spreadDescriptor) => ({
        Preference: { case: 'spread', value: { spreadDescriptor } },
      })),
    },
  },
});

describe('spreading', () => {
  const zones = [labelled('a1', 'a'), labelled('a2', 'a'), labelled('a3', 'a'), labelled('b1', 'b'), labelled('none')];

  it('evens the tasks over the values of a label, none being a value', () => {
    const found = counts(decisions(stateOf(zones, tasks(9, spreadingOver('node.labels.zone')))));
    expect(found).toEqual({ a1: 1, a2: 1, a3: 1, b1: 3, none: 3 });
  });

  it('counts what the service has already', () => {
    const before = running(3, 'b1');
    const found = counts(decisions(stateOf(zones, [...before, ...tasks(6, spreadingOver('Node.Labels.zone'))])));
    expect(found).toEqual({ a1: 1, a2: 1, a3: 1, none: 3 });
  });

  it('descends over several levels', () => {
    const nodes = [
      labelled('a1', 'a', '1'),
      labelled('a2', 'a', '1'),
      labelled('a3', 'a', '2'),
      labelled('b1', 'b', '1'),
    ];
    const wanted = tasks(8, spreadingOver('node.labels.zone', 'node.labels.rack'));
    expect(counts(decisions(stateOf(nodes, wanted)))).toEqual({ a1: 1, a2: 1, a3: 2, b1: 4 });
  });

  it('gives to other branches what one has no room for', () => {
    const spec = { placement: { ...spreadingOver('node.labels.zone').spec!.placement, maxReplicas: 2n } };
    const found = decisions(stateOf(zones, tasks(11, { spec })));
    expect(counts(found)).toEqual({ a1: 2, a2: 2, a3: 2, b1: 2, none: 2 });
    expect(short(found).at(-1)).toBe('t10!no suitable node (max replicas per node limit exceed)');
  });

  it('knows labels of the engine and passes over what it does not know', () => {
    const engine = (id: string, zone: string): Node => node(id, { description: { engine: { labels: { zone } } } });
    const nodes = [engine('a1', 'a'), engine('a2', 'a'), engine('b1', 'b')];
    expect(counts(decisions(stateOf(nodes, tasks(4, spreadingOver('engine.labels.zone')))))).toEqual({
      a1: 1,
      a2: 1,
      b1: 2,
    });
    const unknown = spreadingOver('node.hostname', 'node.labels.', 'x');
    expect(counts(decisions(stateOf(nodes, tasks(3, unknown))))).toEqual({ a1: 1, a2: 1, b1: 1 });
  });
});

describe('tasks that find no node', () => {
  const reserving: TaskInit = { spec: { resources: { reservations: { memoryBytes: 4n } } } };

  it('are told why, and are tried again only when there is more room', () => {
    const state = stateOf([nodeWith('a', { memoryBytes: 4n })], tasks(2, reserving));
    const why = 't1!no suitable node (insufficient resources on 1 node)';
    expect(short(decisions(state))).toEqual(['t0>a', why]);
    expect(state.hasWork).toBe(false);
    state.apply({ kind: 'create', table: 'node', object: nodeWith('b', { memoryBytes: 1n }) }, 0);
    expect(short(decisions(state))).toEqual(['t1!no suitable node (insufficient resources on 2 nodes)']);
    state.apply({ kind: 'remove', table: 'task', object: task('t0') }, 0);
    expect(short(decisions(state))).toEqual(['t1>a']);
    expect(state.hasWork).toBe(false);
  });

  it('are told so when there are no nodes at all', () => {
    expect(short(decisions(stateOf([], tasks(1))))).toEqual(['t0!no suitable node']);
  });

  it('are dropped in silence when their service is gone or has a newer version', () => {
    const state = stateOf([], tasks(1));
    expect(decisions(state, [])).toEqual([]);
    const other = stateOf([], tasks(1));
    expect(decisions(other, [service('s', 2n)])).toEqual([]);
    expect([state.hasWork, other.hasWork]).toEqual([false, false]);
  });

  it('that are not meant to run any more are shut down, or left to be removed', () => {
    const state = stateOf(
      [node('a')],
      [task('stop', { desiredState: TaskState.SHUTDOWN }), task('go', { desiredState: TaskState.REMOVE })],
    );
    expect(short(decisions(state))).toEqual(['stop-']);
  });

  it('of jobs are placed: they are meant to complete', () => {
    expect(short(decisions(stateOf([node('a')], tasks(1, { desiredState: TaskState.COMPLETE }))))).toEqual(['t0>a']);
  });
});

describe('tasks with a node of their own', () => {
  it('are decided first, and say how they got their node', () => {
    const spec: TaskInit = { spec: { placement: { maxReplicas: 1n } } };
    const state = stateOf([node('a')], [task('t0', spec), task('own', { ...spec, nodeId: 'a' })]);
    const found = decisions(state);
    expect(short(found)).toEqual(['own>a', 't0!no suitable node (max replicas per node limit exceed)']);
    expect(found[0]?.kind === 'assign' && found[0].message).toBe(
      'scheduler confirmed task can run on preassigned node',
    );
  });

  it('wait there when they do not fit, told why without more words', () => {
    const spec: TaskInit = { spec: { resources: { reservations: { nanoCpus: 2n } } } };
    const state = stateOf(
      [nodeWith('a', { nanoCpus: 1n }), nodeWith('b', { nanoCpus: 9n })],
      [task('t', { ...spec, nodeId: 'a' })],
    );
    expect(short(decisions(state))).toEqual(['t!insufficient resources on 1 node']);
    state.apply({ kind: 'update', table: 'node', object: nodeWith('a', { nanoCpus: 2n }), oldObject: node('a') }, 0);
    expect(short(decisions(state))).toEqual(['t>a']);
  });

  it('wait for a node that is not known', () => {
    const state = stateOf([], [task('t', { nodeId: 'a' })]);
    expect(decisions(state)).toEqual([]);
    state.apply({ kind: 'create', table: 'node', object: node('a') }, 0);
    expect(short(decisions(state))).toEqual(['t>a']);
  });
});

describe('groups', () => {
  it('that are large are decided in chunks, so that others get a turn', () => {
    const state = stateOf(
      [nodeWith('a', { memoryBytes: 600n })],
      tasks(900, { spec: { resources: { reservations: { memoryBytes: 1n } } } }),
    );
    const chunks = [...decide(state, { nowMs: 0, random: NO_CHANCE, service: () => service('s') })];
    expect(Math.max(...chunks.map((chunk) => chunk.decisions.length))).toBe(250);
    const all = chunks.flatMap((chunk) => chunk.decisions);
    expect([all.length, all.filter((each) => each.kind === 'assign').length]).toEqual([900, 600]);
  });

  it('are tasks of one service and version; without versions, those that ask for the same', () => {
    const big: TaskInit = { spec: { resources: { reservations: { memoryBytes: 9n } } } };
    const wanted = [
      task('v1'),
      task('v2', { specVersion: { index: 2n } }),
      { ...task('x1'), specVersion: undefined },
      { ...task('x2', big), specVersion: undefined },
      { ...task('x3'), specVersion: undefined },
    ] as Task[];
    const state = stateOf([nodeWith('a', {})], wanted);
    const groups = [...decide(state, { nowMs: 0, random: NO_CHANCE, service: () => service('s', 2n) })];
    expect(groups.filter((group) => group.decisions.length > 0).map((group) => short(group.decisions))).toEqual([
      ['v1>a'],
      ['v2>a'],
      ['x1>a', 'x3>a'],
      ['x2!no suitable node (insufficient resources on 1 node)'],
    ]);
  });
});

describe('assignments in flight', () => {
  it('hold their room, are not decided again, and give it back when they fail', () => {
    const spec: TaskInit = { spec: { resources: { reservations: { nanoCpus: 1n } } } };
    const state = stateOf([nodeWith('a', { nanoCpus: 1n })], [task('t0', spec)]);
    decisions(state);
    state.apply({ kind: 'update', table: 'task', object: task('t0', spec), oldObject: task('t0', spec) }, 0);
    expect(state.hasWork).toBe(false);
    state.apply({ kind: 'create', table: 'task', object: task('t1', spec) }, 0);
    expect(short(decisions(state))).toEqual(['t1!no suitable node (insufficient resources on 1 node)']);
    state.takeBack('t0', undefined, 0);
    expect(state.hasWork).toBe(false);
    state.apply({ kind: 'create', table: 'task', object: task('t2') }, 0);
    expect(short(decisions(state))).toContain('t1>a');
  });

  it('give room to others at the next event, whatever that is', () => {
    const spec: TaskInit = { spec: { resources: { reservations: { nanoCpus: 1n } } } };
    const state = stateOf([nodeWith('a', { nanoCpus: 1n })], tasks(2, spec));
    decisions(state);
    state.takeBack('t0', undefined, 0);
    expect(state.hasWork).toBe(false);
    state.apply({ kind: 'remove', table: 'service', object: service('x') }, 0);
    expect(short(decisions(state))).toEqual(['t1>a']);
  });

  it('stay where they are when the node leaves and comes back', () => {
    const spec: TaskInit = { spec: { resources: { reservations: { nanoCpus: 1n } } } };
    const state = stateOf([nodeWith('a', { nanoCpus: 1n })], [runningTask('r', 'a', spec)]);
    state.apply({ kind: 'remove', table: 'node', object: node('a') }, 0);
    expect(state.nodes).toEqual([]);
    state.apply({ kind: 'create', table: 'node', object: nodeWith('a', { nanoCpus: 1n }) }, 0);
    expect(state.node('a')?.freeNanoCpus).toBe(0);
    state.apply({ kind: 'remove', table: 'task', object: runningTask('r', 'a', spec) }, 0);
    expect(state.node('a')?.freeNanoCpus).toBe(1);
  });
});

const port = (publishedPort: number) => ({ publishedPort, publishMode: PortConfig_PublishMode.HOST });
const generatedTask = fc.record({
  serviceId: fc.constantFrom('s', 'x', 'y'),
  memoryBytes: fc.bigInt(0n, 4n),
  nanoCpus: fc.bigInt(0n, 3n),
  port: fc.option(fc.constantFrom(80, 81)),
  maxReplicas: fc.bigInt(0n, 3n),
  spread: fc.boolean(),
});
const generatedStep = fc.oneof(
  { weight: 5, arbitrary: generatedTask },
  { weight: 1, arbitrary: fc.record({ ends: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ fails: fc.nat(50) }) },
);

describe('whatever tasks come and go', () => {
  it('no node ever holds more memory, CPUs, replicas or host ports than it may', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.bigInt(0n, 12n), fc.bigInt(0n, 9n)), { minLength: 1, maxLength: 5 }),
        fc.array(fc.array(generatedStep, { maxLength: 8 }), { maxLength: 8 }),
        (capacities, rounds) => {
          const nodes = capacities.map(([memoryBytes, nanoCpus], index) =>
            nodeWith(`n${index}`, { memoryBytes, nanoCpus }),
          );
          const state = stateOf(nodes, []);
          const placed = new Map<string, Task>();
          let serial = 0;
          for (const round of rounds) {
            for (const step of round) {
              if ('serviceId' in step) {
                const { serviceId, memoryBytes, nanoCpus, maxReplicas } = step;
                const object = task(`t${serial}`, {
                  serviceId,
                  specVersion: { index: BigInt(serial) },
                  spec: {
                    resources: { reservations: { memoryBytes, nanoCpus } },
                    placement: {
                      maxReplicas,
                      preferences: step.spread
                        ? [{ Preference: { case: 'spread', value: { spreadDescriptor: 'node.labels.z' } } }]
                        : [],
                    },
                  },
                  ...(step.port === null ? {} : { endpoint: { ports: [port(step.port)] } }),
                });
                serial += 1;
                state.apply({ kind: 'create', table: 'task', object }, 0);
              } else {
                const victim = [...placed.values()]['ends' in step ? step.ends : step.fails];
                if (victim === undefined) continue;
                placed.delete(victim.id);
                if ('ends' in step) state.apply({ kind: 'remove', table: 'task', object: victim }, 0);
                else fail(state, victim, 0);
              }
            }
            for (const decision of decisions(state, [service('s'), service('x'), service('y')])) {
              if (decision.kind !== 'assign') continue;
              const limit = Number(decision.task.spec?.placement?.maxReplicas ?? 0n);
              const alike = [...placed.values()].filter(
                (each) => each.nodeId === decision.nodeId && each.serviceId === decision.task.serviceId,
              );
              if (limit > 0) expect(alike.length).toBeLessThan(limit);
              placed.set(
                decision.task.id,
                runningTask(decision.task.id, decision.nodeId, { ...initOf(decision.task) }),
              );
              state.confirm(decision.task.id);
              const object = placed.get(decision.task.id)!;
              state.apply({ kind: 'update', table: 'task', object, oldObject: decision.task }, 0);
            }
            checkNodes(capacities, [...placed.values()]);
          }
          for (const [index, [memoryBytes, nanoCpus]] of capacities.entries()) {
            const info = state.node(`n${index}`)!;
            const here = [...placed.values()].filter((each) => each.nodeId === `n${index}`);
            expect(info.freeMemoryBytes).toBe(Number(memoryBytes) - total(here, 'memoryBytes'));
            expect(info.freeNanoCpus).toBe(Number(nanoCpus) - total(here, 'nanoCpus'));
            expect(info.activeTasks).toBe(here.length);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

function initOf(given: Task): TaskInit {
  const { serviceId, spec, specVersion, endpoint } = given;
  return { serviceId, ...(spec && { spec }), ...(specVersion && { specVersion }), ...(endpoint && { endpoint }) };
}

function total(given: readonly Task[], what: 'memoryBytes' | 'nanoCpus'): number {
  return given.reduce((sum, each) => sum + Number(each.spec?.resources?.reservations?.[what] ?? 0n), 0);
}

function checkNodes(capacities: readonly (readonly [bigint, bigint])[], placed: readonly Task[]): void {
  for (const [index, [memoryBytes, nanoCpus]] of capacities.entries()) {
    const here = placed.filter((each) => each.nodeId === `n${index}`);
    expect(here.every((each) => taskState(each) === TaskState.RUNNING)).toBe(true);
    expect(total(here, 'memoryBytes')).toBeLessThanOrEqual(Number(memoryBytes));
    expect(total(here, 'nanoCpus')).toBeLessThanOrEqual(Number(nanoCpus));
    const ports = here.flatMap((each) => each.endpoint?.ports.map((used) => used.publishedPort) ?? []);
    expect(new Set(ports).size).toBe(ports.length);
  }
}
