import { create } from '@bufbuild/protobuf';

import {
  bindService,
  CA,
  LocalChannel,
  Logs,
  type BoundService,
  type RpcChannel,
  type SubscribeLogsMessage,
  type SubscribeLogsRequest,
  ClusterSchema,
  NodeSchema,
  NodeStatus_State,
  TaskSchema,
  TaskState,
  timestampFromMs,
  type Node,
  type Service,
} from '../../api/index.js';
import { SILENT_LOGGER, type Clock } from '../../base/index.js';
import { controlService } from '../../manager/control-api/index.js';
import { HealthServer } from '../../manager/health/index.js';
import { SeededRandom, SimClock } from '../../sim/index.js';
import { MemoryStore, type Objects, type TableName } from '../../store/index.js';
import { runSwarmctl } from './commands.js';
import type { Terminal } from './terminal.js';
import { UsageError } from './usage-error.js';

/** A terminal in memory. */
export class FakeTerminal implements Terminal {
  columns: number | undefined;
  errorColumns: number | undefined;
  isInputTyped = false;
  input = '';
  readonly files = new Map<string, string>();
  out = '';
  err = '';

  async write(data: string | Uint8Array): Promise<void> {
    this.out += typeof data === 'string' ? data : new TextDecoder().decode(data);
  }

  async writeError(data: string | Uint8Array): Promise<void> {
    this.err += typeof data === 'string' ? data : new TextDecoder().decode(data);
  }

  async readInput(): Promise<Uint8Array> {
    return new TextEncoder().encode(this.input);
  }

  async readFile(path: string): Promise<Uint8Array> {
    const content = this.files.get(path);
    if (content === undefined) throw new UsageError(`cannot read ${path}: no such file`);
    return new TextEncoder().encode(content);
  }
}

/** The outcome of one command. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A manager in memory and a user in front of it. */
export class TestWorld {
  readonly terminal = new FakeTerminal();
  readonly clock = new SimClock();
  readonly interrupt = new AbortController();
  readonly environment: Record<string, string | undefined> = {};
  /** Sockets that were dialled. */
  readonly dialled: string[] = [];
  /** What the Logs service was asked for, and what it answers. */
  readonly logRequests: SubscribeLogsRequest[] = [];
  logReplies: SubscribeLogsMessage[] = [];
  unlockKey = new Uint8Array();
  /** Set where nothing listens. */
  socketProblem: string | undefined;
  /** Replaces the channel to the manager. */
  channel: RpcChannel | undefined;
  readonly store: MemoryStore;
  readonly #services: readonly BoundService[];

  constructor() {
    let index = 0n;
    this.store = new MemoryStore(
      {},
      {
        clock: immediateClock(this.clock),
        proposer: {
          headIndex: () => index,
          propose: (_actions, outcome) => {
            const own = ++index;
            queueMicrotask(() => outcome.committed(own));
          },
        },
      },
    );
    let tokens = 0;
    const control = controlService(
      {},
      {
        store: this.store,
        clock: immediateClock(this.clock),
        random: new SeededRandom(1),
        log: SILENT_LOGGER,
        security: { newJoinToken: () => `SWMTKN-new-${++tokens}`, newUnlockKey: () => new Uint8Array(32) },
      },
    );
    const health = new HealthServer();
    health.set('ControlAPI', 'serving');
    this.#services = [
      control,
      health.service(),
      bindService(CA, { getUnlockKey: async () => ({ unlockKey: this.unlockKey }) }),
      bindService(Logs, { subscribeLogs: (request) => this.#subscribeLogs(request) }),
    ];
  }

  /** Runs a command; its arguments as in a shell, split at blanks unless given as a list. */
  async run(command: string | readonly string[]): Promise<Outcome> {
    this.terminal.out = '';
    this.terminal.err = '';
    const args = typeof command === 'string' ? command.split(' ').filter((word) => word !== '') : command;
    const code = await runSwarmctl(args, {
      version: '1.2.3',
      environment: this.environment,
      terminal: this.terminal,
      clock: this.clock,
      signal: this.interrupt.signal,
      dial: (path) => {
        this.dialled.push(path);
        return this.channel ?? new LocalChannel(this.#services, () => undefined);
      },
      socketProblem: async () => this.socketProblem,
    });
    return { code, out: this.terminal.out, err: this.terminal.err };
  }

  /** Runs a command that waits, moving time until it ends. */
  async runInTime(command: string | readonly string[]): Promise<Outcome> {
    let outcome: Outcome | undefined;
    const running = this.run(command).then((result) => (outcome = result));
    await this.clock.runUntil(() => outcome !== undefined, 600_000);
    return running;
  }

  /** Writes an object as the manager's other components do. */
  async put<T extends TableName>(table: T, object: Objects[T]): Promise<void> {
    await this.store.update((tx) => {
      const present = tx.get(table, object.id);
      if (present === undefined) tx.create(table, object);
      else tx.update(table, { ...object, ...(present.meta === undefined ? {} : { meta: present.meta }) });
    });
  }

  async *#subscribeLogs(request: SubscribeLogsRequest): AsyncIterable<SubscribeLogsMessage> {
    this.logRequests.push(request);
    yield* this.logReplies;
  }

  /** The one service that there is. */
  service(): Service {
    const [service] = this.store.view((tx) => tx.find('service', { kind: 'all' }));
    if (service === undefined) throw new Error('there is no service');
    return service;
  }

  /** Gives the service its tasks, `task1` and on, in a state, as orchestrator and agents would. */
  async putTasks(state: TaskState, fields: { readonly err?: string } = {}): Promise<void> {
    const { id, spec, specVersion } = this.service();
    const replicas = spec?.mode.case === 'replicated' ? Number(spec.mode.value.replicas) : 1;
    for (let slot = 1; slot <= replicas; slot++) {
      const task = create(TaskSchema, {
        id: `task${slot}`,
        serviceId: id,
        slot: BigInt(slot),
        nodeId: 'node1',
        desiredState: TaskState.RUNNING,
        status: { state, timestamp: timestampFromMs(this.clock.nowMs() - 60_000), ...fields },
      });
      await this.put('task', {
        ...task,
        ...(spec?.annotations === undefined ? {} : { serviceAnnotations: spec.annotations }),
        ...(spec?.task === undefined ? {} : { spec: spec.task }),
        ...(specVersion === undefined ? {} : { specVersion }),
      });
    }
  }

  /** The cluster object, as a new swarm has it. */
  async putCluster(): Promise<void> {
    await this.put(
      'cluster',
      create(ClusterSchema, {
        id: 'cluster1',
        spec: { annotations: { name: 'default' } },
        rootCa: {
          caKey: new Uint8Array([1]),
          caCert: new Uint8Array([2]),
          caCertHash: 'sha256:00',
          joinTokens: { worker: 'SWMTKN-w', manager: 'SWMTKN-m' },
        },
      }),
    );
  }
}

/** A worker node that is up. */
export function workerNode(id: string, hostname: string): Node {
  return create(NodeSchema, {
    id,
    spec: { annotations: { labels: { zone: 'a' } } },
    description: { hostname, resources: { nanoCpus: 2_000_000_000n, memoryBytes: 4n << 30n } },
    status: { state: NodeStatus_State.READY, addr: '10.0.0.1' },
  });
}

/** A clock whose timers fire at once: what the manager batches is no concern here. */
function immediateClock(clock: Clock): Clock {
  return {
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
    setTimer: (_delayMs, callback) => {
      queueMicrotask(callback);
      return { cancel: () => undefined };
    },
  };
}
