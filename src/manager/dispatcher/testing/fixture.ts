import { create } from '@bufbuild/protobuf';

import {
  ClusterSchema,
  Dispatcher as DispatcherService,
  EncryptionKeySchema,
  LocalChannel,
  NodeDescriptionSchema,
  NodeSchema,
  NodeStatus_State as NodeState,
  TaskSchema,
  TaskSpecSchema,
  TaskState,
  WeightedPeerSchema,
  createClient,
  type Cluster,
  type Node,
  type RpcClient,
  type SessionMessage,
  type Task,
  type WeightedPeer,
} from '../../../api/index.js';
import { SILENT_LOGGER, type Clock, type Random, type SwarmError } from '../../../base/index.js';
import {
  MemoryStore,
  type Objects,
  type ProposalOutcome,
  type Proposer,
  type TableName,
} from '../../../store/index.js';
import { Dispatcher } from '../dispatcher.js';
import type { DispatcherOptions } from '../options.js';

/** A clock that tests move by hand. */
export interface TestClock extends Clock {
  advance(ms: number): Promise<void>;
  settle(): Promise<void>;
}

/** A log whose commits a test gives, or which commits at once. */
class TestProposer implements Proposer {
  automatic = true;
  proposals = 0;
  readonly #waiting: ProposalOutcome[] = [];
  #index = 1n;

  get waiting(): number {
    return this.#waiting.length;
  }

  headIndex(): bigint {
    return this.#index + BigInt(this.#waiting.length);
  }

  propose(_actions: Uint8Array, outcome: ProposalOutcome): void {
    this.proposals++;
    this.#waiting.push(outcome);
    if (this.automatic) this.commit();
  }

  commit(): void {
    for (const outcome of this.#waiting.splice(0)) outcome.committed(++this.#index);
  }

  lose(error: SwarmError): void {
    for (const outcome of this.#waiting.splice(0)) outcome.lost(error);
  }
}

/** Reads a stream to its end in the background; `pull` instead leaves the pace to the test. */
export class Reader<T> {
  readonly messages: T[] = [];
  ended: SwarmError | 'ended' | undefined;
  readonly #iterator: AsyncIterator<T>;
  readonly #abort: AbortController;

  constructor(open: (signal: AbortSignal) => AsyncIterable<T>) {
    this.#abort = new AbortController();
    this.#iterator = open(this.#abort.signal)[Symbol.asyncIterator]();
  }

  get last(): T {
    const message = this.messages.at(-1);
    if (message === undefined) throw new Error('no message');
    return message;
  }

  /** Reads one message. */
  async pull(): Promise<void> {
    try {
      const result = await this.#iterator.next();
      if (result.done === true) this.ended = 'ended';
      else this.messages.push(result.value);
    } catch (error) {
      this.ended = error as SwarmError;
    }
  }

  /** Reads on in the background until the end. */
  start(): this {
    const readOn = async (): Promise<void> => {
      while (this.ended === undefined) await this.pull();
    };
    void readOn();
    return this;
  }

  /** Goes away, as an agent that loses its connection does. */
  cancel(): void {
    this.#abort.abort(new Error('the reader went away'));
  }
}

/** A dispatcher with its world. */
export class DispatcherFixture {
  readonly proposer = new TestProposer();
  readonly store: MemoryStore;
  readonly dispatcher: Dispatcher;
  readonly delays: number[] = [];
  readonly stopping = new AbortController();
  stopped: Promise<void> | undefined;
  managers: WeightedPeer[] = [peer('m1'), peer('m2')];
  readonly #listeners = new Set<() => void>();

  constructor(
    readonly clock: TestClock,
    random: Random,
    options: Partial<DispatcherOptions> = {},
    storeOptions: { readonly subscriberQueueMax?: number } = {},
  ) {
    this.store = new MemoryStore(storeOptions, { clock, proposer: this.proposer });
    this.dispatcher = new Dispatcher(
      { nodeId: 'm1', heartbeatEpsilonMs: 0, ...options },
      {
        store: this.store,
        clock,
        random,
        log: SILENT_LOGGER,
        managers: {
          current: () => this.managers,
          subscribe: (listener) => {
            this.#listeners.add(listener);
            return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
          },
        },
        securityRoot: () => new TextEncoder().encode('own root'),
        selfAddr: () => '10.0.0.1:2377',
        observeSchedulingDelay: (delayMs) => this.delays.push(delayMs),
      },
    );
  }

  /** Creates the cluster and these nodes, and starts the dispatcher. */
  async start(...nodes: readonly Node[]): Promise<void> {
    await this.put('cluster', defaultCluster());
    for (const node of nodes) await this.put('node', node);
    this.stopped = this.dispatcher.run(this.stopping.signal);
    await this.clock.advance(0);
  }

  async stop(): Promise<void> {
    this.stopping.abort(new Error('the test stops the dispatcher'));
    await this.stopped;
  }

  setManagers(...managers: readonly WeightedPeer[]): void {
    this.managers = [...managers];
    for (const listener of this.#listeners) listener();
  }

  /** The service as this node's agent sees it. */
  as(nodeId: string): RpcClient<typeof DispatcherService> {
    const self = { nodeId, role: 'swarm-worker', clusterId: 'c1' } as const;
    return createClient(DispatcherService, new LocalChannel([this.dispatcher.service()], () => self));
  }

  /** Opens a session and reads it on in the background. */
  async session(nodeId: string, sessionId = '', hostname = nodeId): Promise<Reader<SessionMessage>> {
    const description = create(NodeDescriptionSchema, { hostname });
    const reader = new Reader((signal) => this.as(nodeId).session({ sessionId, description }, { signal })).start();
    await this.clock.advance(0);
    return reader;
  }

  /** Opens a session and returns its id. */
  async register(nodeId: string): Promise<string> {
    return (await this.session(nodeId)).last.sessionId;
  }

  /** Creates or replaces an object. */
  async put<T extends TableName>(table: T, object: Objects[T]): Promise<void> {
    await this.store.update((tx) => {
      const old = tx.get(table, object.id);
      if (old === undefined) tx.create(table, object);
      else tx.update(table, { ...object, meta: old.meta });
    });
    await this.clock.advance(0);
  }

  async change<T extends TableName>(table: T, id: string, change: (old: Objects[T]) => Objects[T]): Promise<void> {
    await this.put(table, change(this.get(table, id)));
  }

  get<T extends TableName>(table: T, id: string): Objects[T] {
    const object = this.store.view((tx) => tx.get(table, id));
    if (object === undefined) throw new Error(`no ${table} ${id}`);
    return object;
  }

  nodeState(id: string): string {
    const state = this.get('node', id).status?.state;
    return state === undefined ? 'none' : (NodeState[state] ?? 'invalid');
  }
}

/** A manager with the usual weight. */
export function peer(nodeId: string): WeightedPeer {
  return create(WeightedPeerSchema, { peer: { nodeId, addr: `${nodeId}:2377` }, weight: 10n });
}

/** A node as the CA creates it, or in a given state. */
export function nodeNamed(id: string, state: NodeState = NodeState.UNKNOWN): Node {
  return create(NodeSchema, { id, spec: {}, status: { state } });
}

/** A task on a node. */
export function taskOn(nodeId: string, id: string, state: TaskState = TaskState.ASSIGNED): Task {
  const spec = create(TaskSpecSchema, { runtime: { case: 'container', value: { image: 'web' } } });
  return create(TaskSchema, { id, nodeId, spec, status: { state }, desiredState: TaskState.RUNNING });
}

function defaultCluster(): Cluster {
  return create(ClusterSchema, {
    id: 'c1',
    spec: { annotations: { name: 'default' } },
    rootCa: { caCert: new TextEncoder().encode('root 1') },
    networkBootstrapKeys: [create(EncryptionKeySchema, { subsystem: 'networking:gossip', lamportTime: 1n })],
  });
}
