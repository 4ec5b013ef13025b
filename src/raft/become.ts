import { assertInvariant } from './invariant-error.js';
import { send } from './outbox.js';
import { payloadBytes } from './entry-size.js';
import type { RaftState } from './raft-state.js';
import { ReadOnly } from './read-only.js';
import { Progress } from './tracker/progress.js';
import { hex } from './describe/names.js';
import { MessageType, NO_BYTES, NONE, unplacedEntry, type Entry, type RaftId } from './types.js';

/** Follows `lead`, or nobody that is known. */
export function becomeFollower(raft: RaftState, term: bigint, lead: RaftId): void {
  reset(raft, term);
  raft.lead = lead;
  raft.role = 'follower';
  raft.logger.info(`${hex(raft.id)} became follower at term ${raft.term}`);
}

/** Stands for election in the next term, with its own vote. */
export function becomeCandidate(raft: RaftState): void {
  assertInvariant(raft.role !== 'leader', () => 'invalid transition [leader -> candidate]');
  reset(raft, raft.term + 1n);
  raft.vote = raft.id;
  raft.role = 'candidate';
  raft.logger.info(`${hex(raft.id)} became candidate at term ${raft.term}`);
}

/** Asks whether it could win; term and vote stay as they are. */
export function becomePreCandidate(raft: RaftState): void {
  assertInvariant(raft.role !== 'leader', () => 'invalid transition [leader -> pre-candidate]');
  raft.tracker.resetVotes();
  raft.lead = NONE;
  raft.role = 'preCandidate';
  raft.logger.info(`${hex(raft.id)} became pre-candidate at term ${raft.term}`);
}

/** Leads; an empty entry of its own term lets it commit what it found (Raft, section 8). */
export function becomeLeader(raft: RaftState): void {
  assertInvariant(raft.role !== 'follower', () => 'invalid transition [follower -> leader]');
  reset(raft, raft.term);
  raft.lead = raft.id;
  raft.role = 'leader';
  const own = raft.tracker.progress.get(raft.id);
  own?.becomeReplicate();
  if (own !== undefined) own.recentActive = true;
  // There may be a configuration change among the entries that it found: none is accepted before they are applied.
  raft.pendingConfIndex = raft.log.lastIndex;
  appendEntries(raft, [unplacedEntry(NO_BYTES)]);
  raft.logger.info(`${hex(raft.id)} became leader at term ${raft.term}`);
}

/** Places proposals at the end of the leader's log; false if they are too many bytes. */
export function appendEntries(raft: RaftState, proposals: readonly Entry[]): boolean {
  if (!raiseUncommitted(raft, payloadBytes(proposals))) {
    const text = 'appending new entries to log would exceed uncommitted entry size limit; dropping proposal';
    raft.logger.warning(`${hex(raft.id)} ${text}`);
    return false;
  }
  let Index = raft.log.lastIndex;
  const entries = proposals.map(({ Type, Data }): Entry => {
    Index += 1n;
    return { Term: raft.term, Index, Type, Data };
  });
  const index = raft.log.append(entries);
  // The leader acknowledges its own entries when they are stable.
  send(raft, MessageType.MsgAppResp, raft.id, { index });
  return true;
}

/** Proposals have been applied. */
export function lowerUncommitted(raft: RaftState, bytes: number): void {
  raft.uncommittedBytes = Math.max(0, raft.uncommittedBytes - bytes);
}

/** Anything is taken when nothing is uncommitted, and empty proposals always. */
function raiseUncommitted(raft: RaftState, bytes: number): boolean {
  const total = raft.uncommittedBytes + bytes;
  if (raft.uncommittedBytes > 0 && bytes > 0 && total > raft.options.uncommittedBytesMax) return false;
  raft.uncommittedBytes = total;
  return true;
}

function reset(raft: RaftState, term: bigint): void {
  if (raft.term !== term) {
    raft.term = term;
    raft.vote = NONE;
  }
  raft.lead = NONE;
  raft.electionElapsed = 0;
  raft.heartbeatElapsed = 0;
  raft.drawElectionTicks();
  raft.leadTransferee = NONE;
  raft.tracker.resetVotes();
  resetProgress(raft);
  raft.pendingConfIndex = 0n;
  raft.uncommittedBytes = 0;
  raft.reads = new ReadOnly();
}

function resetProgress(raft: RaftState): void {
  const last = raft.log.lastIndex;
  const { tracker } = raft;
  tracker.progress = new Map(
    [...tracker.progress].map(([id, { isLearner }]) => {
      const match = id === raft.id ? last : 0n;
      const inflights = tracker.newInflights();
      return [id, new Progress({ match, next: last + 1n, inflights, isLearner, recentActive: false })];
    }),
  );
}
