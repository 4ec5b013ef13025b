import type { ManagerKind } from './manager.js';
import type { Row } from './row.js';
import { pause } from './manager.js';
import { median, ofEach, Surroundings } from './surroundings.js';

const ROUNDS = 5;

/** How long a manager is left alone before its memory is looked at, in milliseconds. */
const IDLE_MS = 3_000;

interface Start {
  readonly pingMs: number;
  readonly initMs: number;
  readonly restartMs: number;
  readonly idleRssMib: number;
}

/** Time from the start of the process until it answers, until a new swarm is ready, and until an old one is again. */
export async function run(): Promise<Row[]> {
  await using surroundings = await Surroundings.create();
  const { ours, stock } = await ofEach(surroundings, async (kind) => {
    const starts: Start[] = [];
    for (let round = 0; round < ROUNDS; round++) starts.push(await measure(surroundings, kind, round));
    return starts;
  });
  const row = (name: string, unit: string, of: (start: Start) => number): Row => ({
    name,
    value: median(ours.map(of)),
    unit,
    ...(stock === undefined ? {} : { stock: median(stock.map(of)) }),
  });
  return [
    row('start: process to Engine API answers', 'ms', ({ pingMs }) => pingMs),
    row('start: swarm init to ready', 'ms', ({ initMs }) => initMs),
    row('start: process with a swarm to ready', 'ms', ({ restartMs }) => restartMs),
    row('start: idle manager RSS', 'MiB', ({ idleRssMib }) => idleRssMib),
  ];
}

async function measure(surroundings: Surroundings, kind: ManagerKind, round: number): Promise<Start> {
  const name = `${kind}-start-${round}`;
  const first = await firstStart(surroundings, kind, name);
  await using manager = await surroundings.start(kind, name);
  await manager.untilActive();
  const restartMs = manager.sinceStartMs();
  await pause(round === 0 ? IDLE_MS : 0);
  return { ...first, restartMs, idleRssMib: manager.child.usage().rssMib };
}

async function firstStart(
  surroundings: Surroundings,
  kind: ManagerKind,
  name: string,
): Promise<{ readonly pingMs: number; readonly initMs: number }> {
  await using manager = await surroundings.start(kind, name);
  const pingMs = manager.sinceStartMs();
  await manager.init();
  return { pingMs, initMs: manager.sinceStartMs() - pingMs };
}
