import { create } from '@bufbuild/protobuf';

import {
  AssignmentsMessageSchema,
  AssignmentsMessage_Type as MessageType,
  SessionMessageSchema,
  TaskState,
  TasksMessageSchema,
  taskState,
  type AssignmentChange,
  type AssignmentsMessage,
  type Node,
  type SessionMessage,
  type TasksMessage,
} from '../../api/index.js';
import { Code, SwarmError, sleep, type Clock } from '../../base/index.js';
import { by, type Store } from '../../store/index.js';
import type { AssignmentSet, MessageLimits } from './assignment-set.js';
import type { NodeSession, SessionStream } from './node-session.js';
import type { SessionFacts } from './session-facts.js';

/** Why sessions end when their leader does: the agent is to look for another manager. */
export class MustDisconnect extends SwarmError {
  constructor() {
    super(Code.ABORTED, 'node must disconnect');
  }
}

/**
 * The messages of a session: the first at once, then one whenever the node object or what all nodes are
 * told has changed; changes that come while one is being written go together with the next. When the
 * leader stops, a last message repeats the managers before the stream ends.
 */
export async function* sessionMessages(
  session: NodeSession,
  stream: SessionStream,
  store: Store,
  facts: () => SessionFacts,
): AsyncGenerator<SessionMessage, void, undefined> {
  let sent: { readonly node: Node; readonly facts: SessionFacts } | undefined;
  while (true) {
    stream.signal.throwIfAborted();
    const node = store.view((tx) => tx.get('node', session.nodeId));
    if (node === undefined) throw new SwarmError(Code.NOT_FOUND, 'node not found');
    const next = { node, facts: facts() };
    if (sent?.node !== next.node || sent.facts !== next.facts) {
      sent = next;
      yield sessionMessage(session.sessionId, node, next.facts);
      continue;
    }
    try {
      await stream.wakeUp.wait(stream.signal);
    } catch (error) {
      if (error instanceof MustDisconnect) yield sessionMessage(session.sessionId, node, next.facts);
      throw error;
    }
  }
}

/**
 * The messages of an assignments stream: all of it, then the changes, each naming the one it builds upon. What
 * else is ready when a change comes goes with it: many small messages cost more than the tasks in them.
 */
export async function* assignmentMessages(
  set: AssignmentSet,
  stream: SessionStream,
  { store, clock }: { readonly store: Store; readonly clock: Clock },
  limits: MessageLimits,
): AsyncGenerator<AssignmentsMessage, void, undefined> {
  let sequence = 1;
  yield assignmentsMessage(
    MessageType.COMPLETE,
    sequence,
    store.view((tx) => set.complete(tx)),
  );
  while (true) {
    stream.signal.throwIfAborted();
    const changes = store.view((tx) => set.incremental(tx, limits));
    if (changes.length > 0) yield assignmentsMessage(MessageType.INCREMENTAL, ++sequence, changes);
    else if (!set.pending) {
      await stream.wakeUp.wait(stream.signal);
      await sleep(clock, 0, stream.signal);
    }
  }
}

/** The messages of the deprecated tasks stream: every task of the node, again after each change. */
export async function* taskMessages(
  set: AssignmentSet,
  stream: SessionStream,
  store: Store,
): AsyncGenerator<TasksMessage, void, undefined> {
  store.view((tx) => set.complete(tx));
  let changed = true;
  while (true) {
    stream.signal.throwIfAborted();
    if (changed) yield tasksMessage(set.nodeId, store);
    else await stream.wakeUp.wait(stream.signal);
    const changes = store.view((tx) => set.complete(tx));
    changed = changes.some(({ assignment }) => assignment?.item.case === 'task');
  }
}

function sessionMessage(sessionId: string, node: Node, facts: SessionFacts): SessionMessage {
  return create(SessionMessageSchema, {
    sessionId,
    node,
    managers: [...facts.managers],
    networkBootstrapKeys: [...facts.networkBootstrapKeys],
    RootCA: facts.rootCa,
  });
}

/** Messages are numbered from 1; the first applies to nothing. Source: SwarmKit. */
function assignmentsMessage(type: MessageType, sequence: number, changes: AssignmentChange[]): AssignmentsMessage {
  return create(AssignmentsMessageSchema, {
    type,
    appliesTo: sequence === 1 ? '' : String(sequence - 1),
    resultsIn: String(sequence),
    changes,
  });
}

function tasksMessage(nodeId: string, store: Store): TasksMessage {
  const tasks = store
    .view((tx) => tx.find('task', by.node(nodeId)))
    .filter((task) => taskState(task) >= TaskState.ASSIGNED);
  return create(TasksMessageSchema, { tasks });
}
