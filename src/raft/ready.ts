import { entriesBytes } from './entry-size.js';
import type { RaftState } from './raft-state.js';
import {
  isEmptyHardState,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  message,
  MessageType,
  sameHardState,
  type Entry,
  type HardState,
  type Message,
  type ReadState,
  type Snapshot,
  type SoftState,
} from './types.js';

/**
 * What there is to do. In this order: save hard state, entries and snapshot; send messages; apply committed
 * entries; advance. With async storage writes only the messages count: those to the local threads carry the
 * rest, and their responses take the place of advancing.
 */
export interface Ready {
  /** Given when it has changed. */
  readonly softState: SoftState | undefined;
  /** Given when it has changed. */
  readonly hardState: HardState | undefined;
  readonly readStates: readonly ReadState[];
  /** To be made stable. */
  readonly entries: readonly Entry[];
  /** To be made stable, in place of the log. */
  readonly snapshot: Snapshot | undefined;
  readonly committedEntries: readonly Entry[];
  readonly messages: readonly Message[];
  /** Whether hard state and entries must be on disk before the messages leave. */
  readonly mustSync: boolean;
}

/** What has been handed out last. */
export interface Handed {
  softState: SoftState;
  hardState: HardState;
}

/** Whether there is anything to do. */
export function hasReady(raft: RaftState, handed: Handed): boolean {
  const { hardState, log } = raft;
  return (
    raft.messages.length > 0 ||
    raft.messagesAfterAppend.length > 0 ||
    raft.readStates.length > 0 ||
    log.unstable.hasNextEntries ||
    log.hasNextCommittedEntries(!raft.options.asyncStorageWrites) ||
    log.unstable.nextSnapshot() !== undefined ||
    !sameSoftState(raft.softState, handed.softState) ||
    (!isEmptyHardState(hardState) && !sameHardState(hardState, handed.hardState))
  );
}

/** Everything there is to do; nothing changes. */
export function readyOf(raft: RaftState, handed: Handed): Ready {
  const { softState, hardState, log } = raft;
  const { asyncStorageWrites } = raft.options;
  const entries = log.unstable.nextEntries();
  const isNewPromise = hardState.term !== handed.hardState.term || hardState.vote !== handed.hardState.vote;
  const ready = {
    softState: sameSoftState(softState, handed.softState) ? undefined : softState,
    hardState: sameHardState(hardState, handed.hardState) ? undefined : hardState,
    readStates: raft.readStates,
    entries,
    snapshot: log.unstable.nextSnapshot(),
    committedEntries: log.nextCommittedEntries(!asyncStorageWrites),
    messages: raft.messages,
    mustSync: entries.length > 0 || isNewPromise,
  };
  const more = asyncStorageWrites
    ? localMessages(raft, ready)
    : raft.messagesAfterAppend.filter(({ to }) => to !== raft.id);
  return more.length === 0 ? ready : { ...ready, messages: [...ready.messages, ...more] };
}

/** Everything in `ready` is being done from now on; returns what to step when it is, without async storage writes. */
export function acceptReady(raft: RaftState, handed: Handed, ready: Ready): Message[] {
  if (ready.softState !== undefined) handed.softState = ready.softState;
  if (ready.hardState !== undefined) handed.hardState = ready.hardState;
  const steps = raft.options.asyncStorageWrites ? [] : stepsOnAdvance(raft, ready);
  // Never emptied in place: the arrays have been handed out.
  raft.readStates = [];
  raft.messages = [];
  raft.messagesAfterAppend = [];
  raft.log.unstable.acceptInProgress();
  const last = ready.committedEntries.at(-1);
  if (last !== undefined) {
    const bytes = entriesBytes(ready.committedEntries);
    raft.log.acceptApplying(last.Index, bytes, !raft.options.asyncStorageWrites);
  }
  return steps;
}

function stepsOnAdvance(raft: RaftState, ready: Ready): Message[] {
  const steps = raft.messagesAfterAppend.filter(({ to }) => to === raft.id);
  if (needsAppendAnswer(raft, ready)) steps.push(appendAnswer(raft, ready));
  if (ready.committedEntries.length > 0) steps.push(applyAnswer(raft, ready));
  return steps;
}

function localMessages(raft: RaftState, ready: Ready): Message[] {
  const { entries, hardState, snapshot, committedEntries } = ready;
  const messages: Message[] = [];
  const isWrite = entries.length > 0 || hardState !== undefined || snapshot !== undefined;
  if (isWrite || raft.messagesAfterAppend.length > 0) messages.push(appendMessage(raft, ready));
  if (committedEntries.length > 0) {
    const responses = [applyAnswer(raft, ready)];
    const fields = { to: LOCAL_APPLY_THREAD, from: raft.id, entries: committedEntries, responses };
    messages.push(message(MessageType.MsgStorageApply, fields));
  }
  return messages;
}

/**
 * The answer to the leader's own append comes before the news that its entries are stable, while the terms
 * can still be looked up in memory.
 */
function appendMessage(raft: RaftState, ready: Ready): Message {
  const { entries, hardState, snapshot } = ready;
  const own = needsAppendAnswer(raft, ready) ? [appendAnswer(raft, ready)] : [];
  return message(MessageType.MsgStorageAppend, {
    to: LOCAL_APPEND_THREAD,
    from: raft.id,
    entries,
    snapshot,
    ...hardState,
    responses: [...raft.messagesAfterAppend, ...own],
  });
}

/**
 * Also when only the hard state changes: an answer to an earlier append may have been ignored for its term,
 * and the entries would stay in memory for ever.
 */
function needsAppendAnswer(raft: RaftState, ready: Ready): boolean {
  return raft.log.unstable.entryCount > 0 || ready.snapshot !== undefined;
}

/**
 * Names the end of the log and the term of now: only if neither the term nor that entry has changed when it
 * comes back, no later append can replace what is stable then.
 */
function appendAnswer(raft: RaftState, { snapshot }: Ready): Message {
  const answer = { to: raft.id, from: LOCAL_APPEND_THREAD, term: raft.term, snapshot };
  if (raft.log.unstable.entryCount === 0) return message(MessageType.MsgStorageAppendResp, answer);
  const { term: logTerm, index } = raft.log.lastEntryId;
  return message(MessageType.MsgStorageAppendResp, { ...answer, index, logTerm });
}

/** Without a term: what is committed stays so. */
function applyAnswer(raft: RaftState, { committedEntries }: Ready): Message {
  const fields = { to: raft.id, from: LOCAL_APPLY_THREAD, entries: committedEntries };
  return message(MessageType.MsgStorageApplyResp, fields);
}

function sameSoftState(a: SoftState, b: SoftState): boolean {
  return a.lead === b.lead && a.role === b.role;
}
