import { create, type MessageInitShape } from '@bufbuild/protobuf';

import {
  AssignmentChange_AssignmentAction,
  AssignmentsMessageSchema,
  AssignmentsMessage_Type,
  Dispatcher,
  LocalChannel,
  LogBroker,
  SessionMessageSchema,
  TaskState,
  bindService,
  durationFromMs,
} from '../api/index.js';
import type {
  Assignment,
  AssignmentChange,
  AssignmentsMessage,
  LogMessage,
  NodeDescription,
  PublishLogsMessage,
  SessionMessage,
  SessionRequest,
  SubscriptionMessage,
  Task,
  TaskStatus,
  TasksMessage,
  UpdateTaskStatusRequest,
} from '../api/index.js';
import { AsyncQueue, Code, SwarmError } from '../base/index.js';
import type { ManagerConnection } from './session.js';

/** Counts of calls, and what each brought. */
interface Seen {
  readonly sessions: { readonly description: NodeDescription | undefined; readonly sessionId: string }[];
  readonly heartbeatsAtMs: number[];
  readonly reports: (readonly (readonly [taskId: string, state: string])[])[];
  readonly observed: number[];
  readonly unpublished: string[];
  readonly published: PublishLogsMessage[];
  assignmentStreams: number;
}

/** A manager that does as a test says. */
export class FakeDispatcher {
  readonly seen: Seen = {
    sessions: [],
    heartbeatsAtMs: [],
    reports: [],
    observed: [],
    unpublished: [],
    published: [],
    assignmentStreams: 0,
  };
  /** The newest status of each task. */
  readonly statuses = new Map<string, TaskStatus>();
  /** Every status that ever came, by task. */
  readonly history = new Map<string, TaskState[]>();
  heartbeatMs = 5000;
  /** Thrown by the named call, as long as it is set. */
  fail: Partial<
    Record<'connect' | 'session' | 'heartbeat' | 'assignments' | 'report' | 'subscriptions' | 'publish', SwarmError>
  > = {};
  /** Never answers these calls. */
  hang: Partial<Record<'session' | 'heartbeat' | 'report', boolean>> = {};
  /** Tasks that are not the node's own. */
  readonly foreign = new Set<string>();
  /** Written into every first session message. */
  first: MessageInitShape<typeof SessionMessageSchema> = {};
  /** What a new assignment stream begins with. */
  complete: Assignment['item'][] = [];
  sessionMessages = new AsyncQueue<SessionMessage>(1000);
  assignments = new AsyncQueue<AssignmentsMessage>(1000);
  taskLists = new AsyncQueue<TasksMessage>(1000);
  subscriptions = new AsyncQueue<SubscriptionMessage>(1000);
  #sequence = 0;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** What an agent's `connect` gives. */
  readonly connect = (): ManagerConnection => {
    if (this.fail.connect !== undefined) throw this.fail.connect;
    const peer = { nodeId: 'node-1', role: 'swarm-worker', clusterId: 'c' } as const;
    return {
      channel: new LocalChannel([this.#dispatcher(), this.#logBroker()], () => peer),
      addr: 'fake',
      observe: (weight) => this.seen.observed.push(weight),
    };
  };

  /** Sends changes that follow on the last message. */
  send(...changes: AssignmentChange[]): void {
    const appliesTo = String(this.#sequence);
    this.#sequence += 1;
    const type = AssignmentsMessage_Type.INCREMENTAL;
    this.assignments.push(
      create(AssignmentsMessageSchema, { type, appliesTo, resultsIn: String(this.#sequence), changes }),
    );
  }

  /** Sends a whole set. */
  sendComplete(...items: Assignment['item'][]): void {
    this.#sequence += 1;
    this.assignments.push(this.#completeMessage(items));
  }

  /** Makes the next change not follow. */
  skip(): void {
    this.#sequence += 1;
  }

  state(taskId: string): string {
    const status = this.statuses.get(taskId);
    return status === undefined ? 'none' : TaskState[status.state];
  }

  /** Ends the present session as a manager does that goes away. */
  dropSession(): void {
    const old = this.sessionMessages;
    this.sessionMessages = new AsyncQueue<SessionMessage>(1000);
    old.close(new SwarmError(Code.UNAVAILABLE, 'the manager went away'));
  }

  #completeMessage(items: readonly Assignment['item'][]): AssignmentsMessage {
    const type = AssignmentsMessage_Type.COMPLETE;
    return create(AssignmentsMessageSchema, {
      type,
      appliesTo: '',
      resultsIn: String(this.#sequence),
      changes: items.map((item) => ({ assignment: { item } })),
    });
  }

  #dispatcher() {
    return bindService(Dispatcher, {
      session: (request, { signal }) => this.#session(request, signal),
      heartbeat: () => this.#heartbeat(),
      updateTaskStatus: (request) => this.#updateTaskStatus(request),
      updateVolumeStatus: ({ updates }) => {
        this.seen.unpublished.push(...updates.map(({ id }) => id));
        return Promise.resolve({});
      },
      assignments: (_request, { signal }) => this.#assignments(signal),
      tasks: (_request, { signal }) => this.taskLists.iterate(signal),
    });
  }

  #logBroker() {
    return bindService(LogBroker, {
      listenSubscriptions: (_request, { signal }) => this.#listenSubscriptions(signal),
      publishLogs: async (messages) => {
        if (this.fail.publish !== undefined) throw this.fail.publish;
        for await (const message of messages) this.seen.published.push(message);
        return {};
      },
    });
  }

  async *#session({ description, sessionId }: SessionRequest, signal: AbortSignal): AsyncGenerator<SessionMessage> {
    this.seen.sessions.push({ description, sessionId });
    if (this.hang.session === true) await new Promise(() => undefined);
    if (this.fail.session !== undefined) throw this.fail.session;
    const first = { sessionId: `session-${this.seen.sessions.length}`, ...this.first };
    yield create(SessionMessageSchema, first as MessageInitShape<typeof SessionMessageSchema>);
    yield* this.sessionMessages.iterate(signal);
  }

  async #heartbeat() {
    this.seen.heartbeatsAtMs.push(this.#nowMs());
    if (this.hang.heartbeat === true) await new Promise(() => undefined);
    if (this.fail.heartbeat !== undefined) throw this.fail.heartbeat;
    return { period: durationFromMs(this.heartbeatMs) };
  }

  async #updateTaskStatus({ updates }: UpdateTaskStatusRequest) {
    if (this.hang.report === true) await new Promise(() => undefined);
    if (this.fail.report !== undefined) throw this.fail.report;
    if (updates.some(({ taskId }) => this.foreign.has(taskId))) {
      throw new SwarmError(Code.PERMISSION_DENIED, 'not your task');
    }
    this.seen.reports.push(updates.map(({ taskId, status }) => [taskId, TaskState[status?.state ?? 0] ?? '']));
    for (const { taskId, status } of updates) {
      if (status === undefined) continue;
      this.statuses.set(taskId, status);
      this.history.set(taskId, [...(this.history.get(taskId) ?? []), status.state]);
    }
    return {};
  }

  async *#assignments(signal: AbortSignal): AsyncGenerator<AssignmentsMessage> {
    this.seen.assignmentStreams += 1;
    if (this.fail.assignments !== undefined) throw this.fail.assignments;
    this.#sequence += 1;
    yield this.#completeMessage(this.complete);
    yield* this.assignments.iterate(signal);
  }

  async *#listenSubscriptions(signal: AbortSignal): AsyncGenerator<SubscriptionMessage> {
    if (this.fail.subscriptions !== undefined) throw this.fail.subscriptions;
    yield* this.subscriptions.iterate(signal);
  }
}

/** An assignment or its removal. */
export function change(item: Assignment['item'], remove = false): AssignmentChange {
  return {
    $typeName: 'docker.swarmkit.v1.AssignmentChange',
    assignment: { $typeName: 'docker.swarmkit.v1.Assignment', item },
    action: remove ? AssignmentChange_AssignmentAction.REMOVE : AssignmentChange_AssignmentAction.UPDATE,
  };
}

/** The assignment of a task. */
export function taskItem(value: Task): Assignment['item'] {
  return { case: 'task', value };
}

/** The lines of log messages, with whose they are. */
export function linesOf(messages: readonly LogMessage[]): string[] {
  return messages.map(({ context, data }) => `${context?.taskId}: ${new TextDecoder().decode(data).trimEnd()}`);
}
