import { Code, SwarmError, newId, type Random } from '../../base/index.js';
import { Deadlines } from './deadlines.js';
import { NodeSession } from './node-session.js';
import type { DispatcherSettings } from './options.js';

/** Registrations in quick succession that are let through. Source: SwarmKit. */
const QUICK_REGISTRATIONS_MAX = 3;

/** Nodes of unknown state get this much more time, because they must first find the new leader. */
const UNKNOWN_GRACE_FACTOR = 2;

/** The epsilon never exceeds this part of the period, so that no chosen period is zero or negative. */
const EPSILON_RATIO_MAX = 0.1;

/** A node that gave no sign of life for too long. */
export interface ExpiredNode {
  readonly nodeId: string;
  /** Whether it had not registered since this leader started. */
  readonly unknown: boolean;
}

interface TrackedNode {
  /** Undefined until the node registers with this leader, and after its session was ended. */
  session: NodeSession | undefined;
  /** Whether the node registered since this leader started. */
  registered: boolean;
}

/**
 * The nodes that this leader expects to hear from: sessions, heartbeats, registration limits and, for
 * nodes that are down, the time at which their tasks are given up. Pure: time comes as `nowMs` of one
 * monotonic scale.
 */
export class NodeRegistry {
  readonly #nodes = new Map<string, TrackedNode>();
  readonly #heartbeats = new Deadlines();
  readonly #orphanings = new Deadlines();
  readonly #registrations = new Map<string, { count: number; lastMs: number }>();
  readonly #settings: DispatcherSettings;
  readonly #random: Random;
  #periodMs: number;

  constructor(settings: DispatcherSettings, random: Random) {
    this.#settings = settings;
    this.#random = random;
    this.#periodMs = settings.heartbeatPeriodMs;
  }

  /** The nominal heartbeat period from now on; undefined or not positive means the default. */
  setPeriod(periodMs: number | undefined): void {
    this.#periodMs = periodMs !== undefined && periodMs > 0 ? periodMs : this.#settings.heartbeatPeriodMs;
  }

  /** Expects a node that was known before this leader started, with the longer grace. */
  addUnknown(nodeId: string, nowMs: number): void {
    this.#nodes.set(nodeId, { session: undefined, registered: false });
    const graceMs = this.#choosePeriodMs() * this.#settings.graceMultiplier * UNKNOWN_GRACE_FACTOR;
    this.#heartbeats.set(nodeId, nowMs + graceMs);
  }

  /**
   * Expects a node from now on, within the usual grace: before it is stored as ready, so that one that
   * goes away at that moment is found to be down, and one that was almost given up is not.
   */
  expect(nodeId: string, nowMs: number): void {
    if (!this.#nodes.has(nodeId)) this.#nodes.set(nodeId, { session: undefined, registered: true });
    this.#orphanings.delete(nodeId);
    this.#extend(nodeId, nowMs);
  }

  /** Counts a registration and expects the node; returns the refusal of too many in quick succession. */
  admit(nodeId: string, nowMs: number): SwarmError | undefined {
    const last = this.#registrations.get(nodeId);
    const quick = last !== undefined && nowMs - last.lastMs < this.#settings.rateLimitPeriodMs;
    const count = quick ? last.count + 1 : 1;
    if (quick && count > QUICK_REGISTRATIONS_MAX) {
      return new SwarmError(Code.UNAVAILABLE, `node ${nodeId} exceeded rate limit count of registrations`, {
        details: { 'node.id': nodeId },
      });
    }
    this.#registrations.set(nodeId, { count, lastMs: nowMs });
    this.expect(nodeId, nowMs);
    return undefined;
  }

  /** Opens a new session; one that the node had before ends as invalid. */
  open(nodeId: string, nowMs: number): NodeSession {
    this.#nodes.get(nodeId)?.session?.end(sessionInvalid());
    const session = new NodeSession(nodeId, newId(this.#random));
    this.#nodes.set(nodeId, { session, registered: true });
    this.expect(nodeId, nowMs);
    return session;
  }

  /** The node's session; NotFound for a node that is not registered, InvalidArgument for another session. */
  session(nodeId: string, sessionId: string): NodeSession {
    const node = this.#nodes.get(nodeId);
    if (node === undefined) throw notRegistered();
    if (node.session === undefined || sessionId === '' || node.session.sessionId !== sessionId) {
      throw sessionInvalid();
    }
    return node.session;
  }

  /** The node's session, whatever its id. */
  sessionOf(nodeId: string): NodeSession | undefined {
    return this.#nodes.get(nodeId)?.session;
  }

  /** All sessions, in the order of registration. */
  *sessions(): Generator<NodeSession> {
    for (const { session } of this.#nodes.values()) {
      if (session !== undefined) yield session;
    }
  }

  /** Records a sign of life. Returns the time until the next one is expected, in ms. */
  beat(nodeId: string, sessionId: string, nowMs: number): number {
    this.session(nodeId, sessionId);
    return this.#extend(nodeId, nowMs);
  }

  /** Ends the node's session so that it registers anew; it is still expected within its grace. */
  endSession(nodeId: string, reason: SwarmError): void {
    const node = this.#nodes.get(nodeId);
    node?.session?.end(reason);
    if (node !== undefined) node.session = undefined;
  }

  /** Forgets a node that no longer exists. */
  remove(nodeId: string): void {
    this.#nodes.get(nodeId)?.session?.end(notRegistered());
    this.#nodes.delete(nodeId);
    this.#heartbeats.delete(nodeId);
    this.#orphanings.delete(nodeId);
    this.#registrations.delete(nodeId);
  }

  /** Starts the time after which the tasks of a node that is down are given up. */
  addDown(nodeId: string, nowMs: number, delayMs: number = this.#settings.orphanAfterMs): void {
    this.#orphanings.set(nodeId, nowMs + delayMs);
  }

  /** Takes out the nodes without a sign of life within their grace; their sessions end, they count as down. */
  takeExpired(nowMs: number): readonly ExpiredNode[] {
    return this.#heartbeats.takeDue(nowMs).map((nodeId) => {
      const node = this.#nodes.get(nodeId);
      node?.session?.end(notRegistered());
      this.#nodes.delete(nodeId);
      this.addDown(nodeId, nowMs);
      return { nodeId, unknown: node?.registered !== true };
    });
  }

  /** Takes out the nodes that have been down for so long that their tasks are given up. */
  takeOrphaned(nowMs: number): readonly string[] {
    return this.#orphanings.takeDue(nowMs);
  }

  /** When to look for expired and orphaned nodes next. */
  get wakeAtMs(): number | undefined {
    const heartbeat = this.#heartbeats.wakeAtMs ?? Number.POSITIVE_INFINITY;
    const earliest = Math.min(heartbeat, this.#orphanings.wakeAtMs ?? Number.POSITIVE_INFINITY);
    return earliest === Number.POSITIVE_INFINITY ? undefined : earliest;
  }

  #extend(nodeId: string, nowMs: number): number {
    const periodMs = this.#choosePeriodMs();
    this.#heartbeats.set(nodeId, nowMs + periodMs * this.#settings.graceMultiplier);
    return periodMs;
  }

  #choosePeriodMs(): number {
    const epsilonMs = Math.min(this.#settings.heartbeatEpsilonMs, this.#periodMs * EPSILON_RATIO_MAX);
    return this.#periodMs + (this.#random.float() * 2 - 1) * epsilonMs;
  }
}

function notRegistered(): SwarmError {
  return new SwarmError(Code.NOT_FOUND, 'node not registered');
}

function sessionInvalid(): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, 'session invalid');
}
