import { describeProgress } from './describe/configuration.js';
import { hex } from './describe/names.js';
import { payloadBytes } from './entry-size.js';
import { assertInvariant } from './invariant-error.js';
import { send } from './outbox.js';
import type { RaftState } from './raft-state.js';
import { isGap } from './storage.js';
import type { Progress } from './tracker/progress.js';
import { MessageType, minIndex, type Entry, type RaftId } from './types.js';

/** Sends a member what it lacks, and the commit index even if it lacks nothing. */
export function sendAppend(raft: RaftState, to: RaftId): void {
  maybeSendAppend(raft, to, true);
}

/** The same to all other members. */
export function broadcastAppend(raft: RaftState): void {
  raft.tracker.visitOthers(raft.id, (id) => sendAppend(raft, id));
}

/** Sends a member what it lacks, or a snapshot if that is compacted; whether anything was sent. */
export function maybeSendAppend(raft: RaftState, to: RaftId, sendIfEmpty: boolean): boolean {
  const progress = raft.tracker.progress.get(to);
  if (progress === undefined || progress.isPaused) return false;
  const index = progress.next - 1n;
  const logTerm = raft.log.term(index);
  if (isGap(logTerm)) return maybeSendSnapshot(raft, to, progress);
  const entries = entriesFor(raft, progress);
  const isEmpty = entries === 'compacted' || entries.length === 0;
  if (isEmpty && !sendIfEmpty) return false;
  if (entries === 'compacted') return maybeSendSnapshot(raft, to, progress);
  const commit = raft.log.committed;
  send(raft, MessageType.MsgApp, to, { index, logTerm, entries, commit });
  progress.sentEntries(entries.length, payloadBytes(entries));
  progress.sentCommit(commit);
  return true;
}

/** Nothing when too much is on its way: an empty append then finds out whether it has been lost. */
function entriesFor(raft: RaftState, progress: Progress): Entry[] | 'compacted' {
  if (progress.state === 'replicate' && progress.inflights.isFull) return [];
  return raft.log.entriesFrom(progress.next, raft.options.messageBytesMax);
}

function maybeSendSnapshot(raft: RaftState, to: RaftId, progress: Progress): boolean {
  const { logger, log } = raft;
  if (!progress.recentActive) {
    logger.debug(`ignore sending snapshot to ${hex(to)} since it is not recently active`);
    return false;
  }
  const snapshot = log.snapshot();
  if (snapshot === undefined) {
    const reason = 'because snapshot is temporarily unavailable';
    logger.debug(`${hex(raft.id)} failed to send snapshot to ${hex(to)} ${reason}`);
    return false;
  }
  const { index, term } = snapshot.metadata;
  assertInvariant(index !== 0n, () => 'need non-empty snapshot');
  const where = `[firstindex: ${log.firstIndex}, commit: ${log.committed}]`;
  const what = `snapshot[index: ${index}, term: ${term}]`;
  logger.debug(`${hex(raft.id)} ${where} sent ${what} to ${hex(to)} [${describeProgress(progress)}]`);
  progress.becomeSnapshot(index);
  const paused = `paused sending replication messages to ${hex(to)}`;
  logger.debug(`${hex(raft.id)} ${paused} [${describeProgress(progress)}]`);
  send(raft, MessageType.MsgSnap, to, { snapshot });
  return true;
}

/** Tells all other members that the leader is there, and confirms reads. */
export function broadcastHeartbeat(raft: RaftState): void {
  const context = raft.reads.heartbeatContext();
  raft.tracker.visitOthers(raft.id, (id, progress) => {
    // Nobody may commit what it is not known to have.
    const commit = minIndex(progress.match, raft.log.committed);
    send(raft, MessageType.MsgHeartbeat, id, { commit, context });
    progress.sentCommit(commit);
  });
}

/** Commits what a quorum has, if the leader's own term wrote it (Raft, section 5.4.2); whether anything was. */
export function maybeCommit(raft: RaftState): boolean {
  return raft.log.maybeCommit({ term: raft.term, index: raft.tracker.committed() });
}
