import { Load, type Convergence } from './converge.js';
import type { ManagerKind } from './manager.js';
import type { Row } from './row.js';
import { medianOf, ofEach, Surroundings } from './surroundings.js';

/** Simulated agents. */
const AGENTS = selected('BENCH_AGENTS', [100, 10]);

/** Replicas of one service, and how often each case is measured; the median counts. */
const REPLICAS = selected('BENCH_REPLICAS', [1, 1000, 10_000]);
const ROUNDS: Readonly<Record<number, number>> = { 1: 5, 1000: 3, 10_000: 3 };

/** Of the first load, whose figures do not count: what every program needs once. */
const WARM_UP_REPLICAS = 100;

interface Measured extends Convergence {
  readonly removedMs: number;
}

/**
 * Time from the request that creates a service to the moment when all its tasks run, over real connections to
 * agents with simulated tasks; the processor time and memory that it takes the manager.
 */
export async function run(): Promise<Row[]> {
  await using surroundings = await Surroundings.create();
  const rows: Row[] = [];
  for (const agents of AGENTS) {
    const { ours, stock } = await ofEach(surroundings, (kind) => measureAll(surroundings, kind, agents));
    for (const [index, replicas] of REPLICAS.entries()) {
      const measured = ours[index];
      if (measured !== undefined) rows.push(...rowsOf(`${replicas}, ${agents} agents`, measured, stock?.[index]));
    }
  }
  return rows;
}

function measureAll(surroundings: Surroundings, kind: ManagerKind, agents: number): Promise<Measured[]> {
  return surroundings.swarm(kind, agents, async (manager, fleet) => {
    const load = new Load(manager, fleet);
    await load.create(1, WARM_UP_REPLICAS);
    await load.remove();
    const results: Measured[] = [];
    for (const replicas of REPLICAS) {
      const rounds: Measured[] = [];
      for (let round = 0; round < (ROUNDS[replicas] ?? 1); round++) {
        const convergence = await load.create(1, replicas);
        rounds.push({ ...convergence, removedMs: await load.remove() });
      }
      results.push(medianOf(rounds));
    }
    return results;
  });
}

function rowsOf(load: string, ours: Measured, stock: Measured | undefined): Row[] {
  const row = (what: string, unit: string, name: keyof Measured): Row => ({
    name: `replicas ${load}: ${what}`,
    value: ours[name],
    unit,
    ...(stock === undefined ? {} : { stock: stock[name] }),
  });
  return [
    row('first runs', 'ms', 'firstMs'),
    row('all run', 'ms', 'lastMs'),
    row('manager shows all running', 'ms', 'shownMs'),
    row('manager CPU', 's', 'managerCpuSeconds'),
    row('agents CPU', 's', 'agentsCpuSeconds'),
    row('manager RSS', 'MiB', 'managerRssMib'),
    row('removed', 'ms', 'removedMs'),
    { name: `replicas ${load}: event-loop delay max`, value: ours.loopDelayMaxMs, unit: 'ms' },
  ];
}

/** Numbers of an environment variable, for runs that look at one case only. */
function selected(variable: string, standard: readonly number[]): readonly number[] {
  const given = process.env[variable];
  return given === undefined ? standard : given.split(',').map(Number);
}
