import type { NodeSpec_Availability, Task } from '../api/index.js';
import { canceled, sleep, type Logger } from '../base/index.js';
import { Node, type NodeOptions } from '../node/index.js';
import { SIM_AEAD } from './aead.js';
import { SimAgentDatabase } from './agent-database.js';
import type { SimClock } from './clock.js';
import { SIM_CRYPTO } from './crypto.js';
import type { Unsynced } from './disk-tree.js';
import { SimDisk, type DiskOperation } from './disk.js';
import { SimExecutor, type SimController, type SimScript } from './executor.js';
import type { Crash, SimNetwork } from './network.js';
import { ProcessClock } from './process.js';
import type { SeededRandom } from './random.js';

/** Port of the remote API of managers. Source: SwarmKit. */
const PORT = 2377;

/** Where a node keeps its state. */
export const STATE_DIR = '/var/lib/swarmd';

/** Where a manager's control API listens. */
export const CONTROL_SOCKET = '/run/swarmd.sock';

/** Longest time that operations of a disk take; those left out take none. */
const DISK_MS_MAX: Partial<Record<DiskOperation['kind'], number>> = {
  write: 0.2,
  sync: 4,
  rename: 0.1,
  syncDirectory: 2,
};

const NEVER = new AbortController().signal;

/** What all machines share. */
export interface MachineDeps {
  readonly clock: SimClock;
  readonly network: SimNetwork;
  readonly random: SeededRandom;
  readonly log: Logger;
  /** Behaviour of each task. */
  readonly script: (task: Task) => SimScript;
}

/** One life of a node: from its start until it ends or is killed. */
export interface Life {
  readonly node: Node;
  /** How `run` ended; undefined while it runs, and after a kill. */
  ended: { readonly error: unknown } | undefined;
  readonly clock: ProcessClock;
  /** Settles when the process is gone, however. */
  readonly gone: Promise<void>;
}

/** What is told to a node at its start. */
export type StartOptions = Partial<Omit<NodeOptions, 'stateDir' | 'availability'>> & {
  readonly availability?: NodeSpec_Availability;
};

/** A host with a disk, containers and, while it is on, a node. */
export class SimMachine {
  readonly name: string;
  /** Its name on the network. */
  readonly host: string;
  /** `host:port` of its remote API. */
  readonly addr: string;
  readonly database: SimAgentDatabase;
  disk = new SimDisk();
  executor: SimExecutor;
  life: Life | undefined;
  /** The controllers of the node that runs. */
  readonly controllers = new Map<string, SimController>();
  /** Every task that this host was ever given. */
  readonly given = new Set<string>();
  /** How the last node ended that was not killed. */
  lastEnd: { readonly error: unknown } | undefined;
  /** What the host was told to join, for starts before it has. */
  joinOptions: StartOptions | undefined;
  /** Of the node that ran here last. */
  nodeId = '';
  /** Disk operations until the machine crashes in the midst of one. */
  #crashCountdown: { operations: number; readonly crash: () => void } | undefined;
  #release: () => void = () => undefined;
  #stop: (() => void) | undefined;
  readonly #deps: MachineDeps;
  readonly #diskRandom: SeededRandom;

  constructor(name: string, host: string, deps: MachineDeps) {
    this.name = name;
    this.host = host;
    this.addr = `${host}:${PORT}`;
    this.#deps = { ...deps, random: deps.random.fork(), log: deps.log.child({ host: name }) };
    this.#diskRandom = this.#deps.random.fork();
    this.database = new SimAgentDatabase(this.#deps.random.fork());
    this.executor = new SimExecutor({ hostname: name, script: deps.script }, deps);
    this.executor.intercept = (controller) => {
      this.controllers.set(controller.task.id, controller);
      this.given.add(controller.task.id);
    };
  }

  /** Starts a node on what the disk holds. */
  start(options: StartOptions = {}): Life {
    if (this.life !== undefined) throw new Error(`${this.name} runs already`);
    const { network, random, log } = this.#deps;
    this.controllers.clear();
    const clock = new ProcessClock(this.#deps.clock);
    const stop = new AbortController();
    this.disk.intercept = (operation) => this.#onDiskOperation(operation, clock);
    const { promise: gone, resolve } = Promise.withResolvers<void>();
    const node = new Node(
      { stateDir: STATE_DIR, listenRemoteApi: `0.0.0.0:${PORT}`, listenControlApi: CONTROL_SOCKET, ...options },
      {
        disk: this.disk,
        clock,
        random: random.fork(),
        log,
        network: network.host(this.host),
        crypto: SIM_CRYPTO,
        aead: SIM_AEAD,
        executor: this.executor,
        openDatabase: () => this.database.open(clock, () => clock.isAlive),
        hostAddress: () => this.host,
      },
    );
    const life: Life = { node, ended: undefined, clock, gone };
    this.life = life;
    this.#release = resolve;
    this.#stop = () => stop.abort(canceled(this.name));
    node.subscribe(() => {
      this.nodeId = node.view().nodeId || this.nodeId;
    });
    node.ready.catch(() => undefined);
    node.run(stop.signal).then(
      () => this.#onEnd(life, undefined),
      (error: unknown) => this.#onEnd(life, error),
    );
    return life;
  }

  /** Calls back in the midst of the disk operation that is so many from now: to crash there. Undefined: never. */
  atDiskOperation(operations: number | undefined, crash: () => void = () => undefined): void {
    this.#crashCountdown = operations === undefined ? undefined : { operations, crash };
  }

  /** Asks the node to stop in the ordinary way. Resolves, with time going on, when it has ended. */
  async stop(): Promise<void> {
    const { life } = this;
    this.#stop?.();
    await life?.gone;
  }

  /** Ends the node at once. A process leaves its containers running; a machine loses power and unsynced bytes. */
  crash(crash: Crash, unsynced: Unsynced = { kind: 'lost' }): void {
    this.life?.clock.kill();
    this.life = undefined;
    this.#crashCountdown = undefined;
    this.#deps.network.crash(this.host, crash);
    this.executor = this.executor.successor();
    // What a killed process has written stays in the kernel's cache, whole up to the write that was cut off.
    this.disk = this.disk.crash(unsynced);
    if (crash === 'machine') {
      this.database.losePower();
      for (const id of this.executor.running()) this.executor.crash(id, 137);
    }
    this.#release();
  }

  async #onDiskOperation({ kind }: DiskOperation, clock: ProcessClock): Promise<void> {
    const countdown = this.#crashCountdown;
    if (countdown !== undefined && clock.isAlive && --countdown.operations < 0) countdown.crash();
    const limitMs = DISK_MS_MAX[kind];
    if (limitMs !== undefined) await sleep(clock, this.#diskRandom.float() * limitMs, NEVER);
  }

  #onEnd(life: Life, error: unknown): void {
    if (this.life !== life) return;
    life.ended = { error };
    this.lastEnd = life.ended;
    this.life = undefined;
    life.clock.kill();
    this.disk.intercept = undefined;
    this.executor = this.executor.successor();
    this.#release();
  }
}
