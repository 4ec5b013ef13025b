import { epochMs } from './agent-messages.js';
import { Load } from './converge.js';
import type { LoopDelays, Manager, ManagerKind } from './manager.js';
import type { Row } from './row.js';
import { median, ofEach, Surroundings } from './surroundings.js';

const AGENTS = 100;
const TASKS = selectedTasks();

/** How long each list is read again and again, in milliseconds. */
const READING_MS = 5_000;

const LISTS = ['/services', '/services?status=true', '/tasks', '/nodes'];

interface Reading {
  readonly p50Ms: number;
  readonly cpuMs: number;
  /** Of ours only. */
  readonly delays: LoopDelays | undefined;
}

/** How long lists take with many tasks, and how long reading them holds our event loop. */
export async function run(): Promise<Row[]> {
  await using surroundings = await Surroundings.create();
  const { ours, stock } = await ofEach(surroundings, (kind) => measure(surroundings, kind));
  return LISTS.flatMap((path, index) => {
    const [mine, theirs] = [ours[index], stock?.[index]];
    return mine === undefined ? [] : rowsOf(`read ${path} at ${TASKS} tasks`, mine, theirs);
  });
}

function measure(surroundings: Surroundings, kind: ManagerKind): Promise<Reading[]> {
  return surroundings.swarm(kind, AGENTS, async (manager, fleet) => {
    await new Load(manager, fleet).create(1, TASKS);
    const readings: Reading[] = [];
    for (const path of LISTS) readings.push(await read(manager, path));
    return readings;
  });
}

async function read(manager: Manager, path: string): Promise<Reading> {
  await manager.loopDelays();
  const before = manager.child.usage();
  const endMs = epochMs() + READING_MS;
  const times: number[] = [];
  while (epochMs() < endMs) {
    const startMs = epochMs();
    await manager.api.get(path);
    times.push(epochMs() - startMs);
  }
  const cpuMs = ((manager.child.usage().cpuSeconds - before.cpuSeconds) * 1000) / times.length;
  return { p50Ms: median(times), cpuMs, delays: await manager.loopDelays() };
}

function rowsOf(name: string, ours: Reading, stock: Reading | undefined): Row[] {
  const delays = ours.delays ?? { p50Ms: 0, p99Ms: 0, maxMs: 0 };
  return [
    { name: `${name}: p50`, value: ours.p50Ms, unit: 'ms', ...(stock === undefined ? {} : { stock: stock.p50Ms }) },
    {
      name: `${name}: CPU per request`,
      value: ours.cpuMs,
      unit: 'ms',
      ...(stock === undefined ? {} : { stock: stock.cpuMs }),
    },
    { name: `${name}: event-loop delay p99`, value: delays.p99Ms, unit: 'ms' },
    { name: `${name}: event-loop delay max`, value: delays.maxMs, unit: 'ms' },
  ];
}

function selectedTasks(): number {
  return Number(process.env['BENCH_TASKS'] ?? 10_000);
}
