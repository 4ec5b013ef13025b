import { NodeStatus_State } from '../api/index.js';
import { randomInt } from '../base/index.js';
import { by } from '../store/index.js';
import { Acknowledged } from './acknowledged.js';
import { SimCluster } from './cluster.js';
import type { Unsynced } from './disk-tree.js';
import type { SimMachine } from './machine.js';
import { canRun, Operator, scriptOf } from './operator.js';
import type { SeededRandom } from './random.js';
import { unsettled } from './settled.js';
import { TaskRules } from './task-rules.js';

/** How long a cluster left alone may take until everything is as wanted, in virtual time. */
const SETTLE_MS_MAX = 300_000;

/** Lines of the trace that a failure shows unless told otherwise. */
const TAIL_LINES = 60;

/** What a scenario is like. */
export interface ScenarioOptions {
  readonly seed: number;
  /** Random happenings before the cluster is left alone. */
  readonly happenings?: number;
  readonly workers?: number;
  /** Lines of the trace that a failure shows. */
  readonly tailLines?: number;
}

/** What came of it. */
export interface ScenarioResult {
  readonly trace: readonly string[];
  readonly virtualMs: number;
}

/**
 * A cluster under a random operator and random faults, then healed and left alone until it has settled.
 * Everything is checked on the way. @throws an Error that names the seed and shows the end of the trace.
 */
export async function runScenario(options: ScenarioOptions): Promise<ScenarioResult> {
  const scenario = new Scenario(options);
  try {
    await scenario.run();
  } catch (error) {
    const text = error instanceof Error ? `${error.message}${cause(error)}` : String(error);
    const { trace, errors } = scenario.cluster;
    const logged = errors
      .slice(-5)
      .map(({ atMs, message, fields }) => `${atMs.toFixed(3)} ${message} ${JSON.stringify(fields, bigints)}`);
    throw new Error(
      `seed ${options.seed}: ${text}\n${trace.tail(options.tailLines ?? TAIL_LINES)}\nlogged errors:\n${logged.join('\n')}\nreplay with SIM_SEED=${options.seed}`,
      { cause: error },
    );
  }
  return { trace: scenario.cluster.trace.lines, virtualMs: scenario.cluster.clock.monotonicMs() };
}

class Scenario {
  readonly cluster: SimCluster;
  readonly #random: SeededRandom;
  readonly #operator: Operator;
  readonly #options: ScenarioOptions;

  constructor(options: ScenarioOptions) {
    this.#options = options;
    const acknowledged = new Acknowledged();
    this.cluster = new SimCluster({
      seed: options.seed,
      script: scriptOf,
      watchers: (cluster) => [
        acknowledged,
        new TaskRules({
          clock: cluster.clock,
          wasGiven: (nodeId, taskId) => cluster.machineOf(nodeId)?.given.has(taskId),
        }),
      ],
    });
    this.#random = this.cluster.random.fork();
    this.#operator = new Operator(this.cluster, acknowledged);
  }

  async run(): Promise<void> {
    const { cluster } = this;
    const manager = cluster.addManager();
    await cluster.wait(manager.life?.node.ready ?? Promise.resolve());
    const workers = this.#options.workers ?? this.#workerCount();
    for (let i = 0; i < workers; i++) cluster.addWorker();
    await cluster.step(1_000);
    for (let i = 0; i < (this.#options.happenings ?? 30); i++) {
      this.#happen();
      await cluster.step(this.#stepMs());
      this.#check();
    }
    await this.#heal();
    await this.#settle();
  }

  /** Mostly a handful, now and then many. */
  #workerCount(): number {
    return this.#random.float() < 0.1 ? 12 + randomInt(this.#random, 9) : 3 + randomInt(this.#random, 4);
  }

  /** Mostly short, so that what is under way meets what comes next. */
  #stepMs(): number {
    const roll = this.#random.float();
    if (roll < 0.5) return randomInt(this.#random, 30);
    return randomInt(this.#random, roll < 0.85 ? 2_000 : 12_000);
  }

  #happen(): void {
    const { cluster } = this;
    const roll = this.#random.float();
    if (cluster.manager.life === undefined && roll < 0.5) cluster.start(cluster.manager);
    else if (roll < 0.62) this.#operator.act();
    else if (roll < 0.72) this.#crashManager();
    else if (roll < 0.84) this.#crashOrStartWorker();
    else if (roll < 0.92) this.#disturbNetwork();
    else this.#endContainer();
  }

  #crashManager(): void {
    const { manager } = this.cluster;
    if (manager.life === undefined) return;
    const kind = this.#random.float() < 0.5 ? 'process' : 'machine';
    const unsynced = this.#unsynced(kind === 'process');
    if (this.#random.float() < 0.4) this.cluster.crash(manager, kind, unsynced);
    else this.cluster.crashAtDiskOperation(manager, randomInt(this.#random, 40), kind, unsynced);
  }

  #crashOrStartWorker(): void {
    const worker = this.#worker();
    if (worker === undefined) return;
    if (worker.life === undefined) this.cluster.start(worker);
    else {
      const kind = this.#random.float() < 0.6 ? 'process' : 'machine';
      this.cluster.crash(worker, kind, this.#unsynced(kind === 'process'));
    }
  }

  /** A killed process loses what it had not written; a machine also what the kernel had not. */
  #unsynced(isProcess: boolean): Unsynced {
    return isProcess ? { kind: 'kept' } : { kind: 'random', random: this.#random };
  }

  #disturbNetwork(): void {
    const { cluster } = this;
    const worker = this.#worker();
    if (worker === undefined) return;
    const roll = this.#random.float();
    cluster.trace.note(`network ${worker.name} ${roll.toFixed(2)}`);
    if (roll < 0.3) cluster.network.partition([worker.host], [cluster.manager.host]);
    else if (roll < 0.5) cluster.network.block(worker.host, cluster.manager.host);
    else if (roll < 0.7) cluster.network.tear(worker.host, cluster.manager.host);
    else cluster.network.heal();
  }

  /** A container ends from outside. */
  #endContainer(): void {
    const worker = this.#worker();
    const running = worker?.executor.running() ?? [];
    const id = running[randomInt(this.#random, running.length)];
    if (worker === undefined || id === undefined) return;
    this.cluster.trace.note(`container ${id} ends`);
    if (this.#random.float() < 0.5) worker.executor.crash(id, this.#random.float() < 0.5 ? 0 : 1);
    else worker.executor.lose(id);
  }

  #worker(): SimMachine | undefined {
    const { workers } = this.cluster;
    return workers[randomInt(this.#random, workers.length)];
  }

  /** Nothing but kills ends a node here. */
  #check(): void {
    if (this.#operator.failure !== undefined) throw this.#operator.failure;
    for (const { name, lastEnd } of this.cluster.machines.values()) {
      if (lastEnd !== undefined) throw new Error(`${name} ended by itself`, { cause: lastEnd.error });
    }
  }

  async #heal(): Promise<void> {
    const { cluster } = this;
    cluster.trace.note('heal');
    cluster.network.heal();
    for (const machine of cluster.machines.values()) {
      machine.atDiskOperation(undefined);
      if (machine.life === undefined) cluster.start(machine);
    }
    await cluster.until(() => cluster.manager.life?.node.control() !== undefined, 60_000, 'the manager serves again');
    await cluster.wait(this.#operator.activateAll());
  }

  async #settle(): Promise<void> {
    const { cluster } = this;
    const untilMs = cluster.clock.monotonicMs() + SETTLE_MS_MAX;
    for (;;) {
      await cluster.step(1_000);
      this.#check();
      const problems = await unsettled(cluster, canRun);
      if (problems.length === 0) return;
      if (cluster.clock.monotonicMs() < untilMs) continue;
      throw new Error(`not settled after ${SETTLE_MS_MAX} ms:\n${problems.join('\n')}\n${nodeStates(cluster)}`);
    }
  }
}

function nodeStates(cluster: SimCluster): string {
  const nodes = cluster.view((tx) => tx.find('node', by.all()));
  return nodes
    .map(({ id, status }) => `${cluster.machineOf(id)?.name} ${id} ${NodeStatus_State[status?.state ?? 0]}`)
    .join('\n');
}

function cause(error: Error): string {
  return error.cause instanceof Error ? `: ${error.cause.message}${cause(error.cause)}` : '';
}

function bigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
