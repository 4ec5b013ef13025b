import {
  CA,
  Control,
  createClient,
  joinHostPort,
  Logs,
  NodeSpec_Availability,
  RaftMemberStatus_Reachability,
  splitHostPort,
  type RpcClient,
} from '../../api/index.js';
import {
  canceled,
  Code,
  errorText,
  isSwarmError,
  LinkedController,
  sleep,
  type Clock,
  type Disk,
  type Logger,
} from '../../base/index.js';
import { parseJoinToken, parseUnlockKey, tlsProblemOf } from '../../ca/index.js';
import type { NodeOptions, NodeView, SwarmNode } from '../../node/index.js';
import type { Store } from '../../store/index.js';
import { ApiError } from '../http/index.js';
import {
  checkAddressPools,
  completeAddress,
  resolveAdvertiseAddress,
  resolveDataPathAddress,
  resolveDataPathPort,
  resolveListenAddress,
  resolveLocalAddress,
  isUnspecifiedAddress,
  type HostInterface,
} from './addresses.js';
import { NodeRunner, type LocalNodeState } from './node-runner.js';
import { StateFile, type SavedStart } from './state-file.js';
import { quorumLossText, TEXTS } from './texts.js';

/** How long a join, and a resumed start, waits for readiness (engine-api E-313, E-341). */
const CONNECT_TIMEOUT_MS = 20_000;

/** Deadline of every manager action (engine-api E-116). */
export const REQUEST_TIMEOUT_MS = 20_000;

/** Where the engine keeps its swarm state and what the daemon was told. */
export interface LocalNodeOptions {
  /** `<data-root>/swarm`. */
  readonly stateDir: string;
  /** Path of the control socket while this node is a manager. */
  readonly controlSocket: string;
  /** Address or interface advertised where init and join name none. */
  readonly defaultAdvertiseAddr: string;
}

/** What the local node needs from below. */
export interface LocalNodeDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Logger;
  readonly interfaces: () => readonly HostInterface[];
  /** The address by which this host reaches `host:port`; used when joining. */
  readonly sourceAddress: (remote: string) => Promise<string>;
  readonly createNode: (options: NodeOptions) => SwarmNode;
  /** Removes what tasks of this node left behind. Called after the node has stopped for good. */
  readonly removeTasks: (nodeId: string) => Promise<void>;
}

/** A request to create a swarm. */
export interface InitRequest {
  /** Name in the spec: empty or "default". */
  readonly name: string;
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  readonly dataPathPort: number;
  readonly forceNewCluster: boolean;
  readonly autoLockManagers: boolean;
  /** Word of the request; empty means active. */
  readonly availability: string;
  /** Undefined when the request had none, which stores the default pool. */
  readonly defaultAddressPool: readonly string[] | undefined;
  readonly subnetSize: number;
}

/** A request to join a swarm. */
export interface JoinRequest {
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  readonly remoteAddrs: readonly string[];
  readonly joinToken: string;
  /** Word of the request; empty means active. */
  readonly availability: string;
}

/** Clients of the local manager, acting as this node. */
export interface ManagerAccess {
  readonly control: RpcClient<typeof Control>;
  readonly ca: RpcClient<typeof CA>;
  readonly logs: RpcClient<typeof Logs>;
  readonly store: Store;
  readonly nodeId: string;
}

/** State of this engine with regard to swarm mode. */
export interface LocalNodeStatus {
  readonly state: LocalNodeState;
  readonly error: string;
  readonly view: NodeView | undefined;
  /** Address advertised, without port. */
  readonly nodeAddr: string;
  readonly dataPathAddr: string;
}

/**
 * The swarm side of one engine: inactive, or a node that runs. Init, join, leave and unlock are serialised;
 * reads go on meanwhile.
 */
export class LocalNode {
  readonly #options: LocalNodeOptions;
  readonly #deps: LocalNodeDeps;
  readonly #stateFile: StateFile;
  #runner: NodeRunner | undefined;
  #start: SavedStart | undefined;
  #control: Promise<unknown> = Promise.resolve();
  readonly #listeners = new Set<() => void>();

  constructor(options: LocalNodeOptions, deps: LocalNodeDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#stateFile = new StateFile(options.stateDir, deps);
  }

  /** Takes up what an earlier process left: waits a bounded time for readiness, then carries on regardless (E-313). */
  resume(signal: AbortSignal): Promise<void> {
    return this.#serialised(async () => {
      const saved = await this.#stateFile.load();
      if (saved === undefined) return;
      const joining = saved.joinInProgress ? { joinAddr: saved.remoteAddr } : {};
      this.#run(saved, joining);
      await this.#readyWithin(CONNECT_TIMEOUT_MS, signal).catch((error: unknown) => {
        this.#deps.log.warn({ err: error }, 'swarm node is not ready yet');
      });
    });
  }

  /** Creates a swarm; returns the node id. */
  init(request: InitRequest): Promise<string> {
    return this.#serialised(async () => {
      this.#refuseInit(request.forceNewCluster);
      const start = this.#resolveInit(request);
      const availability = availabilityOf(request.availability);
      await this.#runner?.stop();
      this.#runner = undefined;
      await this.#stateFile.save(start);
      const runner = this.#run(start, {
        availability,
        autoLockManagers: request.autoLockManagers,
        forceNewCluster: request.forceNewCluster,
      });
      try {
        await runner.ready;
      } catch (error) {
        this.#runner = undefined;
        if (!request.forceNewCluster) await this.#stateFile.clear();
        throw startFailure(error);
      }
      return this.#view().nodeId;
    });
  }

  /** Joins a swarm; returns once this node has registered. */
  join(request: JoinRequest, signal: AbortSignal): Promise<void> {
    return this.#serialised(async () => {
      if (this.#runner !== undefined) throw new ApiError('unavailable', TEXTS.alreadyInSwarm);
      const start = await this.#resolveJoin(request);
      const availability = availabilityOf(request.availability);
      refuseJoinToken(request.joinToken);
      await this.#stateFile.save(start);
      const runner = this.#run(start, {
        joinAddr: start.remoteAddr,
        joinToken: request.joinToken,
        availability,
      });
      // A join that outlasts this request still has to be recorded as done.
      void runner.ready.then(
        () => this.#joined(runner),
        () => undefined,
      );
      let ready: boolean;
      try {
        ready = await this.#readyWithin(CONNECT_TIMEOUT_MS, signal);
      } catch (error) {
        this.#runner = undefined;
        await this.#stateFile.clear();
        throw startFailure(error);
      }
      if (!ready) throw new ApiError('unavailable', TEXTS.joinTimeout);
    });
  }

  /** Leaves the swarm and erases its state (E-351 to E-354). */
  leave(force: boolean): Promise<void> {
    return this.#serialised(async () => {
      const runner = this.#runner;
      if (runner === undefined) throw new ApiError('unavailable', TEXTS.notInSwarm);
      if (!force) await this.#refuseLeave(runner);
      const nodeId = runner.view()?.nodeId ?? '';
      await runner.stop();
      this.#runner = undefined;
      this.#start = undefined;
      if (nodeId !== '') await this.#deps.removeTasks(nodeId);
      await this.#stateFile.clear();
    });
  }

  /** Starts a locked manager with its unlock key, as a user types it (E-207, E-356). */
  unlock(keyText: string): Promise<void> {
    return this.#serialised(async () => {
      const runner = this.#runner;
      const start = this.#start;
      if (this.#activeNode()?.control() !== undefined) throw new ApiError('conflict', TEXTS.notLocked);
      if (runner?.status().state !== 'locked' || start === undefined) throw this.#notManager();
      const unlockKey = unlockKeyOf(keyText);
      await runner.stop();
      try {
        await this.#run(start, { unlockKey }).ready;
      } catch (error) {
        if (tlsProblemOf(error) === 'locked') throw new ApiError('unauthorized', TEXTS.invalidKey, error);
        throw new ApiError('system', `swarm component could not be started: ${errorText(error)}`, error);
      }
    });
  }

  /** Stops the node, keeping its state, when the engine shuts down. */
  stop(): Promise<void> {
    return this.#serialised(async () => this.#runner?.stop());
  }

  status(): LocalNodeStatus {
    const runner = this.#runner;
    const view = runner?.view();
    const { state, error } = runner?.status() ?? { state: 'inactive', error: '' };
    const start = runner === undefined ? undefined : this.#start;
    const nodeAddr =
      hostOf(start?.advertiseAddr ?? '') || hostOf(view?.advertiseAddr ?? '') || (start?.localAddr ?? '');
    return { state, error, view, nodeAddr, dataPathAddr: start?.dataPathAddr ?? '' };
  }

  /** Access to the local manager, or the text that says why there is none (E-310). */
  manager(): ManagerAccess {
    const node = this.#activeNode();
    const channel = node?.control();
    const store = node?.store();
    if (node === undefined || channel === undefined || store === undefined) throw this.#notManager();
    return {
      control: createClient(Control, channel),
      ca: createClient(CA, channel),
      logs: createClient(Logs, channel),
      store,
      nodeId: node.view().nodeId,
    };
  }

  /** Calls back after every change of the node's state until disposed. */
  subscribe(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** The running node, whatever its role. */
  node(): SwarmNode | undefined {
    return this.#activeNode();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #activeNode(): SwarmNode | undefined {
    return this.#runner?.node();
  }

  #view(): NodeView {
    const view = this.#runner?.view();
    if (view === undefined) throw new Error('a node that is ready has a view');
    return view;
  }

  #notManager(): ApiError {
    const runner = this.#runner;
    if (runner === undefined) return new ApiError('unavailable', TEXTS.noSwarm);
    const { error } = runner.status();
    if (error === TEXTS.locked || error === TEXTS.certificatesExpired) return new ApiError('unavailable', error);
    return new ApiError('unavailable', runner.view()?.role === 'swarm-worker' ? TEXTS.worker : TEXTS.noControl);
  }

  #run(start: SavedStart, extra: Partial<NodeOptions>): NodeRunner {
    const options: NodeOptions = {
      stateDir: this.#options.stateDir,
      listenControlApi: this.#options.controlSocket,
      listenRemoteApi: start.listenAddr,
      ...(start.advertiseAddr === '' ? {} : { advertiseRemoteApi: start.advertiseAddr }),
      defaultAddressPool: start.defaultAddressPool,
      subnetSize: start.subnetSize,
      dataPathPort: start.dataPathPort,
      ...extra,
    };
    this.#start = start;
    this.#runner = new NodeRunner(options, { ...this.#deps, onChange: () => this.#changed() });
    return this.#runner;
  }

  async #joined(runner: NodeRunner): Promise<void> {
    if (this.#runner !== runner || this.#start === undefined) return;
    this.#start = { ...this.#start, joinInProgress: false };
    await this.#stateFile.save(this.#start).catch((error: unknown) => {
      this.#deps.log.error({ err: error }, 'cannot record that the join is complete');
    });
  }

  /** Whether the node became ready in time; rejects when its start failed. */
  async #readyWithin(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    using timer = new LinkedController(signal);
    const late = sleep(this.#deps.clock, timeoutMs, timer.signal).then(
      () => false,
      () => false,
    );
    try {
      return (await Promise.race([this.#runner?.ready.then(() => true), late])) === true;
    } finally {
      timer.abort(canceled('the wait'));
    }
  }

  #refuseInit(forceNewCluster: boolean): void {
    const runner = this.#runner;
    if (runner === undefined) return;
    if (!forceNewCluster) throw new ApiError('unavailable', TEXTS.alreadyInSwarm);
    if (runner.status().state === 'locked') throw new ApiError('unavailable', TEXTS.locked);
    if (runner.view()?.role !== 'swarm-manager') throw new ApiError('unavailable', TEXTS.worker);
  }

  #resolveInit(request: InitRequest): SavedStart {
    const listenAddr = completeAddress(request.listenAddr, 'ListenAddr');
    if (request.name !== '' && request.name !== 'default') throw new ApiError('invalid-parameter', TEXTS.wrongName);
    const interfaces = this.#deps.interfaces();
    const listen = resolveListenAddress(listenAddr, interfaces);
    const advertise = resolveAdvertiseAddress(
      request.advertiseAddr,
      this.#options.defaultAdvertiseAddr,
      listen.port,
      interfaces,
    );
    const dataPathAddr = resolveDataPathAddress(request.dataPathAddr, interfaces);
    const localAddr = resolveLocalAddress(listen.host, advertise.host, interfaces);
    checkAddressPools(request.defaultAddressPool, request.subnetSize);
    return {
      localAddr,
      remoteAddr: '',
      listenAddr: joinHostPort(listen.host, listen.port),
      advertiseAddr: joinHostPort(advertise.host, advertise.port),
      dataPathAddr,
      defaultAddressPool: (request.defaultAddressPool ?? []).map((pool) => pool.trim()),
      subnetSize: request.subnetSize,
      dataPathPort: resolveDataPathPort(request.dataPathPort),
      joinInProgress: false,
    };
  }

  async #resolveJoin(request: JoinRequest): Promise<SavedStart> {
    const listenAddr = completeAddress(request.listenAddr, 'ListenAddr');
    const [remoteAddr] = request.remoteAddrs.map((remote) => completeAddress(remote, 'remoteAddr'));
    if (remoteAddr === undefined) throw new ApiError('invalid-parameter', TEXTS.remoteNeeded);
    const interfaces = this.#deps.interfaces();
    const listen = resolveListenAddress(listenAddr, interfaces);
    return {
      localAddr: await this.#localAddressForJoin(listen.host, remoteAddr),
      remoteAddr,
      listenAddr: joinHostPort(listen.host, listen.port),
      advertiseAddr: this.#advertiseForJoin(request.advertiseAddr, listen.port, interfaces),
      dataPathAddr: resolveDataPathAddress(request.dataPathAddr, interfaces),
      defaultAddressPool: [],
      subnetSize: 0,
      dataPathPort: 0,
      joinInProgress: true,
    };
  }

  /** Where this node listens, or the address by which it reaches the remote (E-336). */
  async #localAddressForJoin(listenHost: string, remoteAddr: string): Promise<string> {
    if (!isUnspecifiedAddress(listenHost)) return listenHost;
    try {
      return await this.#deps.sourceAddress(remoteAddr);
    } catch (error) {
      throw new ApiError('system', `could not find local IP address: ${errorText(error)}`, error);
    }
  }

  /** One that does not resolve is left out: the manager sees where the node calls from (E-344). */
  #advertiseForJoin(given: string, listenPort: number, interfaces: readonly HostInterface[]): string {
    if (given === '') return '';
    try {
      const { host, port } = resolveAdvertiseAddress(given, '', listenPort, interfaces);
      return joinHostPort(host, port);
    } catch (error) {
      this.#deps.log.warn({ err: error, 'advertise.addr': given }, 'advertise address is ignored');
      return '';
    }
  }

  async #refuseLeave(runner: NodeRunner): Promise<void> {
    const { state } = runner.status();
    if (state === 'locked') throw new ApiError('unavailable', TEXTS.lockedLeave);
    if (runner.view()?.role !== 'swarm-manager') return;
    throw new ApiError('unavailable', `${TEXTS.managerLeave}${await this.#leaveConsequence()}`);
  }

  async #leaveConsequence(): Promise<string> {
    if (this.#activeNode()?.control() === undefined) return `${TEXTS.mayLoseConsensus}${TEXTS.restoreHint}`;
    const { control, nodeId } = this.manager();
    const signal = new AbortController().signal;
    const { nodes } = await control.listNodes({}, { signal, timeoutMs: REQUEST_TIMEOUT_MS });
    const inState = (state: RaftMemberStatus_Reachability): readonly string[] =>
      nodes.filter(({ managerStatus }) => managerStatus?.reachability === state).map(({ id }) => id);
    const reachableIds = inState(RaftMemberStatus_Reachability.REACHABLE);
    const reachable = reachableIds.length;
    const unreachable = inState(RaftMemberStatus_Reachability.UNREACHABLE).length;
    const active = reachableIds.includes(nodeId);
    if (!active || reachable - 2 > unreachable) return TEXTS.restoreHint;
    if (reachable === 1 && unreachable === 0) return TEXTS.lastManager;
    return `${quorumLossText(reachable - 1, reachable + unreachable)}${TEXTS.restoreHint}`;
  }

  #serialised<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#control.then(action);
    this.#control = result.catch(() => undefined);
    return result;
  }
}

function hostOf(address: string): string {
  return address === '' ? '' : splitHostPort(address).host;
}

/** An availability as init and join name it; a wrong one is a plain error there (E-345). */
function availabilityOf(given: string): NodeSpec_Availability {
  if (given === '') return NodeSpec_Availability.ACTIVE;
  const availability = NodeSpec_Availability[given.toUpperCase() as keyof typeof NodeSpec_Availability];
  if (typeof availability === 'number') return availability;
  throw new ApiError('system', `invalid Availability: ${JSON.stringify(given)}`);
}

function unlockKeyOf(text: string): Uint8Array {
  try {
    return parseUnlockKey(text);
  } catch (error) {
    throw new ApiError('invalid-parameter', TEXTS.invalidKeyString, error);
  }
}

/** What is no token at all is refused before any manager is asked; no token is the manager's to refuse (E-342). */
function refuseJoinToken(text: string): void {
  if (text === '') return;
  try {
    parseJoinToken(text);
  } catch (error) {
    throw new ApiError('system', errorText(error), error);
  }
}

/** Codes of failures that this node met by itself: their texts go out without the rendering of a remote error. */
const LOCAL_CODES: ReadonlySet<Code> = new Set([Code.FAILED_PRECONDITION, Code.DATA_LOSS, Code.PERMISSION_DENIED]);

function startFailure(error: unknown): unknown {
  return isSwarmError(error) && LOCAL_CODES.has(error.code) ? new ApiError('system', error.message, error) : error;
}
