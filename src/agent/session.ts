import { create } from '@bufbuild/protobuf';

import {
  AssignmentChangeSchema,
  AssignmentsMessageSchema,
  AssignmentsMessage_Type,
  Dispatcher,
  createClient,
  msFromDuration,
} from '../api/index.js';
import type {
  AssignmentsMessage,
  NodeDescription,
  RpcChannel,
  RpcClient,
  SessionMessage,
  TasksMessage,
} from '../api/index.js';
import { Code, SwarmError, isSwarmError, sleep } from '../base/index.js';
import type { Clock, Logger } from '../base/index.js';
import { RPC_TIMEOUT_MS, readStream, runTogether, within } from './deadline.js';

/** Bounds of the heartbeat period that a manager may ask for, in milliseconds. */
const HEARTBEAT_MIN_MS = 10;
const HEARTBEAT_DEFAULT_MS = 5000;
/** Gaps in the assignments that are healed by reopening the stream, in a row; then the session starts anew. */
const REOPENS_MAX = 3;

/** A way to one manager, for one session, which closes the channel at its end. */
export interface ManagerConnection {
  readonly channel: RpcChannel;
  /** Whom it leads to, for the log. */
  readonly addr: string;
  /** Tells how the manager was found: positive or negative, see {@link Remotes}. */
  observe(weight: number): void;
}

/** Who takes what a session brings. */
export interface SessionHandlers {
  /** The first message has come: the manager knows this node. */
  readonly onRegistered: (sessionId: string) => void;
  readonly onMessage: (message: SessionMessage) => void;
  /** Resolves when the assignments are applied; only then is the next message read. */
  readonly onAssignments: (message: AssignmentsMessage, signal: AbortSignal) => Promise<void>;
  /** Runs beside the session, given what is needed to call its manager. */
  readonly beside: readonly ((channel: RpcChannel, sessionId: string, signal: AbortSignal) => Promise<void>)[];
}

/** What a session needs. */
export interface SessionDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

/** One registration with one manager, until the first of its streams fails. */
export class Session {
  readonly #client: RpcClient<typeof Dispatcher>;
  readonly #channel: RpcChannel;
  readonly #handlers: SessionHandlers;
  readonly #clock: Clock;
  readonly #log: Logger;
  #sessionId = '';

  constructor(channel: RpcChannel, handlers: SessionHandlers, deps: SessionDeps) {
    this.#channel = channel;
    this.#client = createClient(Dispatcher, channel);
    this.#handlers = handlers;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /** Registers and runs; always ends by throwing why. `previousId` lets the manager recognize this node. */
  async run(description: NodeDescription, previousId: string, signal: AbortSignal): Promise<never> {
    const stream = this.#client.session({ description, sessionId: previousId }, { signal });
    const messages = readStream(stream, signal);
    const first = await this.#first(messages, signal);
    this.#sessionId = first.sessionId;
    this.#handlers.onMessage(first);
    this.#handlers.onRegistered(first.sessionId);
    await runTogether(signal, [
      (inner) => this.#listen(messages, inner),
      (inner) => this.#heartbeat(inner),
      (inner) => this.#assignments(inner),
      ...this.#handlers.beside.map((run) => (inner: AbortSignal) => run(this.#channel, this.#sessionId, inner)),
    ]);
    throw new SwarmError(Code.UNAVAILABLE, 'the session was ended by the manager');
  }

  async #first(
    messages: AsyncGenerator<SessionMessage, void, undefined>,
    signal: AbortSignal,
  ): Promise<SessionMessage> {
    const item = await within(this.#clock, RPC_TIMEOUT_MS, signal, () => messages.next());
    if (item.done === true) throw new SwarmError(Code.UNAVAILABLE, 'the session ended before it began');
    return item.value;
  }

  async #listen(messages: AsyncGenerator<SessionMessage, void, undefined>, signal: AbortSignal): Promise<void> {
    for await (const message of readStream(messages, signal)) this.#handlers.onMessage(message);
  }

  async #heartbeat(signal: AbortSignal): Promise<void> {
    for (;;) {
      const { period } = await within(this.#clock, RPC_TIMEOUT_MS, signal, (options) =>
        this.#client.heartbeat({ sessionId: this.#sessionId }, options),
      );
      const periodMs = msFromDuration(period) ?? 0;
      await sleep(this.#clock, periodMs > 0 ? Math.max(periodMs, HEARTBEAT_MIN_MS) : HEARTBEAT_DEFAULT_MS, signal);
    }
  }

  async #assignments(signal: AbortSignal): Promise<void> {
    let gaps = 0;
    try {
      while (gaps < REOPENS_MAX) {
        const applied = await this.#readAssignments(signal);
        gaps = applied > 1 ? 1 : gaps + 1;
        this.#log.warn({ 'session.id': this.#sessionId }, 'assignments do not follow on each other, asking for all');
      }
    } catch (error) {
      if (!isSwarmError(error, Code.UNIMPLEMENTED)) throw error;
      this.#log.info({ 'session.id': this.#sessionId }, 'the manager does not know assignments, asking for tasks');
      return this.#tasks(signal);
    }
    throw new SwarmError(Code.ABORTED, 'the manager keeps sending assignments that do not follow on each other');
  }

  /** Reads until a message does not apply to the one before it. Returns how many were handed on. */
  async #readAssignments(signal: AbortSignal): Promise<number> {
    let applied = 0;
    let reference = '';
    const stream = this.#client.assignments({ sessionId: this.#sessionId }, { signal });
    for await (const message of readStream(stream, signal)) {
      if (message.type !== AssignmentsMessage_Type.COMPLETE && message.appliesTo !== reference) return applied;
      reference = message.resultsIn;
      applied += 1;
      await this.#handlers.onAssignments(message, signal);
    }
    throw new SwarmError(Code.UNAVAILABLE, 'the manager ended the assignments');
  }

  /** For managers of old: every message is the whole list of tasks. */
  async #tasks(signal: AbortSignal): Promise<void> {
    for await (const message of readStream(this.#client.tasks({ sessionId: this.#sessionId }, { signal }), signal)) {
      await this.#handlers.onAssignments(completeSet(message), signal);
    }
    throw new SwarmError(Code.UNAVAILABLE, 'the manager ended the task list');
  }
}

function completeSet({ tasks }: TasksMessage): AssignmentsMessage {
  return create(AssignmentsMessageSchema, {
    type: AssignmentsMessage_Type.COMPLETE,
    changes: tasks.map((task) =>
      create(AssignmentChangeSchema, { assignment: { item: { case: 'task', value: task } } }),
    ),
  });
}
