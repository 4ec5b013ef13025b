import { create } from '@bufbuild/protobuf';

import {
  joinHostPort,
  LocalChannel,
  PeerSchema,
  RaftMemberStatus_Reachability,
  splitHostPort,
  WeightedPeerSchema,
  type BoundService,
  type NodeSpec_Availability,
  type RootCA,
  type RpcChannel,
  type RpcNetwork,
  type RpcServer,
  type TaskSpec,
  type WeightedPeer,
} from '../api/index.js';
import {
  aborted,
  canceled,
  Code,
  LinkedController,
  SwarmError,
  type Clock,
  type Component,
  type Disk,
  type Logger,
  type Random,
} from '../base/index.js';
import {
  authorizationView,
  CaServer,
  generateJoinToken,
  generateUnlockKey,
  isFipsCluster,
  type KeyFiles,
  type SecurityConfig,
  type WebCrypto,
} from '../ca/index.js';
import { MemoryStore, type Store } from '../store/index.js';
import { Allocator } from './allocator/index.js';
import { ensureOwnNode, newCluster } from './cluster-objects.js';
import { controlService, type RaftMembershipView } from './control-api/index.js';
import { openLogCipher } from './data-key.js';
import { Dispatcher } from './dispatcher/index.js';
import { HealthServer } from './health/index.js';
import { KekWatcher } from './kek-watcher.js';
import { KeyManager } from './key-manager/index.js';
import { LogBroker } from './log-broker/index.js';
import { createOrchestrators } from './orchestrator/index.js';
import { RaftNode, type Aead } from './raft-node/index.js';
import { Scheduler } from './scheduler/index.js';

/** Weight of every manager in what agents are told. Source: SwarmKit. */
const MANAGER_WEIGHT = 10n;

/** Value of an error's `details.kind`: the log holds no cluster, so an earlier start never got that far. */
export const NO_CLUSTER = 'no-cluster';

/** How a manager runs. */
export interface ManagerOptions {
  readonly stateDir: string;
  /** `host:port` to listen on; port 0 takes a free one. */
  readonly listenAddr: string;
  /** Address that others dial; an empty host or port is filled in from what was bound. */
  readonly advertiseAddr: string;
  /** Path of the local control socket. */
  readonly controlSocket: string;
  /** Availability of this node in a new cluster. */
  readonly availability: NodeSpec_Availability;
  /** For a new cluster only. */
  readonly newCluster?: {
    readonly rootCa: RootCA;
    readonly autoLock: boolean;
    readonly defaultAddressPool: readonly string[];
    readonly subnetSize: number;
    readonly dataPathPort: number;
  };
  readonly snapshotIntervalEntries?: number;
  readonly keptEntries?: number;
}

/** What a manager is built on. */
export interface ManagerDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly network: RpcNetwork;
  readonly crypto: WebCrypto;
  readonly aead: Aead;
  readonly security: SecurityConfig;
  readonly keyFiles: KeyFiles;
  /** What is wrong with the templates of a task, or undefined. */
  readonly checkTemplate: (spec: TaskSpec) => string | undefined;
}

/** What is there once the manager answers. */
export interface Serving {
  readonly store: Store;
  /** For calls to this manager, acting as its own node. Do not close it. */
  readonly channel: RpcChannel;
  /** Another such channel, which belongs to the caller. */
  readonly connect: () => RpcChannel;
  readonly listenAddr: string;
  readonly advertiseAddr: string;
}

/** One manager: the store behind its log, the services in front of it, and the components of the leader. */
export class Manager implements Component {
  readonly #options: ManagerOptions;
  readonly #deps: ManagerDeps;
  readonly #ready = Promise.withResolvers<void>();
  #serving: Serving | undefined;

  constructor(options: ManagerOptions, deps: ManagerDeps) {
    this.#options = options;
    this.#deps = { ...deps, log: deps.log.child({ module: 'manager', 'node.id': deps.security.peer.nodeId }) };
    this.#ready.promise.catch(() => undefined);
  }

  /** Resolves when every service answers; rejects when the start fails. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** What is there once ready; undefined before and after. */
  get serving(): Serving | undefined {
    return this.#serving;
  }

  /** Runs until the signal aborts. Rejects when a part failed: nothing of the manager runs on then. */
  async run(signal: AbortSignal): Promise<void> {
    using children = new LinkedController(signal);
    try {
      await this.#runWithLog(children);
    } catch (error) {
      this.#ready.reject(error);
      throw error;
    } finally {
      this.#ready.reject(canceled('the manager'));
      this.#serving = undefined;
    }
  }

  async #runWithLog(children: LinkedController): Promise<void> {
    const { stateDir, snapshotIntervalEntries, keptEntries } = this.#options;
    const { disk, clock, random, log, security } = this.#deps;
    const cipher = await openLogCipher(this.#deps);
    const store = new MemoryStore({}, { clock });
    const advertiseAddr = this.#advertiseAddr();
    const raft = new RaftNode(
      {
        stateDir,
        nodeId: security.peer.nodeId,
        addr: advertiseAddr,
        ...(snapshotIntervalEntries === undefined ? {} : { snapshotIntervalEntries }),
        ...(keptEntries === undefined ? {} : { keptEntries }),
      },
      { disk, clock, random, log, cipher, store },
    );
    await raft.open(children.signal);
    store.setProposer(raft);
    // The log outlives the leader's components, so that their last writes are kept.
    using logLife = new LinkedController(new AbortController().signal);
    await this.#runParts(children, [
      async (signal) => {
        try {
          await this.#lead(raft, store, advertiseAddr, signal);
        } finally {
          logLife.abort(canceled('the log'));
        }
      },
      () => raft.run(logLife.signal),
    ]);
  }

  /** The address to tell others, decided before anything is bound. */
  #advertiseAddr(): string {
    const listen = splitHostPort(this.#options.listenAddr);
    const advertise = splitHostPort(this.#options.advertiseAddr);
    if (listen.port === 0 && advertise.port === 0) {
      throw new SwarmError(
        Code.INVALID_ARGUMENT,
        `listen address ${this.#options.listenAddr}: port 0 needs an advertise address with a port`,
      );
    }
    return joinHostPort(advertise.host, advertise.port === 0 ? listen.port : advertise.port);
  }

  /** Makes sure that the cluster is there, then serves and runs what a leader runs. */
  async #lead(raft: RaftNode, store: MemoryStore, advertiseAddr: string, signal: AbortSignal): Promise<void> {
    await this.#ensureCluster(raft, store, advertiseAddr);
    const { clock, random, log, security, crypto, keyFiles } = this.#deps;
    const { nodeId, clusterId } = security.peer;
    const base = { store, clock, random, log };
    const health = new HealthServer();
    const dispatcher = new Dispatcher(
      { nodeId },
      {
        ...base,
        managers: soleManager(nodeId, advertiseAddr),
        securityRoot: () => security.rootCa.bundle,
        selfAddr: () => advertiseAddr,
      },
    );
    const ca = new CaServer({ clusterId, admitsManagers: false }, { ...base, crypto });
    const logBroker = new LogBroker({}, base);
    const control = controlService(
      {},
      {
        ...base,
        security: {
          newJoinToken: ({ rootCa }) =>
            generateJoinToken(rootCa?.caCertHash ?? '', random, { fips: isFipsCluster(clusterId) }),
          newUnlockKey: () => generateUnlockKey(random),
        },
        raft: soleMember(raft),
        checkTemplate: this.#deps.checkTemplate,
      },
    );
    const services = [control, dispatcher.service(), health.service(), ...ca.services(), ...logBroker.services()];
    const components: readonly Component[] = [
      ...createOrchestrators(base),
      new Allocator({ store, clock, log }),
      new Scheduler({}, base),
      new KeyManager({}, base),
      new KekWatcher({ clusterId }, { store, keyFiles, log }),
      ca,
      dispatcher,
      logBroker,
    ];
    using children = new LinkedController(signal);
    await this.#runParts(children, [
      ...components.map((component) => (inner: AbortSignal) => component.run(inner)),
      (inner) => this.#serve(services, store, health, advertiseAddr, inner),
    ]);
  }

  async #serve(
    services: readonly BoundService[],
    store: MemoryStore,
    health: HealthServer,
    advertiseAddr: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { network, security, log } = this.#deps;
    const self = () => security.peer;
    const channel = new LocalChannel(services, self);
    const servers: RpcServer[] = [];
    try {
      servers.push(await network.listenSocket(this.#options.controlSocket, services, self));
      const authorization = authorizationView(store, security.peer.clusterId);
      const remote = await network.listen(this.#options.listenAddr, {
        services,
        tls: { identity: security, authorization },
      });
      servers.push(remote);
      health.set('Raft', 'serving');
      health.set('ControlAPI', 'serving');
      const connect = (): RpcChannel => new LocalChannel(services, self);
      this.#serving = { store, channel, connect, listenAddr: remote.addr, advertiseAddr };
      log.info({ 'listen.addr': remote.addr, 'advertise.addr': advertiseAddr }, 'manager is ready');
      this.#ready.resolve();
      await aborted(signal);
    } finally {
      this.#serving = undefined;
      channel.close();
      await Promise.all(servers.map((server) => server.close()));
    }
  }

  async #ensureCluster(raft: RaftNode, store: Store, advertiseAddr: string): Promise<void> {
    const { security, random } = this.#deps;
    const { nodeId, clusterId } = security.peer;
    const fresh = this.#options.newCluster;
    await store.update((tx) => {
      if (tx.get('cluster', clusterId) === undefined) {
        if (fresh === undefined) {
          throw new SwarmError(Code.DATA_LOSS, 'the log holds no cluster: it was never completely created', {
            details: { kind: NO_CLUSTER },
          });
        }
        const unlockKey = fresh.autoLock ? generateUnlockKey(random) : undefined;
        tx.create('cluster', newCluster({ ...fresh, clusterId, unlockKey }));
      }
      ensureOwnNode(tx, {
        nodeId,
        certificatePem: security.current().certificatePem,
        availability: this.#options.availability,
        raftId: raft.status().memberId,
        addr: advertiseAddr,
      });
    });
  }

  /** Runs all parts; when one ends, the others are stopped and its failure is passed on. */
  async #runParts(
    children: LinkedController,
    parts: readonly ((signal: AbortSignal) => Promise<void>)[],
  ): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    const running = parts.map(async (part) => {
      try {
        await part(children.signal);
      } catch (error) {
        if (!children.signal.aborted) failure ??= { error };
      } finally {
        children.abort(canceled('the manager'));
      }
    });
    await Promise.all(running);
    if (failure !== undefined) throw failure.error;
  }
}

function soleManager(nodeId: string, addr: string): { current(): readonly WeightedPeer[]; subscribe(): Disposable } {
  const peer = create(PeerSchema, { nodeId, addr });
  const managers = [create(WeightedPeerSchema, { peer, weight: MANAGER_WEIGHT })];
  return { current: () => managers, subscribe: () => ({ [Symbol.dispose]: () => undefined }) };
}

function soleMember(raft: RaftNode): RaftMembershipView {
  return {
    members: () => {
      const { members, leaderId } = raft.status();
      return members.map(({ raftId, nodeId, addr }) => ({
        raftId,
        nodeId,
        addr,
        leader: raftId === leaderId,
        reachability: RaftMemberStatus_Reachability.REACHABLE,
      }));
    },
    canRemoveMember: () => false,
    admitsMembers: false,
  };
}
