import { Load, type Convergence } from './converge.js';
import type { ManagerKind } from './manager.js';
import type { Row } from './row.js';
import { medianOf, ofEach, Surroundings } from './surroundings.js';

const AGENTS = 100;

interface Updates {
  readonly atOnce: Convergence;
  readonly inWaves: Convergence;
  readonly services: Convergence;
}

const UPDATED_AT_ONCE = 2000;
const UPDATED_IN_WAVES = 200;
const WAVE = 10;
const SERVICES = 200;
const REPLICAS_EACH = 5;
const ROUNDS = 3;

/** Updates of all tasks at once and in waves, and many small services at once, on 100 simulated agents. */
export async function run(): Promise<Row[]> {
  await using surroundings = await Surroundings.create();
  const { ours, stock } = await ofEach(surroundings, (kind) => measure(surroundings, kind));
  return [
    ...rowsOf(`update of ${UPDATED_AT_ONCE} tasks at once`, ours.atOnce, stock?.atOnce),
    ...rowsOf(`update of ${UPDATED_IN_WAVES} tasks, ${WAVE} at a time`, ours.inWaves, stock?.inWaves),
    ...rowsOf(`${SERVICES} services of ${REPLICAS_EACH} at once`, ours.services, stock?.services),
  ];
}

function measure(surroundings: Surroundings, kind: ManagerKind): Promise<Updates> {
  return surroundings.swarm(kind, AGENTS, async (manager, fleet) => {
    const load = new Load(manager, fleet);
    const rounds: Convergence[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      rounds.push(await load.create(SERVICES, REPLICAS_EACH));
      await load.remove();
    }
    await load.create(1, UPDATED_IN_WAVES);
    const inWaves = await load.update(UPDATED_IN_WAVES, { parallelism: WAVE });
    await load.remove();
    await load.create(1, UPDATED_AT_ONCE);
    const atOnce = await load.update(UPDATED_AT_ONCE, { parallelism: 0 });
    await load.remove();
    // The first round pays for what every program needs once.
    return { atOnce, inWaves, services: medianOf(rounds.slice(1)) };
  });
}

function rowsOf(load: string, ours: Convergence, stock: Convergence | undefined): Row[] {
  const row = (what: string, unit: string, name: keyof Convergence): Row => ({
    name: `${load}: ${what}`,
    value: ours[name],
    unit,
    ...(stock === undefined ? {} : { stock: stock[name] }),
  });
  return [row('all run', 'ms', 'lastMs'), row('manager CPU', 's', 'managerCpuSeconds')];
}
