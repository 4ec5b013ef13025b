import { CA, Control, createClient, Logs, splitHostPort, type RpcClient } from '../../api/index.js';
import { canceled, errorText, LinkedController, sleep, type Clock, type Disk, type Logger } from '../../base/index.js';
import { tlsProblemOf } from '../../ca/index.js';
import type { NodeOptions, NodeView, SwarmNode } from '../../node/index.js';
import type { Store } from '../../store/index.js';
import { ApiError } from '../http/index.js';
import type { HostInterface } from './addresses.js';
import { withDeadlines } from './deadline-channel.js';
import { leaveRefusal } from './leaving.js';
import { NodeRunner, type LocalNodeState } from './node-runner.js';
import {
  availabilityOf,
  refuseJoinToken,
  resolveInit,
  resolveJoin,
  startFailure,
  unlockKeyOf,
  type InitRequest,
  type JoinRequest,
  type StartHost,
} from './start-request.js';
import { StateFile, type SavedStart } from './state-file.js';
import { TEXTS } from './texts.js';

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

/** Clients of the local manager, acting as this node. */
export interface ManagerAccess {
  readonly control: RpcClient<typeof Control>;
  readonly ca: RpcClient<typeof CA>;
  readonly logs: RpcClient<typeof Logs>;
  readonly store: Store;
  readonly nodeId: string;
}

/** What the routes use of a {@link LocalNode}. */
export type LocalSwarm = Pick<
  LocalNode,
  'init' | 'join' | 'leave' | 'unlock' | 'status' | 'manager' | 'store' | 'subscribe'
>;

/** State of this engine with regard to swarm mode. */
export interface LocalNodeStatus {
  readonly state: LocalNodeState;
  readonly error: string;
  /** Undefined while no node runs: between two runs nothing is said of what the last one knew. */
  readonly view: NodeView | undefined;
  /** Whether the local manager answers. */
  readonly isManager: boolean;
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
  readonly #host: StartHost;
  #runner: NodeRunner | undefined;
  #start: SavedStart | undefined;
  #control: Promise<unknown> = Promise.resolve();
  readonly #listeners = new Set<() => void>();

  constructor(options: LocalNodeOptions, deps: LocalNodeDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#stateFile = new StateFile(options.stateDir, deps);
    this.#host = { ...deps, defaultAdvertiseAddr: options.defaultAdvertiseAddr };
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
      const start = resolveInit(request, this.#host);
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
        // A locked manager keeps its data and its state, so that unlocking it goes on from there.
        if (tlsProblemOf(error) === 'locked') throw new ApiError('unavailable', TEXTS.locked, error);
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
      const start = await resolveJoin(request, this.#host);
      const availability = availabilityOf(request.availability);
      refuseJoinToken(request.joinToken);
      await this.#stateFile.save(start);
      this.#run(start, {
        joinAddr: start.remoteAddr,
        joinToken: request.joinToken,
        availability,
      });
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
    const view = this.#activeNode()?.view();
    const { state, error } = runner?.status() ?? { state: 'inactive', error: '' };
    const start = runner === undefined ? undefined : this.#start;
    const nodeAddr =
      hostOf(start?.advertiseAddr ?? '') || hostOf(view?.advertiseAddr ?? '') || (start?.localAddr ?? '');
    const isManager = this.#activeNode()?.control() !== undefined;
    return { state, error, view, isManager, nodeAddr, dataPathAddr: start?.dataPathAddr ?? '' };
  }

  /** Access to the local manager, or the text that says why there is none (E-310). */
  manager(): ManagerAccess {
    const node = this.#activeNode();
    const channel = node?.control();
    const store = node?.store();
    if (node === undefined || channel === undefined || store === undefined) throw this.#notManager();
    const timed = withDeadlines(channel, this.#deps.clock);
    return {
      control: createClient(Control, timed),
      ca: createClient(CA, timed),
      logs: createClient(Logs, timed),
      store,
      nodeId: node.view().nodeId,
    };
  }

  /** Calls back after every change of the node's state until disposed. */
  subscribe(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** The local manager's store; undefined unless this node is a manager that serves. */
  store(): Store | undefined {
    return this.#activeNode()?.store();
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
    const node = runner.node();
    if (node === undefined) return new ApiError('unavailable', TEXTS.noSwarm);
    return new ApiError('unavailable', node.view().role === 'swarm-worker' ? TEXTS.worker : TEXTS.noControl);
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
    const runner = new NodeRunner(options, { ...this.#deps, onChange: () => this.#changed() });
    this.#runner = runner;
    // A join that outlasts its request, or the process, still has to be recorded as done.
    if (start.joinInProgress) {
      void runner.ready.then(
        () => this.#joined(runner),
        () => undefined,
      );
    }
    return runner;
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

  async #refuseLeave(runner: NodeRunner): Promise<void> {
    const { state } = runner.status();
    if (state === 'locked') throw new ApiError('unavailable', TEXTS.lockedLeave);
    if (runner.view()?.role !== 'swarm-manager') return;
    const manager = this.#activeNode()?.control() === undefined ? undefined : this.manager();
    throw new ApiError('unavailable', await leaveRefusal(manager, this.#deps));
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
