import { create } from '@bufbuild/protobuf';

import {
  Agent,
  checkTaskTemplates,
  Remotes,
  type AgentDatabase,
  type Executor,
  type ManagerConnection,
} from '../agent/index.js';
import {
  NodeSpec_Availability,
  PeerSchema,
  type Cluster,
  type Peer,
  type RpcChannel,
  type RpcNetwork,
  type SessionMessage,
} from '../api/index.js';
import {
  canceled,
  Code,
  isSwarmError,
  LinkedController,
  makeDurableDirectory,
  SwarmError,
  WakeUp,
  type Clock,
  type Disk,
  type DiskLock,
  type Logger,
  type Random,
} from '../base/index.js';
import {
  CertificateClient,
  KeyFiles,
  TlsRenewer,
  type CaConnector,
  type SecurityConfig,
  type WebCrypto,
} from '../ca/index.js';
import { Manager, NO_CLUSTER, type Aead } from '../manager/index.js';
import type { Store } from '../store/index.js';
import { obtainIdentity } from './identity.js';
import type { NodeOptions } from './options.js';
import { RemotesFile } from './remotes-file.js';
import type { NodeView, SwarmNode } from './swarm-node.js';
import { TrustedRoot } from './trusted-root.js';

/** Only the owner may look into a node's state. */
const DIRECTORY_MODE = 0o700;

/** What a node is built on. */
export interface NodeDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly network: RpcNetwork;
  readonly crypto: WebCrypto;
  readonly aead: Aead;
  readonly executor: Executor;
  /** Opens the agent's database in this file. */
  readonly openDatabase: (path: string) => AgentDatabase;
  /** The address by which this host reaches others, for a manager that is told none to advertise. */
  readonly hostAddress: () => string;
}

/** What exists once the node knows who it is. */
interface Life {
  readonly security: SecurityConfig;
  readonly agent: Agent;
  readonly renewer: TlsRenewer;
  readonly manager: Manager | undefined;
}

/** One machine's part in a swarm. Runs once; to run again, make another. */
export class Node implements SwarmNode {
  readonly #options: NodeOptions;
  readonly #deps: NodeDeps;
  readonly #ready = Promise.withResolvers<void>();
  readonly #listeners = new Set<() => void>();
  readonly #keyFiles: KeyFiles;
  readonly #remotesFile: RemotesFile;
  readonly #remotesChanged = new WakeUp();
  #remotes = new Remotes();
  #life: Life | undefined;
  #security: SecurityConfig | undefined;
  #agentReady = false;
  readonly #trustedRoot: TrustedRoot;

  constructor(options: NodeOptions, deps: NodeDeps) {
    this.#options = options;
    this.#deps = { ...deps, log: deps.log.child({ module: 'node' }) };
    this.#keyFiles = new KeyFiles(
      {
        directory: `${options.stateDir}/certificates`,
        ...(options.unlockKey === undefined ? {} : { unlockKey: options.unlockKey }),
      },
      deps,
    );
    this.#remotesFile = new RemotesFile(options.stateDir, deps);
    this.#trustedRoot = new TrustedRoot({ ...this.#deps, keyFiles: this.#keyFiles });
    this.#ready.promise.catch(() => undefined);
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  view(): NodeView {
    const peer = this.#security?.peer;
    const serving = this.#life?.manager?.serving;
    return {
      nodeId: peer?.nodeId ?? '',
      clusterId: peer?.clusterId ?? '',
      role: peer?.role,
      managers: this.#remotes.weights(),
      agentReady: this.#agentReady,
      controlReady: serving !== undefined,
      listenAddr: serving?.listenAddr ?? '',
      advertiseAddr: serving?.advertiseAddr ?? '',
    };
  }

  subscribe(listener: () => void): Disposable {
    const entry = (): void => listener();
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }

  control(): RpcChannel | undefined {
    return this.#life?.manager?.serving?.channel;
  }

  store(): Store | undefined {
    return this.#life?.manager?.serving?.store;
  }

  cluster(): Cluster | undefined {
    const clusterId = this.#security?.peer.clusterId ?? '';
    return this.store()?.view((tx) => tx.get('cluster', clusterId));
  }

  async run(signal: AbortSignal): Promise<void> {
    let lock: DiskLock | undefined;
    try {
      await makeDurableDirectory(this.#deps.disk, this.#options.stateDir, DIRECTORY_MODE);
      lock = await this.#deps.disk.lock(this.#options.stateDir);
      await this.#runLocked(signal);
    } catch (error) {
      this.#ready.reject(error);
      throw error;
    } finally {
      this.#ready.reject(canceled('the node'));
      this.#life = undefined;
      this.#changed();
      await lock?.release();
    }
  }

  async #runLocked(signal: AbortSignal): Promise<void> {
    await this.#loadRemotes();
    try {
      await this.#live(signal);
    } catch (error) {
      if (!isSwarmError(error) || error.details['kind'] !== NO_CLUSTER || this.#options.joinAddr !== undefined)
        throw error;
      if (!this.#remotesFile.isEmpty) throw this.#lostLog(error);
      // An earlier start was killed before its cluster existed: nothing was ever acknowledged, so begin anew.
      this.#deps.log.warn({}, 'the cluster of an earlier start was never created; beginning anew');
      await this.#forgetCluster();
      await this.#live(signal);
    }
  }

  /** Who has had a session was part of a cluster: its log is lost, and nothing else may be thrown away. */
  #lostLog(cause: unknown): SwarmError {
    const { stateDir } = this.#options;
    return new SwarmError(
      Code.DATA_LOSS,
      `${stateDir}/raft holds no cluster, although this node was part of one: restore the directory "raft" from a ` +
        `backup, or empty ${stateDir} to begin anew`,
      { details: { path: `${stateDir}/raft` }, cause },
    );
  }

  async #forgetCluster(): Promise<void> {
    this.#life = undefined;
    this.#security = undefined;
    await this.#keyFiles.clear();
    for (const name of ['raft', 'worker', 'state.json'])
      await this.#deps.disk.remove(`${this.#options.stateDir}/${name}`);
  }

  async #loadRemotes(): Promise<void> {
    const known = await this.#remotesFile.load();
    const joined = this.#options.joinAddr === undefined ? [] : [create(PeerSchema, { addr: this.#options.joinAddr })];
    this.#remotes = new Remotes([...known, ...joined]);
  }

  async #live(signal: AbortSignal): Promise<void> {
    const connector = this.#caConnector();
    const identity = await obtainIdentity(
      this.#options,
      { ...this.#deps, keyFiles: this.#keyFiles, connector },
      signal,
    );
    this.#security = identity.security;
    const workerDir = `${this.#options.stateDir}/worker`;
    await makeDurableDirectory(this.#deps.disk, workerDir, DIRECTORY_MODE);
    const database = this.#deps.openDatabase(`${workerDir}/tasks.db`);
    try {
      const life = this.#createLife(identity.security, identity.newRootCa, database, connector);
      this.#life = life;
      this.#changed();
      await this.#runLife(life, signal);
    } finally {
      await this.#trustedRoot.idle();
      await database.close();
    }
  }

  #createLife(
    security: SecurityConfig,
    newRootCa: Awaited<ReturnType<typeof obtainIdentity>>['newRootCa'],
    database: AgentDatabase,
    connector: CaConnector,
  ): Life {
    const { clock, random, log, executor } = this.#deps;
    const client = new CertificateClient({ fips: false }, { ...this.#deps, keyFiles: this.#keyFiles, connector });
    const renewer = new TlsRenewer({
      security,
      keyFiles: this.#keyFiles,
      client,
      clock,
      random,
      log,
      onUpdate: () => {
        agent.checkDescription();
        this.#changed();
      },
    });
    const agent = new Agent(
      { certificateErrorsAreFatal: this.#options.joinAddr !== undefined },
      {
        connect: () => this.#connect(security),
        executor,
        database,
        clock,
        random,
        log,
        onSessionMessage: (message) => this.#onSessionMessage(message, security, renewer),
        tlsInfo: () => security.tlsInfo,
      },
    );
    const manager = security.peer.role === 'swarm-manager' ? this.#createManager(security, newRootCa) : undefined;
    return { security, agent, renewer, manager };
  }

  #createManager(
    security: SecurityConfig,
    newRootCa: Awaited<ReturnType<typeof obtainIdentity>>['newRootCa'],
  ): Manager {
    const options = this.#options;
    return new Manager(
      {
        stateDir: options.stateDir,
        listenAddr: options.listenRemoteApi,
        advertiseAddr: options.advertiseRemoteApi ?? advertiseDefault(options.listenRemoteApi, this.#deps.hostAddress),
        controlSocket: options.listenControlApi,
        availability: options.availability ?? NodeSpec_Availability.ACTIVE,
        ...(newRootCa === undefined
          ? {}
          : {
              newCluster: {
                rootCa: newRootCa,
                autoLock: options.autoLockManagers ?? false,
                defaultAddressPool: options.defaultAddressPool ?? [],
                subnetSize: options.subnetSize ?? 0,
                dataPathPort: options.dataPathPort ?? 0,
              },
            }),
        ...(options.snapshotIntervalEntries === undefined
          ? {}
          : { snapshotIntervalEntries: options.snapshotIntervalEntries }),
        ...(options.keepEntriesForSlowFollowers === undefined
          ? {}
          : { keptEntries: options.keepEntriesForSlowFollowers }),
      },
      { ...this.#deps, security, keyFiles: this.#keyFiles, checkTemplate: checkTaskTemplates },
    );
  }

  /** Runs manager, agent and renewer until one of them fails or the signal aborts. */
  async #runLife(life: Life, signal: AbortSignal): Promise<void> {
    using children = new LinkedController(signal);
    // The agent ends before its manager, so that its last words arrive.
    using managerLife = new LinkedController(new AbortController().signal);
    let failure: { readonly error: unknown } | undefined;
    const guard = async (part: Promise<void>): Promise<void> => {
      try {
        await part;
      } catch (error) {
        if (!children.signal.aborted) failure ??= { error };
      } finally {
        children.abort(canceled('the node'));
      }
    };
    const manager = life.manager === undefined ? undefined : guard(life.manager.run(managerLife.signal));
    life.manager?.ready.then(
      () => this.#changed(),
      () => undefined,
    );
    const ready = this.#announceReady(life);
    await Promise.all([
      guard(life.agent.run(children.signal)),
      guard(life.renewer.run(children.signal)),
      guard(this.#saveRemotes(children.signal)),
    ]);
    managerLife.abort(canceled('the node'));
    await manager;
    await ready;
    if (failure !== undefined) throw failure.error;
  }

  async #announceReady(life: Life): Promise<void> {
    try {
      await Promise.all([life.agent.ready, life.manager?.ready]);
      this.#agentReady = true;
      this.#changed();
      this.#ready.resolve();
    } catch {
      // The same failure ends the part that it comes from, and is passed on there.
    }
  }

  async #saveRemotes(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#remotesChanged.wait(signal);
      await this.#remotesFile.save(this.#remotes.weights());
    }
  }

  /** The local manager where there is one, else a remote by weight. */
  async #connect(security: SecurityConfig): Promise<ManagerConnection> {
    const manager = this.#life?.manager;
    if (manager !== undefined) {
      await manager.ready;
      const serving = manager.serving;
      if (serving !== undefined) {
        return { channel: serving.connect(), addr: serving.advertiseAddr, observe: () => undefined };
      }
    }
    const peer = this.#remotes.select(this.#deps.random);
    return {
      channel: this.#deps.network.dial(peer.addr, { kind: 'mutual', identity: security }),
      addr: peer.addr,
      observe: (weight) => this.#remotes.observeIfExists(peer, weight),
    };
  }

  #caConnector(): CaConnector {
    return {
      connect: (credentials, remoteOnly) => {
        const serving = remoteOnly ? undefined : this.#life?.manager?.serving;
        if (serving !== undefined && credentials.kind === 'mutual') {
          const channel = serving.connect();
          return { channel, close: () => channel.close() };
        }
        const peer: Peer = this.#remotes.select(this.#deps.random);
        const channel = this.#deps.network.dial(peer.addr, credentials);
        const close = (ok: boolean): void => {
          channel.close();
          this.#remotes.observeIfExists(peer, ok ? 10 : -10);
        };
        return { channel, close };
      },
    };
  }

  #onSessionMessage(message: SessionMessage, security: SecurityConfig, renewer: TlsRenewer): void {
    this.#remotes.replace(message.managers);
    this.#remotesChanged.notify();
    if (message.node !== undefined) renewer.observe(message.node);
    if (message.RootCA.length > 0) this.#trustedRoot.take(message.RootCA, security);
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** The listen address, with the host's own address in place of "every address". */
function advertiseDefault(listenAddr: string, hostAddress: () => string): string {
  const match = /^(?:0\.0\.0\.0|\[::\]|):(\d+)$/.exec(listenAddr);
  if (match === null) return listenAddr;
  const host = hostAddress();
  return `${host.includes(':') ? `[${host}]` : host}:${match[1] ?? ''}`;
}
