import { Control, createClient, type RpcChannel, type RpcClient, type Task } from '../api/index.js';
import { Code, errorText, SILENT_LOGGER, SwarmError, type LogFields, type Logger } from '../base/index.js';
import type { ReadTransaction, Store } from '../store/index.js';
import { SimClock } from './clock.js';
import type { Unsynced } from './disk-tree.js';
import type { SimScript } from './executor.js';
import { CONTROL_SOCKET, SimMachine, type Life, type StartOptions } from './machine.js';
import { SimNetwork, type Crash } from './network.js';
import { Observer, type StoreWatcher } from './observer.js';
import { SeededRandom } from './random.js';
import { Trace } from './trace.js';

/** What is left of a log line that somebody must act on. */
export interface LoggedError {
  readonly atMs: number;
  readonly message: string;
  readonly fields: LogFields;
}

/** How a simulated cluster is made. */
export interface SimClusterOptions {
  readonly seed: number;
  /** Behaviour of each task; absent: all run until stopped. */
  readonly script?: (task: Task) => SimScript;
  /** What looks at every event of the manager's store. */
  readonly watchers?: (cluster: SimCluster) => readonly StoreWatcher[];
}

/** A lost reply: whether the call took effect is not known. */
function replyLost(): SwarmError {
  return new SwarmError(Code.UNAVAILABLE, 'the manager was killed before it replied', {
    details: { kind: 'reply-lost' },
  });
}

/**
 * A whole cluster of real nodes on virtual time, from one seed. Time moves only in {@link step} and
 * {@link until}; whatever is awaited elsewhere must need no time.
 */
export class SimCluster {
  readonly clock = new SimClock();
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly trace: Trace;
  /** Errors that nodes logged. */
  readonly errors: LoggedError[] = [];
  readonly machines = new Map<string, SimMachine>();
  readonly #options: SimClusterOptions;
  readonly #observer: Observer;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: SimClusterOptions) {
    this.#options = options;
    this.random = new SeededRandom(options.seed);
    this.network = new SimNetwork({}, { clock: this.clock, random: this.random.fork() });
    this.trace = new Trace(this.clock);
    const watchers = [this.trace, ...(options.watchers?.(this) ?? [])];
    this.#observer = new Observer(watchers, (error) => (this.#failure ??= { error }));
  }

  /** Adds a host and begins a cluster on it. */
  addManager(options: StartOptions = {}): SimMachine {
    const machine = this.#add('m');
    this.start(machine, options);
    return machine;
  }

  /** Adds a host that joins as a worker, with the manager's token. */
  addWorker(options: StartOptions = {}): SimMachine {
    const machine = this.#add('w');
    machine.joinOptions = { joinAddr: this.manager.addr, joinToken: this.joinToken(), ...options };
    this.start(machine);
    return machine;
  }

  /** A host on which nothing runs yet. */
  addHost(): SimMachine {
    return this.#add('h');
  }

  /** The only manager's machine. */
  get manager(): SimMachine {
    const [machine] = this.machines.values();
    if (machine === undefined) throw new Error('the cluster has no manager');
    return machine;
  }

  get workers(): readonly SimMachine[] {
    return [...this.machines.values()].slice(1);
  }

  /** The token for workers, as the manager knows it. */
  joinToken(): string {
    return this.manager.life?.node.cluster()?.rootCa?.joinTokens?.worker ?? '';
  }

  /** Starts a node on a machine; after a crash without options, as an init system does. */
  start(machine: SimMachine, options: StartOptions = {}): Life {
    this.trace.note(`start ${machine.name}`);
    const life = machine.start({ ...machine.joinOptions, ...options });
    if (machine === this.manager) {
      life.node.subscribe(() => {
        if (this.manager.life === life) this.#observer.follow(life.node.store());
      });
    }
    void life.gone.then(() => {
      if (machine === this.manager && machine.life === undefined) this.#observer.follow(undefined);
      if (life.ended !== undefined) this.trace.note(`ended ${machine.name} ${textOf(life.ended.error)}`);
    });
    return life;
  }

  /** Ends a node in the midst of what it does. */
  crash(machine: SimMachine, crash: Crash, unsynced?: Unsynced): void {
    this.trace.note(`crash ${machine.name} ${crash}`);
    // What is committed is durable, so it counts although nobody may have read it.
    if (machine === this.manager) this.#observer.follow(undefined);
    machine.crash(crash, unsynced);
  }

  /** Crashes in the midst of the disk operation that is so many from now. */
  crashAtDiskOperation(machine: SimMachine, operations: number, crash: Crash, unsynced: Unsynced): void {
    machine.atDiskOperation(operations, () => this.crash(machine, crash, unsynced));
  }

  /** Stops a node in the ordinary way; takes time. */
  async stop(machine: SimMachine, limitMs = 60_000): Promise<void> {
    this.trace.note(`stop ${machine.name}`);
    const stopped = machine.stop();
    await this.until(() => machine.life === undefined, limitMs, `${machine.name} stops`);
    await stopped;
  }

  /** Lets time pass. @throws what a watcher or the observer threw. */
  async step(ms: number): Promise<void> {
    await this.clock.advance(ms);
    this.check();
  }

  /** Lets time pass until the condition holds. */
  async until(condition: () => boolean, limitMs: number, what: string): Promise<void> {
    try {
      await this.clock.runUntil(() => this.#failure !== undefined || condition(), limitMs);
    } catch (error) {
      throw new Error(`${what}: not within ${limitMs} ms of virtual time`, { cause: error });
    }
    this.check();
  }

  /** Lets time pass until the promise has settled. */
  async wait<T>(promise: Promise<T>, limitMs = 60_000, what = 'the reply'): Promise<T> {
    let settled = false;
    const isOver = promise.then(
      () => (settled = true),
      () => (settled = true),
    );
    await this.until(() => settled, limitMs, what);
    await isOver;
    return promise;
  }

  /** @throws what a watcher threw since. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** The manager's store. */
  get store(): Store {
    const store = this.manager.life?.node.store();
    if (store === undefined) throw new Error('the manager does not serve');
    return store;
  }

  view<T>(read: (tx: ReadTransaction) => T): T {
    return this.store.view(read);
  }

  /** A control client on the manager's socket, as the command line tools use it. Rejects when the manager dies. */
  control(): RpcClient<typeof Control> {
    const { life } = this.manager;
    if (life === undefined) throw new Error('the manager does not run');
    const channel = this.network.host(this.manager.host).dialSocket(CONTROL_SOCKET);
    return createClient(Control, mortal(channel, life));
  }

  /** The machine with this node. */
  machineOf(nodeId: string): SimMachine | undefined {
    for (const machine of this.machines.values()) if (machine.nodeId === nodeId) return machine;
    return undefined;
  }

  #add(prefix: string): SimMachine {
    const number = this.machines.size + 1;
    const name = `${prefix}${number}`;
    const machine = new SimMachine(name, `10.0.0.${number}`, {
      clock: this.clock,
      network: this.network,
      random: this.random,
      log: this.#log({}),
      script: this.#options.script ?? (() => ({})),
    });
    this.machines.set(name, machine);
    return machine;
  }

  #log(known: LogFields): Logger {
    const error = (fields: LogFields, message: string): void => {
      this.errors.push({ atMs: this.clock.monotonicMs(), message, fields: { ...known, ...fields } });
    };
    return { ...SILENT_LOGGER, error, child: (fields) => this.#log({ ...known, ...fields }) };
  }
}

/** A channel whose calls end with the process that should answer them. */
function mortal(channel: RpcChannel, life: Life): RpcChannel {
  return {
    ...channel,
    unary: (method, request, options) =>
      Promise.race([channel.unary(method, request, options), life.gone.then(() => Promise.reject(replyLost()))]),
    serverStream: channel.serverStream.bind(channel),
    clientStream: channel.clientStream.bind(channel),
    close: () => channel.close(),
  };
}

function textOf(error: unknown): string {
  return error === undefined ? 'as asked' : errorText(error);
}
