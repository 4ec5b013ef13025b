import { create } from '@bufbuild/protobuf';

import {
  NodeSchema,
  NodeStatus_State,
  ServiceSchema,
  taskState,
  TaskSchema,
  TaskState,
  VersionSchema,
  type Node,
  type Task,
} from '../src/api/index.js';
import { SILENT_LOGGER, type Random } from '../src/base/index.js';
import { Scheduler } from '../src/manager/scheduler/index.js';
import { MemoryStore, type Subscription } from '../src/store/index.js';
import { wallClock } from './clock.js';
import type { Row } from './row.js';

/** SwarmKit's parameters, up to what fits a run: nodes × tasks. */
const LOADS: readonly (readonly [nodes: number, tasks: number])[] = [
  [1000, 1000],
  [1000, 10_000],
  [1000, 100_000],
  [100_000, 1000],
  [100_000, 100_000],
];

const CONSTRAINED: readonly (readonly [nodes: number, tasks: number])[] = [
  [1000, 1000],
  [1000, 10_000],
  [1000, 100_000],
  [5000, 100_000],
];

type Kind = 'ungrouped' | 'constraints' | 'grouped' | 'services';

/**
 * SwarmKit's scheduler benchmarks (tasks without a spec version), and beside them what users see: one service
 * with a spec version, and many small services. From the last write to the last assignment, commits included.
 */
export async function run(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [nodes, tasks] of LOADS) rows.push(await measure('ungrouped', nodes, tasks));
  for (const [nodes, tasks] of CONSTRAINED) rows.push(await measure('constraints', nodes, tasks));
  for (const [nodes, tasks] of LOADS) rows.push(await measure('grouped', nodes, tasks));
  for (const [nodes, tasks] of LOADS.slice(0, 2)) rows.push(await measure('services', nodes, tasks));
  return rows;
}

async function measure(kind: Kind, nodes: number, tasks: number): Promise<Row> {
  const store = new MemoryStore({}, { clock: wallClock });
  const scheduler = new Scheduler({}, { store, clock: wallClock, random: mathRandom, log: SILENT_LOGGER });
  const controller = new AbortController();
  using updates = store.watch({ tables: ['task'], commits: false, filter: (event) => event.kind === 'update' });
  const running = scheduler.run(controller.signal);
  let start = 0;
  await store.update((tx) => {
    for (let i = 0; i < nodes; i += 1) tx.create('node', nodeOf(i));
    if (kind === 'grouped') tx.create('service', create(ServiceSchema, { id: 'service' }));
    for (let i = 0; i < tasks; i += 1) tx.create('task', taskOf(kind, i));
    start = performance.now();
  });
  await allAssigned(updates, tasks);
  const ms = performance.now() - start;
  controller.abort();
  await running;
  return { name: `Scheduler ${kind} ${nodes} nodes ${tasks} tasks`, value: ms, unit: 'ms' };
}

async function allAssigned(updates: Subscription, tasks: number): Promise<void> {
  const never = new AbortController().signal;
  for (let assigned = 0; assigned < tasks; ) {
    for (const event of await updates.next(never)) {
      if (event.kind === 'update' && event.table === 'task' && taskState(event.object) === TaskState.ASSIGNED) {
        assigned += 1;
      }
    }
  }
}

function nodeOf(index: number): Node {
  return create(NodeSchema, {
    id: `node${index}`,
    spec: { annotations: { name: `name${index}` } },
    status: { state: NodeStatus_State.READY },
    description: { engine: { plugins: index % 3 === 0 ? [{ type: 'Network', name: 'network' }] : [] } },
  });
}

/** Services of five tasks in the kind `services`, one for all in `grouped`, none otherwise. */
function taskOf(kind: Kind, index: number): Task {
  const id = `task${index}`;
  const task = create(TaskSchema, {
    id,
    desiredState: TaskState.RUNNING,
    serviceAnnotations: { name: id },
    status: { state: TaskState.PENDING },
    networks: kind === 'constraints' ? [{ network: { driverState: { name: 'network' } } }] : [],
  });
  const specVersion = create(VersionSchema, { index: 1n });
  if (kind === 'grouped') return { ...task, serviceId: 'service', specVersion };
  if (kind === 'services') return { ...task, serviceId: `service${Math.floor(index / 5)}`, specVersion };
  return task;
}

const mathRandom: Random = {
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  float: () => Math.random(),
};
