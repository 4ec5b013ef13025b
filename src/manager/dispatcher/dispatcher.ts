import { create } from '@bufbuild/protobuf';

import {
  Dispatcher as DispatcherService,
  HeartbeatResponseSchema,
  UpdateTaskStatusResponseSchema,
  UpdateVolumeStatusResponseSchema,
  bindService,
  durationFromMs,
  type AssignmentsMessage,
  type AssignmentsRequest,
  type BoundService,
  type CallContext,
  type HeartbeatRequest,
  type HeartbeatResponse,
  type SessionMessage,
  type SessionRequest,
  type TasksMessage,
  type TasksRequest,
  type UpdateTaskStatusRequest,
  type UpdateTaskStatusResponse,
  type UpdateVolumeStatusRequest,
  type UpdateVolumeStatusResponse,
} from '../../api/index.js';
import { Code, SwarmError, orAborted, type Clock, type Component, type Logger, type Random } from '../../base/index.js';
import type { Store } from '../../store/index.js';
import { AssignmentSet } from './assignment-set.js';
import { DependencyIndex } from './dependencies.js';
import { LeaderTerm, dispatcherStopped } from './leader-term.js';
import { dispatcherSettings, type DispatcherOptions, type DispatcherSettings } from './options.js';
import type { ManagersSource } from './session-facts.js';
import { checkReports } from './status-check.js';
import { assignmentMessages, sessionMessages, taskMessages } from './streams.js';

/** What a dispatcher works with. */
export interface DispatcherDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly managers: ManagersSource;
  /** The trusted roots in PEM, for as long as the cluster object holds none. */
  readonly securityRoot: () => Uint8Array;
  /** Address (`host:port`) at which others reach this manager: that of calls from its own node. */
  readonly selfAddr?: () => string;
  /** Told the milliseconds from a task's creation until it runs. */
  readonly observeSchedulingDelay?: (delayMs: number) => void;
}

type State =
  | { readonly kind: 'stopped' }
  /** The nodes of the store are being taken over; calls wait for that. */
  | { readonly kind: 'starting'; readonly started: Promise<LeaderTerm> }
  | { readonly kind: 'running'; readonly term: LeaderTerm };

/**
 * The leader's side of the agents: registers nodes and watches over their heartbeats, sends them their
 * assignments and takes in what they report. May be run again after it has ended; calls in between get
 * Aborted.
 */
export class Dispatcher implements Component {
  readonly #settings: DispatcherSettings;
  readonly #deps: DispatcherDependencies;
  readonly #dependencyIndex = new DependencyIndex();
  #state: State = { kind: 'stopped' };

  constructor(options: DispatcherOptions, deps: DispatcherDependencies) {
    this.#settings = dispatcherSettings(options);
    this.#deps = deps;
  }

  /** The Dispatcher service. */
  service(): BoundService {
    return bindService(DispatcherService, {
      session: (request, context) => this.#session(request, context),
      heartbeat: (request, context) => this.#heartbeat(request, context),
      updateTaskStatus: (request, context) => this.#updateTaskStatus(request, context),
      updateVolumeStatus: (request, context) => this.#updateVolumeStatus(request, context),
      tasks: (request, context) => this.#tasks(request, context),
      assignments: (request, context) => this.#assignments(request, context),
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    if (this.#state.kind !== 'stopped') {
      throw new SwarmError(Code.FAILED_PRECONDITION, 'dispatcher is already running');
    }
    const term = new LeaderTerm(this.#settings, this.#deps);
    const starting = Promise.withResolvers<LeaderTerm>();
    starting.promise.catch(dispatcherStopped);
    this.#state = { kind: 'starting', started: starting.promise };
    try {
      const subscription = await term.start(signal);
      this.#state = { kind: 'running', term };
      starting.resolve(term);
      await term.run(subscription, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#state = { kind: 'stopped' };
      starting.reject(dispatcherStopped());
    }
  }

  async *#session(request: SessionRequest, context: CallContext): AsyncGenerator<SessionMessage, void, undefined> {
    const term = await this.#running(context.signal);
    const nodeId = caller(context);
    const registration = { nodeId, addr: this.#callerIp(context), description: request.description };
    let session = request.sessionId === '' ? undefined : term.registry.sessionOf(nodeId);
    if (session?.sessionId === request.sessionId) await term.markReady(registration, context.signal);
    else session = await term.register(registration, context.signal);
    using stream = session.open('session', context.signal);
    yield* sessionMessages(session, stream, this.#deps.store, term.facts);
  }

  async #heartbeat(request: HeartbeatRequest, context: CallContext): Promise<HeartbeatResponse> {
    const term = await this.#running(context.signal);
    const periodMs = term.registry.beat(caller(context), request.sessionId, this.#deps.clock.monotonicMs());
    return create(HeartbeatResponseSchema, { period: durationFromMs(periodMs) });
  }

  /** Acknowledges once the reports are queued; see `LeaderTerm` for what happens when they are lost later. */
  async #updateTaskStatus(request: UpdateTaskStatusRequest, context: CallContext): Promise<UpdateTaskStatusResponse> {
    const term = await this.#running(context.signal);
    const nodeId = caller(context);
    term.registry.session(nodeId, request.sessionId);
    const { valid, ignored } = this.#deps.store.view((tx) => checkReports(nodeId, request.updates, tx));
    for (const { taskId, status } of valid) term.writers.task(taskId, { nodeId, status });
    if (valid.length < request.updates.length) {
      this.#deps.log.debug({ 'node.id': nodeId, ...ignored }, 'reports passed over');
    }
    return create(UpdateTaskStatusResponseSchema);
  }

  async #updateVolumeStatus(
    request: UpdateVolumeStatusRequest,
    context: CallContext,
  ): Promise<UpdateVolumeStatusResponse> {
    const term = await this.#running(context.signal);
    const nodeId = caller(context);
    term.registry.session(nodeId, request.sessionId);
    const { updates } = request;
    if (updates.some(({ id }) => id === '')) {
      throw new SwarmError(Code.INVALID_ARGUMENT, 'updates: id of a volume must be provided');
    }
    const unpublished = this.#deps.store.view((tx) =>
      updates.filter((update) => update.unpublished && tx.get('volume', update.id) !== undefined),
    );
    for (const { id } of unpublished) term.writers.volumeUnpublished(id, nodeId);
    return create(UpdateVolumeStatusResponseSchema);
  }

  async *#assignments(
    request: AssignmentsRequest,
    context: CallContext,
  ): AsyncGenerator<AssignmentsMessage, void, undefined> {
    const term = await this.#running(context.signal);
    const session = term.registry.session(caller(context), request.sessionId);
    using stream = session.open('assignments', context.signal);
    const set = new AssignmentSet(session.nodeId, this.#dependencyIndex);
    using _route = term.router.add({ set, stream });
    const { messageChangesMax: changesMax, messageBytesMax: bytesMax } = this.#settings;
    yield* assignmentMessages(set, stream, this.#deps, { changesMax, bytesMax });
  }

  async *#tasks(request: TasksRequest, context: CallContext): AsyncGenerator<TasksMessage, void, undefined> {
    const term = await this.#running(context.signal);
    const session = term.registry.session(caller(context), request.sessionId);
    using stream = session.open('tasks', context.signal);
    const set = new AssignmentSet(session.nodeId, this.#dependencyIndex);
    using _route = term.router.add({ set, stream });
    yield* taskMessages(set, stream, this.#deps.store);
  }

  async #running(signal: AbortSignal): Promise<LeaderTerm> {
    switch (this.#state.kind) {
      case 'stopped':
        throw dispatcherStopped();
      case 'starting':
        return orAborted(this.#state.started, signal);
      case 'running':
        this.#state.term.assertRunning();
        return this.#state.term;
    }
  }

  /** The caller's IP address without port; that of this manager for calls of its own node. */
  #callerIp(context: CallContext): string {
    const addr = context.remoteAddr === '' ? (this.#deps.selfAddr?.() ?? '') : context.remoteAddr;
    return hostOf(addr);
  }
}

function caller(context: CallContext): string {
  if (context.peer === undefined || context.peer.nodeId === '') {
    throw new SwarmError(Code.PERMISSION_DENIED, 'the caller has no node certificate');
  }
  return context.peer.nodeId;
}

/** The host of `host:port`, without the brackets and the IPv4 prefix of IPv6 forms; empty when there is none. */
export function hostOf(addr: string): string {
  const colon = addr.lastIndexOf(':');
  if (colon <= 0) return '';
  return addr
    .slice(0, colon)
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^::ffff:(?=\d+\.)/i, '');
}
