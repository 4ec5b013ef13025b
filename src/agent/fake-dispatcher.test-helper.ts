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
  SubscriptionMessage,
  Task,
  TaskStatus,
  TasksMessage,
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
    const self = this;
    return bindService(Dispatcher, {
      async *session({ description, sessionId }, { signal }) {
        self.seen.sessions.push({ description, sessionId });
        if (self.hang.session === true) await new Promise(() => undefined);
        if (self.fail.session !== undefined) throw self.fail.session;
        yield create(SessionMessageSchema, {
          sessionId: `session-${self.seen.sessions.length}`,
          ...self.first,
        } as MessageInitShape<typeof SessionMessageSchema>);
        yield* self.sessionMessages.iterate(signal);
      },
      async heartbeat() {
        self.seen.heartbeatsAtMs.push(self.#nowMs());
        if (self.hang.heartbeat === true) await new Promise(() => undefined);
        if (self.fail.heartbeat !== undefined) throw self.fail.heartbeat;
        return { period: durationFromMs(self.heartbeatMs) };
      },
      async updateTaskStatus({ updates }) {
        if (self.hang.report === true) await new Promise(() => undefined);
        if (self.fail.report !== undefined) throw self.fail.report;
        if (updates.some(({ taskId }) => self.foreign.has(taskId))) {
          throw new SwarmError(Code.PERMISSION_DENIED, 'not your task');
        }
        self.seen.reports.push(updates.map(({ taskId, status }) => [taskId, TaskState[status?.state ?? 0] ?? '']));
        for (const { taskId, status } of updates) {
          if (status === undefined) continue;
          self.statuses.set(taskId, status);
          self.history.set(taskId, [...(self.history.get(taskId) ?? []), status.state]);
        }
        return {};
      },
      async updateVolumeStatus({ updates }) {
        self.seen.unpublished.push(...updates.map(({ id }) => id));
        return {};
      },
      async *assignments(_request, { signal }) {
        self.seen.assignmentStreams += 1;
        if (self.fail.assignments !== undefined) throw self.fail.assignments;
        self.#sequence += 1;
        yield self.#completeMessage(self.complete);
        yield* self.assignments.iterate(signal);
      },
      async *tasks(_request, { signal }) {
        yield* self.taskLists.iterate(signal);
      },
    });
  }

  #logBroker() {
    const self = this;
    return bindService(LogBroker, {
      async *listenSubscriptions(_request, { signal }) {
        if (self.fail.subscriptions !== undefined) throw self.fail.subscriptions;
        yield* self.subscriptions.iterate(signal);
      },
      async publishLogs(messages) {
        if (self.fail.publish !== undefined) throw self.fail.publish;
        for await (const message of messages) self.seen.published.push(message);
        return {};
      },
    });
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
