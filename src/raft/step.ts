import { becomeFollower, lowerUncommitted } from './become.js';
import { castVote, ignoresForLease, rejectVote, standForElection } from './campaign.js';
import { stepCandidate } from './candidate.js';
import { confChangeEntry } from './conf-change.js';
import { describeConfiguration } from './describe/configuration.js';
import { hex, messageTypeName } from './describe/names.js';
import { entriesBytes, payloadBytes } from './entry-size.js';
import { stepFollower } from './follower.js';
import { stepLeader } from './leader.js';
import { send } from './outbox.js';
import type { RaftState } from './raft-state.js';
import { REFUSAL_TEXT, type Refusal } from './refusal.js';
import { maxIndex, message, MessageType, NONE, type Message, type Role } from './types.js';

const STEP: Readonly<Record<Role, (raft: RaftState, message: Message) => Refusal | undefined>> = {
  follower: stepFollower,
  preCandidate: stepCandidate,
  candidate: stepCandidate,
  leader: stepLeader,
};

const FROM_LEADER: ReadonlySet<MessageType> = new Set([
  MessageType.MsgApp,
  MessageType.MsgHeartbeat,
  MessageType.MsgSnap,
]);

/** Takes a message: first its term is looked at, then the role decides. */
export function step(raft: RaftState, received: Message): Refusal | undefined {
  if (received.term > raft.term && received.term !== 0n) {
    if (isVoteRequest(received) && ignoresForLease(raft, received)) return undefined;
    meetHigherTerm(raft, received);
  } else if (received.term < raft.term && received.term !== 0n) {
    meetLowerTerm(raft, received);
    return undefined;
  }
  switch (received.type) {
    case MessageType.MsgHup:
      standForElection(raft, raft.options.preVote ? 'preElection' : 'election');
      return undefined;
    case MessageType.MsgStorageAppendResp:
      handleStable(raft, received);
      return undefined;
    case MessageType.MsgStorageApplyResp:
      handleApplied(raft, received);
      return undefined;
    case MessageType.MsgVote:
    case MessageType.MsgPreVote:
      castVote(raft, received);
      return undefined;
    default:
      return STEP[raft.role](raft, received);
  }
}

/** A pre-vote and its grant are of a term that does not exist yet; any other message makes its term this member's. */
function meetHigherTerm(raft: RaftState, { type, from, term, reject }: Message): void {
  if (type === MessageType.MsgPreVote || (type === MessageType.MsgPreVoteResp && !reject)) return;
  const received = `received a ${messageTypeName(type)} message with higher term from ${hex(from)} [term: ${term}]`;
  raft.logger.info(`${hex(raft.id)} [term: ${raft.term}] ${received}`);
  becomeFollower(raft, term, FROM_LEADER.has(type) ? from : NONE);
}

/** What comes from an older term is ignored, but some senders must learn of the newer one. */
function meetLowerTerm(raft: RaftState, received: Message): void {
  const { type, from, term } = received;
  const { checkQuorum, preVote } = raft.options;
  if ((checkQuorum || preVote) && (type === MessageType.MsgHeartbeat || type === MessageType.MsgApp)) {
    // Votes of this member are ignored under a lease: only this answer can make the leader step down and let it in.
    send(raft, MessageType.MsgAppResp, from);
  } else if (type === MessageType.MsgPreVote) {
    // Without an answer a member with a higher term and a shorter log could block everybody.
    rejectVote(raft, received);
  } else if (type === MessageType.MsgStorageAppendResp) {
    meetOldStorageAnswer(raft, received);
  } else {
    const ignored = `ignored a ${messageTypeName(type)} message with lower term from ${hex(from)} [term: ${term}]`;
    raft.logger.info(`${hex(raft.id)} [term: ${raft.term}] ${ignored}`);
  }
}

/** Entries of an older term may be about to be replaced; a snapshot is committed and so stays true. */
function meetOldStorageAnswer(raft: RaftState, { type, term, index, snapshot }: Message): void {
  if (index !== 0n) {
    const ignored = `ignored entry appends from a ${messageTypeName(type)} message with lower term [term: ${term}]`;
    raft.logger.info(`${hex(raft.id)} [term: ${raft.term}] ${ignored}`);
  }
  if (snapshot !== undefined) appliedSnapshot(raft, snapshot.metadata.index);
}

function handleStable(raft: RaftState, { index, logTerm, snapshot }: Message): void {
  if (index !== 0n) raft.log.unstable.stableTo({ term: logTerm, index });
  if (snapshot !== undefined) appliedSnapshot(raft, snapshot.metadata.index);
}

function handleApplied(raft: RaftState, { entries }: Message): void {
  const last = entries.at(-1);
  if (last === undefined) return;
  appliedTo(raft, last.Index, entriesBytes(entries));
  lowerUncommitted(raft, payloadBytes(entries));
}

function appliedSnapshot(raft: RaftState, index: bigint): void {
  raft.log.unstable.stableSnapshotTo(index);
  appliedTo(raft, index, 0);
}

/** Once everything up to the last configuration change is applied, a leader leaves a joint one that says so. */
function appliedTo(raft: RaftState, index: bigint, bytes: number): void {
  const { log, tracker, logger } = raft;
  const applied = maxIndex(index, log.applied);
  log.appliedTo(applied, bytes);
  if (!tracker.configuration.autoLeave || applied < raft.pendingConfIndex || raft.role !== 'leader') return;
  const { configuration } = tracker;
  const refusal = step(raft, message(MessageType.MsgProp, { entries: [confChangeEntry(undefined)] }));
  const transition = `initiating automatic transition out of joint configuration ${describeConfiguration(configuration)}`;
  if (refusal === undefined) logger.info(transition);
  else logger.debug(`not ${transition}: ${REFUSAL_TEXT[refusal]}`);
}

function isVoteRequest({ type }: Message): boolean {
  return type === MessageType.MsgVote || type === MessageType.MsgPreVote;
}
