import { toBinary } from '@bufbuild/protobuf';

import {
  NodeDescriptionSchema,
  NodeStatus_State as NodeState,
  msFromDuration,
  type NodeDescription,
} from '../../api/index.js';
import {
  Code,
  LinkedController,
  SwarmError,
  WakeUp,
  canceled,
  errorText,
  isSwarmError,
  orAborted,
  sleep,
} from '../../base/index.js';
import { by, type ObjectEvent, type StoreEvent, type Subscription, type WatchOptions } from '../../store/index.js';
import { canBeOrphaned, writeNodeUnknown, writeTaskOrphaned, type NodeUpdate } from './changes.js';
import type { DispatcherDependencies } from './dispatcher.js';
import { EventRouter } from './event-router.js';
import { NodeRegistry } from './node-registry.js';
import type { NodeSession } from './node-session.js';
import type { DispatcherSettings } from './options.js';
import { currentFacts, nextFacts, type SessionFacts } from './session-facts.js';
import { MustDisconnect } from './streams.js';
import { DispatcherWriters } from './writers.js';

/** Name of the only cluster object. Source: SwarmKit. */
const CLUSTER_NAME = 'default';

/** Encoded size of a node description at the most: larger ones could not be stored together with others. */
const DESCRIPTION_BYTES_MAX = 512 * 1024;

/** Events handled before the event loop gets a turn: a few milliseconds' work. */
const EVENTS_PER_TURN = 8_000;

/** Wait before orphaning is tried again where it could not be written, in ms. */
const ORPHAN_RETRY_MS = 60_000;

const DOWN_MESSAGE = 'heartbeat failure';
const DOWN_UNKNOWN_MESSAGE = 'heartbeat failure for node in "unknown" state';
const DISCONNECTED_MESSAGE = 'node is currently trying to find new manager';

/** Who registers, and from where. */
export interface Registration {
  readonly nodeId: string;
  /** IP address of the node; empty when it is not known. */
  readonly addr: string;
  readonly description: NodeDescription | undefined;
}

/** One stretch of leadership: everything in it is derived from the store at the start and dropped at the end. */
export class LeaderTerm {
  readonly registry: NodeRegistry;
  readonly router = new EventRouter();
  readonly writers: DispatcherWriters;
  readonly #settings: DispatcherSettings;
  readonly #deps: DispatcherDependencies;
  /** Notified when a deadline may have come closer. */
  readonly #deadlineChanged = new WakeUp();
  readonly #factsChanged = new WakeUp();
  #stopping = false;
  #facts: SessionFacts = { managers: [], networkBootstrapKeys: [], rootCa: new Uint8Array() };

  constructor(settings: DispatcherSettings, deps: DispatcherDependencies) {
    this.#settings = settings;
    this.#deps = deps;
    this.registry = new NodeRegistry(settings, deps.random);
    this.writers = new DispatcherWriters({
      store: deps.store,
      clock: deps.clock,
      log: deps.log,
      nodeId: settings.nodeId,
      observeSchedulingDelay: deps.observeSchedulingDelay ?? (() => undefined),
      reportsLost: (nodeIds, error) => this.#reportsLost(nodeIds, error),
    });
  }

  /** What every session message carries now. */
  readonly facts = (): SessionFacts => this.#facts;

  /** Expects all known nodes. Nothing may register before this has ended. */
  async start(signal: AbortSignal): Promise<Subscription> {
    const { store, clock } = this.#deps;
    const [nodes, subscription] = store.viewAndWatch((tx) => tx.find('node', by.all()), this.#watchOptions());
    using abandoned = new DisposableStack();
    abandoned.use(subscription);
    this.#refreshFacts();
    for (const node of nodes) {
      if (node.status?.state === NodeState.DOWN) this.registry.addDown(node.id, clock.monotonicMs());
      else this.registry.addUnknown(node.id, clock.monotonicMs());
    }
    const marking = this.writers.batch(
      nodes.map(({ id }) => id),
      (tx, id) => {
        writeNodeUnknown(tx, id);
      },
    );
    await orAborted(marking, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      this.#deps.log.warn({ error: errorText(error) }, 'nodes could not be marked as unknown');
    });
    abandoned.move();
    return subscription;
  }

  /** Works until the signal aborts. Errors of a part end the others. */
  async run(subscription: Subscription, signal: AbortSignal): Promise<void> {
    using loops = new LinkedController(signal);
    const writing = new AbortController();
    using _managers = this.#deps.managers.subscribe(() => this.#factsChanged.notify());
    const writers = this.writers.run(writing.signal);
    const parts = [
      this.#followEvents(subscription, loops.signal),
      this.#followManagers(loops.signal),
      this.#watchDeadlines(loops.signal),
    ];
    try {
      await Promise.race(parts);
    } finally {
      loops.abort(canceled('the dispatcher'));
      await Promise.allSettled(parts);
      await this.#stop(writers, () => writing.abort(canceled('the dispatcher')));
    }
  }

  /** Registers a node; resolves once it is stored as READY. */
  async register(registration: Registration, signal: AbortSignal): Promise<NodeSession> {
    const { nodeId } = registration;
    const node = this.#deps.store.view((tx) => tx.get('node', nodeId));
    if (node === undefined) throw new SwarmError(Code.NOT_FOUND, 'node not found', { details: { 'node.id': nodeId } });
    const refusal = this.registry.admit(nodeId, this.#deps.clock.monotonicMs());
    if (refusal !== undefined) throw refusal;
    await this.markReady(registration, signal);
    this.assertRunning();
    // The node may have been removed while its state was being written.
    if (this.#deps.store.view((tx) => tx.get('node', nodeId)) === undefined) {
      throw new SwarmError(Code.NOT_FOUND, 'node not found', { details: { 'node.id': nodeId } });
    }
    const session = this.registry.open(nodeId, this.#deps.clock.monotonicMs());
    this.#deps.log.info({ 'node.id': nodeId, 'session.id': session.sessionId }, 'node registered');
    return session;
  }

  /** Stores that a node is ready, with its description and address. */
  async markReady({ nodeId, addr, description }: Registration, signal: AbortSignal): Promise<void> {
    if (this.#facts.managers.length === 0) {
      throw new SwarmError(Code.UNAVAILABLE, 'the managers of the cluster are not known yet');
    }
    if (description !== undefined && toBinary(NodeDescriptionSchema, description).length > DESCRIPTION_BYTES_MAX) {
      throw new SwarmError(
        Code.INVALID_ARGUMENT,
        `the description of node ${nodeId} is larger than ${DESCRIPTION_BYTES_MAX} bytes`,
      );
    }
    this.registry.expect(nodeId, this.#deps.clock.monotonicMs());
    this.#deadlineChanged.notify();
    await orAborted(this.writers.node(nodeId, { state: NodeState.READY, message: '', addr, description }), signal);
  }

  /** Aborted once this leader has begun to stop. */
  assertRunning(): void {
    if (this.#stopping) throw dispatcherStopped();
  }

  #watchOptions(): WatchOptions {
    return {
      tables: ['task', 'node', 'cluster', 'volume'],
      commits: false,
      filter: (event) => event.table === 'node' || event.table === 'cluster' || this.router.concerns(event),
    };
  }

  async #followEvents(first: Subscription, signal: AbortSignal): Promise<void> {
    let subscription = first;
    try {
      while (true) {
        try {
          await this.#route(await subscription.next(signal), signal);
        } catch (error) {
          if (!isSwarmError(error, Code.RESOURCE_EXHAUSTED)) throw error;
          this.#deps.log.warn({}, 'store events were missed; every node is compared anew');
          subscription[Symbol.dispose]();
          subscription = this.#resubscribe();
        }
      }
    } finally {
      subscription[Symbol.dispose]();
    }
  }

  #resubscribe(): Subscription {
    const [nodes, subscription] = this.#deps.store.viewAndWatch(
      (tx) => tx.find('node', by.all()),
      this.#watchOptions(),
    );
    const known = new Set(nodes.map(({ id }) => id));
    for (const { nodeId } of this.registry.sessions()) {
      if (!known.has(nodeId)) this.registry.remove(nodeId);
    }
    this.router.touchAll();
    this.#refreshFacts();
    for (const session of this.registry.sessions()) session.notify('session');
    return subscription;
  }

  async #route(events: readonly StoreEvent[], signal: AbortSignal): Promise<void> {
    let handled = 0;
    for (const event of events) {
      if (event.kind !== 'commit') this.#routeOne(event);
      if (++handled % EVENTS_PER_TURN === 0) await sleep(this.#deps.clock, 0, signal);
    }
  }

  #routeOne(event: ObjectEvent): void {
    switch (event.table) {
      case 'task':
        this.router.task(event);
        return;
      case 'volume':
        this.router.volume(event);
        return;
      case 'cluster':
        this.#refreshFacts();
        return;
      case 'node':
        if (event.kind === 'remove') this.registry.remove(event.object.id);
        else this.registry.sessionOf(event.object.id)?.notify('session');
        return;
      default:
        return;
    }
  }

  async #followManagers(signal: AbortSignal): Promise<void> {
    while (true) {
      await this.#factsChanged.wait(signal);
      this.#refreshFacts();
    }
  }

  #refreshFacts(): void {
    const [cluster] = this.#deps.store.view((tx) => tx.find('cluster', by.name(CLUSTER_NAME)));
    this.registry.setPeriod(msFromDuration(cluster?.spec?.dispatcher?.heartbeatPeriod));
    const facts = currentFacts(cluster, this.#deps.managers.current(), this.#deps.securityRoot);
    const next = nextFacts(this.#facts, facts);
    if (next === this.#facts) return;
    this.#facts = next;
    for (const session of this.registry.sessions()) session.notify('session');
  }

  async #watchDeadlines(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (true) {
      const { wakeAtMs } = this.registry;
      // Rounded up: what is lost between the two scales must not wake this loop before its time, over and over.
      const delayMs = wakeAtMs === undefined ? undefined : Math.ceil(wakeAtMs - clock.monotonicMs());
      await this.#deadlineChanged.waitUntil(clock, delayMs === undefined ? undefined : clock.nowMs() + delayMs, signal);
      for (const { nodeId, unknown } of this.registry.takeExpired(clock.monotonicMs())) {
        this.#deps.log.info({ 'node.id': nodeId }, 'node is down');
        const message = unknown ? DOWN_UNKNOWN_MESSAGE : DOWN_MESSAGE;
        void this.writers.node(nodeId, nodeUpdate(NodeState.DOWN, message));
      }
      for (const nodeId of this.registry.takeOrphaned(clock.monotonicMs())) await this.#orphan(nodeId, signal);
    }
  }

  async #orphan(nodeId: string, signal: AbortSignal): Promise<void> {
    const tasks = this.#deps.store.view((tx) => tx.find('task', by.node(nodeId)));
    const applied = this.writers.applied();
    const giveUp = this.writers.batch(
      tasks.filter(canBeOrphaned).map(({ id }) => id),
      (tx, id) => {
        if (this.registry.sessionOf(nodeId) === undefined) writeTaskOrphaned(tx, nodeId, id, applied);
      },
    );
    await orAborted(giveUp, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      this.#deps.log.warn({ 'node.id': nodeId, error: errorText(error) }, 'tasks could not be orphaned; tried again');
      this.registry.addDown(nodeId, this.#deps.clock.monotonicMs(), ORPHAN_RETRY_MS);
    });
  }

  /**
   * A report is acknowledged when it is queued. Where it then could not be written its node must report
   * again: that is what an agent does with every task whenever it registers.
   */
  #reportsLost(nodeIds: ReadonlySet<string>, error: SwarmError): void {
    this.#deps.log.warn({ nodes: nodeIds.size, error: error.message }, 'reports could not be written');
    for (const nodeId of nodeIds) {
      this.registry.endSession(nodeId, new SwarmError(Code.ABORTED, 'reports could not be stored; register again'));
    }
  }

  /** Ends all sessions and, as far as this leader still can, stores that and what was reported before. */
  async #stop(writers: Promise<void>, finishWriting: () => void): Promise<void> {
    this.#stopping = true;
    for (const session of this.registry.sessions()) {
      session.end(new MustDisconnect());
      void this.writers.node(session.nodeId, nodeUpdate(NodeState.DISCONNECTED, DISCONNECTED_MESSAGE));
    }
    finishWriting();
    const waiting = new AbortController();
    await Promise.race([
      writers,
      sleep(this.#deps.clock, this.#settings.stopTimeoutMs, waiting.signal).catch(errorText),
    ]);
    waiting.abort(canceled('the wait'));
  }
}

function nodeUpdate(state: NodeState, message: string): NodeUpdate {
  return { state, message, addr: '', description: undefined };
}

/** What every call gets that this manager cannot serve because it does not lead. */
export function dispatcherStopped(): SwarmError {
  return new SwarmError(Code.ABORTED, 'dispatcher is stopped');
}
