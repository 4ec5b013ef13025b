import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Fleet } from './fleet.js';
import { hasStock, Manager, type ManagerKind } from './manager.js';
import { NetworkNamespace } from './network-namespace.js';

/** Where managers and agents run: a directory and, if it may be, a network of their own. */
export class Surroundings implements AsyncDisposable {
  #count = 0;

  private constructor(
    readonly directory: string,
    readonly namespace: NetworkNamespace,
  ) {}

  static async create(): Promise<Surroundings> {
    return new Surroundings(await mkdtemp(join(tmpdir(), 'swarm-bench-')), await NetworkNamespace.create());
  }

  /** The managers that can be measured here. */
  get kinds(): readonly ManagerKind[] {
    return hasStock(this.namespace) && process.env['BENCH_STOCK'] !== '0' ? ['stock', 'ours'] : ['ours'];
  }

  /** A manager without a swarm. */
  start(kind: ManagerKind, name = `${kind}-${++this.#count}`): Promise<Manager> {
    return Manager.start(kind, join(this.directory, name), this.namespace);
  }

  /** A manager of a new swarm with so many simulated agents, which alone run tasks. */
  async swarm<T>(kind: ManagerKind, agents: number, use: (manager: Manager, fleet: Fleet) => Promise<T>): Promise<T> {
    await using manager = await this.start(kind);
    await manager.init();
    await manager.drain();
    const logPath = join(this.directory, `agents-${++this.#count}.log`);
    await using fleet = await Fleet.join(manager, agents, logPath, this.namespace);
    return await use(manager, fleet);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.namespace[Symbol.asyncDispose]();
    if (process.env['BENCH_KEEP'] === undefined) await rm(this.directory, { recursive: true, force: true });
  }
}

/** Measures each kind of manager after the other, in the same surroundings. */
export async function ofEach<T>(
  surroundings: Surroundings,
  measure: (kind: ManagerKind) => Promise<T>,
): Promise<{ readonly ours: T; readonly stock: T | undefined }> {
  const results = new Map<ManagerKind, T>();
  for (const kind of surroundings.kinds) results.set(kind, await measure(kind));
  return { ours: results.get('ours') as T, stock: results.get('stock') };
}

/** The value in the middle. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** Of each figure the one in the middle. */
export function medianOf<T extends object>(rounds: readonly T[]): T {
  const names = Object.keys(rounds[0] ?? {}) as (keyof T)[];
  return Object.fromEntries(names.map((name) => [name, median(rounds.map((round) => Number(round[name])))])) as T;
}
