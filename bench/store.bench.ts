import { create } from '@bufbuild/protobuf';

import { NodeSchema, type Node } from '../src/api/index.js';
import { by, MemoryStore, type ObjectEvent } from '../src/store/index.js';
import { Publisher } from '../src/store/publisher.js';
import { wallClock } from './clock.js';
import type { Row } from './row.js';

/** Nodes in the store before the clock starts, as in SwarmKit's benchmarks of the same names. */
const NODES = 10_000;
const RUN_MS = 200;
const OPERATIONS_MAX = 1 << 22;

/** The workloads of SwarmKit's store and watch packages, same names and parameters. */
export async function run(): Promise<Row[]> {
  return [...(await storeRows()), ...(await watchRows())];
}

async function storeRows(): Promise<Row[]> {
  return [
    await measure('CreateNode', async (count) => timed(() => newStore(count))),
    await measure('UpdateNode', updateInOne),
    await measure('UpdateNodeTransaction', updateEach),
    await measure('DeleteNodeTransaction', deleteAndUndo),
    await measure('GetNode', getEach),
    await measure('FindAllNodes', findAll),
    await measure('FindNodeByName', findByName),
    await measure('NodeConcurrency', concurrently),
  ];
}

/** Doubles the operations until a run takes long enough; `workload` returns its milliseconds. */
async function measure(name: string, workload: (count: number) => Promise<number>): Promise<Row> {
  for (let count = 1; ; count *= 2) {
    const ms = await workload(count);
    if (ms >= RUN_MS || count >= OPERATIONS_MAX) return { name, value: (ms * 1000) / count, unit: 'µs/op' };
  }
}

async function timed(run: () => unknown): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

const nodeId = (index: number): string => `id${index % NODES}`;

async function newStore(count: number): Promise<MemoryStore> {
  const store = new MemoryStore({}, { clock: wallClock });
  await store.update((tx) => {
    for (let i = 0; i < count; i += 1) {
      tx.create('node', create(NodeSchema, { id: `id${i}`, description: { hostname: `name${i}` } }));
    }
  });
  return store;
}

function changedNode(index: number, suffix: string): Node {
  const id = nodeId(index);
  return create(NodeSchema, { id, spec: { annotations: { name: `${id}_${suffix}` } } });
}

async function updateInOne(count: number): Promise<number> {
  const store = await newStore(NODES);
  let ms = 0;
  // The cost is without the commit, as there.
  await store.update((tx) => {
    const start = performance.now();
    for (let i = 0; i < count; i += 1) tx.update('node', changedNode(i, String(i)));
    ms = performance.now() - start;
  });
  return ms;
}

async function updateEach(count: number): Promise<number> {
  const store = await newStore(NODES);
  return timed(async () => {
    for (let i = 0; i < count; i += 1) await store.update((tx) => tx.update('node', changedNode(i, String(i))));
  });
}

async function deleteAndUndo(count: number): Promise<number> {
  const store = await newStore(NODES);
  const refusal = new Error('not committed, so that it can be deleted again');
  const attempt = (): Promise<void> =>
    store.update((tx) => {
      tx.remove('node', nodeId(0));
      throw refusal;
    });
  return timed(async () => {
    for (let i = 0; i < count; i += 1) await attempt().catch(() => undefined);
  });
}

async function getEach(count: number): Promise<number> {
  const store = await newStore(NODES);
  return timed(() => store.view((tx) => repeat(count, (i) => tx.get('node', nodeId(i)))));
}

async function findAll(count: number): Promise<number> {
  const store = await newStore(NODES);
  return timed(() => store.view((tx) => repeat(count, () => tx.find('node', by.all()))));
}

async function findByName(count: number): Promise<number> {
  const store = await newStore(NODES);
  return timed(() => store.view((tx) => repeat(count, (i) => tx.find('node', by.name(`name${i}`)))));
}

function repeat(count: number, operation: (index: number) => unknown): void {
  for (let i = 0; i < count; i += 1) operation(i);
}

/** Five writers and five readers. */
async function concurrently(count: number): Promise<number> {
  const store = await newStore(NODES);
  const writer = async (name: number): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      await store.update((tx) => tx.update('node', changedNode(i, `${name}_${i}`)));
    }
  };
  const reader = async (): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      store.view((tx) => tx.get('node', nodeId(i)));
      if (i % 100 === 0) await Promise.resolve();
    }
  };
  return timed(() => Promise.all([0, 1, 2, 3, 4].flatMap((name) => [writer(name), reader()])));
}

const WATCH_LOADS: readonly (readonly [listeners: number, publishers: number])[] = [
  [10, 1],
  [100, 1],
  [1000, 1],
  [10_000, 1],
  [10, 4],
  [100, 8],
  [1000, 4],
  [1000, 64],
];

async function watchRows(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const delivered of [false, true]) {
    for (const [listeners, publishers] of WATCH_LOADS) {
      const load = publishers === 1 ? `${listeners}` : `${listeners}Listeners${publishers}Publishers`;
      const name = `${delivered ? 'Watch' : 'Publish'}${load}`;
      rows.push(await measure(name, (count) => watch(listeners, publishers, delivered, count)));
    }
  }
  return rows;
}

async function watch(listeners: number, publishers: number, delivered: boolean, count: number): Promise<number> {
  const publisher = new Publisher();
  const each = Math.floor(count / publishers);
  const event: ObjectEvent = { kind: 'create', table: 'node', object: create(NodeSchema, { id: 'n' }) };
  const listening = Array.from({ length: listeners }, async () => {
    const never = new AbortController().signal;
    using subscription = publisher.subscribe({ commits: false });
    for (let seen = 0; seen < each * publishers; ) seen += (await subscription.next(never)).length;
  });
  const publishing = async (): Promise<void> => {
    for (let i = 0; i < each; i += 1) {
      publisher.publish([event], 1n);
      // Publishers and listeners take turns, as goroutines do.
      if (i % 16 === 15) await Promise.resolve();
    }
  };
  const ms = await timed(async () => {
    await Promise.all(Array.from({ length: publishers }, publishing));
    if (delivered) await Promise.all(listening);
  });
  await Promise.all(listening);
  return ms;
}
