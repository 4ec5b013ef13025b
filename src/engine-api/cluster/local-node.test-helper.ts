import { bindService, Control, LocalChannel, RaftMemberStatus_Reachability, type RpcChannel } from '../../api/index.js';
import { orAborted, SILENT_LOGGER } from '../../base/index.js';
import type { NodeOptions, NodeView, SwarmNode } from '../../node/index.js';
import { SimClock, SimDisk } from '../../sim/index.js';
import { MemoryStore } from '../../store/index.js';
import type { HostInterface } from './addresses.js';
import { LocalNode } from './local-node.js';
import type { InitRequest, JoinRequest } from './start-request.js';

/** Where the tests keep the swarm's state. */
export const STATE_DIR = '/swarm';

/** A host with one network card. */
export const ONE_INTERFACE: readonly HostInterface[] = [
  { name: 'lo', up: true, loopback: true, physical: false, managed: false, addresses: ['127.0.0.1', '::1'] },
  { name: 'eth0', up: true, loopback: false, physical: true, managed: false, addresses: ['192.0.2.10'] },
];

/** What a fake node does once it runs. */
export interface NodeScript {
  readonly role?: 'swarm-manager' | 'swarm-worker';
  /** Fails with this instead of becoming ready. */
  readonly failure?: unknown;
  /** Never becomes ready by itself. */
  readonly hangs?: boolean;
  /** Reachability of the managers of the cluster, this node first. */
  readonly managers?: readonly (keyof typeof RaftMemberStatus_Reachability)[];
  /** Whether the local manager answers. Default: managers do. */
  readonly control?: boolean;
  /** Control calls never return. */
  readonly silent?: boolean;
}

/** A node that does what its script says. */
export class FakeNode implements SwarmNode {
  readonly #ready = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<never>();
  readonly #listeners = new Set<() => void>();
  readonly #store: MemoryStore;
  stopped = false;

  constructor(
    readonly options: NodeOptions,
    readonly script: NodeScript,
    clock: SimClock,
  ) {
    this.#ready.promise.catch(() => undefined);
    this.#ended.promise.catch(() => undefined);
    this.#store = new MemoryStore(
      {},
      { clock, proposer: { headIndex: () => 0n, propose: (_actions, outcome) => outcome.committed(1n) } },
    );
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  becomeReady(): void {
    this.#ready.resolve();
    for (const listener of this.#listeners) listener();
  }

  /** Ends the node as an error would. */
  fail(error: unknown): void {
    this.#ended.reject(error);
  }

  view(): NodeView {
    const role = this.script.role ?? 'swarm-manager';
    return {
      nodeId: 'n1',
      clusterId: 'c1',
      role,
      managers: [],
      agentReady: true,
      controlReady: role === 'swarm-manager',
      listenAddr: this.options.listenRemoteApi,
      advertiseAddr: this.options.advertiseRemoteApi ?? '',
    };
  }

  subscribe(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  control(): RpcChannel | undefined {
    if (this.script.control === false || this.script.role === 'swarm-worker') return undefined;
    const managers = this.script.managers ?? ['REACHABLE'];
    const service = bindService(Control, {
      listNodes: () =>
        this.script.silent === true
          ? new Promise<never>(() => undefined)
          : Promise.resolve({
              nodes: managers.map((state, index) => ({
                id: `n${index + 1}`,
                managerStatus: { reachability: RaftMemberStatus_Reachability[state] },
              })),
            }),
    });
    return new LocalChannel([service], () => undefined);
  }

  store(): MemoryStore | undefined {
    return this.control() === undefined ? undefined : this.#store;
  }

  cluster(): undefined {
    return undefined;
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      if (this.script.failure !== undefined) throw this.script.failure;
      if (this.script.hangs !== true) this.becomeReady();
      await orAborted(this.#ended.promise, signal);
    } catch (error) {
      this.#ready.reject(error);
      if (!signal.aborted) throw error;
    } finally {
      this.stopped = true;
    }
  }
}

/** An engine's swarm side on virtual time. */
export class LocalNodeWorld {
  readonly clock = new SimClock();
  readonly nodes: FakeNode[] = [];
  readonly removedTasksOf: string[] = [];
  readonly node: LocalNode;
  disk: SimDisk;
  /** Scripts of the nodes to come, in order; the last one stays. */
  scripts: NodeScript[] = [{}];
  interfaces: readonly HostInterface[] = ONE_INTERFACE;
  sourceAddress: (remote: string) => Promise<string> = async () => '192.0.2.10';

  constructor(options: { readonly disk?: SimDisk; readonly defaultAdvertiseAddr?: string } = {}) {
    this.disk = options.disk ?? new SimDisk();
    this.node = new LocalNode(
      {
        stateDir: STATE_DIR,
        controlSocket: '/control.sock',
        defaultAdvertiseAddr: options.defaultAdvertiseAddr ?? '',
      },
      {
        disk: this.disk,
        clock: this.clock,
        log: SILENT_LOGGER,
        interfaces: () => this.interfaces,
        sourceAddress: (remote) => this.sourceAddress(remote),
        createNode: (nodeOptions) => {
          const script = (this.scripts.length > 1 ? this.scripts.shift() : this.scripts[0]) ?? {};
          const made = new FakeNode(nodeOptions, script, this.clock);
          this.nodes.push(made);
          return made;
        },
        removeTasks: async (nodeId) => void this.removedTasksOf.push(nodeId),
      },
    );
  }

  /** The node made last. */
  get last(): FakeNode {
    const node = this.nodes.at(-1);
    if (node === undefined) throw new Error('no node was made');
    return node;
  }

  init(changes: Partial<InitRequest> = {}): Promise<string> {
    return this.node.init({
      name: '',
      listenAddr: '0.0.0.0:2377',
      advertiseAddr: '',
      dataPathAddr: '',
      dataPathPort: 0,
      forceNewCluster: false,
      autoLockManagers: false,
      availability: '',
      defaultAddressPool: undefined,
      subnetSize: 0,
      ...changes,
    });
  }

  join(changes: Partial<JoinRequest> = {}, signal = new AbortController().signal): Promise<void> {
    return this.node.join(
      {
        listenAddr: '0.0.0.0:2377',
        advertiseAddr: '',
        dataPathAddr: '',
        remoteAddrs: ['192.0.2.1:2377'],
        joinToken: '',
        availability: '',
        ...changes,
      },
      signal,
    );
  }

  /** What is in docker-state.json. */
  async saved(): Promise<Record<string, unknown> | undefined> {
    const path = `${STATE_DIR}/docker-state.json`;
    if (!(await this.disk.exists(path))) return undefined;
    return JSON.parse(new TextDecoder().decode(await this.disk.readFile(path))) as Record<string, unknown>;
  }

  /** Puts a file into the state directory. */
  async write(name: string, text: string): Promise<void> {
    const path = `${STATE_DIR}/${name}`;
    await this.disk.makeDirectory(path.slice(0, path.lastIndexOf('/')), 0o700);
    await this.disk.writeFileAtomic(path, new TextEncoder().encode(text), 0o600);
  }
}
