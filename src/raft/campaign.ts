import { becomeCandidate, becomePreCandidate } from './become.js';
import { isConfChangeEntry } from './conf-change.js';
import { hex, messageTypeName } from './describe/names.js';
import { InvariantError } from './invariant-error.js';
import { send } from './outbox.js';
import { jointIds } from './quorum/joint.js';
import type { VoteResult } from './quorum/vote-result.js';
import type { RaftState } from './raft-state.js';
import { MessageType, NONE, NO_BYTES, sortedIds, type EntryId, type Message } from './types.js';

/** Why an election is held: to find out whether it could be won, to win it, or because the leader asked for it. */
export type CampaignType = 'preElection' | 'election' | 'transfer';

/** What a vote request carries when the leader itself wants the change: it is not refused for the lease. */
const TRANSFER_CONTEXT = new TextEncoder().encode('CampaignTransfer');

/** Stands for election, unless it leads, may not, or does not know the newest configuration. */
export function standForElection(raft: RaftState, type: CampaignType): void {
  const { logger, term } = raft;
  const id = hex(raft.id);
  if (raft.role === 'leader') {
    logger.debug(`${id} ignoring MsgHup because already leader`);
  } else if (!raft.isPromotable) {
    logger.warning(`${id} is unpromotable and can not campaign`);
  } else if (hasUnappliedConfChange(raft)) {
    const reason = 'since there are still pending configuration changes to apply';
    logger.warning(`${id} cannot campaign at term ${term} ${reason}`);
  } else {
    logger.info(`${id} is starting a new election at term ${term}`);
    campaign(raft, type);
  }
}

/** Asks the voters for their votes, itself too: its own counts when it is stable. */
export function campaign(raft: RaftState, type: CampaignType): void {
  const isPreElection = type === 'preElection';
  if (isPreElection) becomePreCandidate(raft);
  else becomeCandidate(raft);
  const voteType = isPreElection ? MessageType.MsgPreVote : MessageType.MsgVote;
  const term = isPreElection ? raft.term + 1n : raft.term;
  const context = type === 'transfer' ? TRANSFER_CONTEXT : NO_BYTES;
  for (const to of sortedIds(jointIds(raft.tracker.configuration.voters))) {
    if (to === raft.id) {
      send(raft, responseTo(voteType), to, { term });
      continue;
    }
    const { term: logTerm, index } = raft.log.lastEntryId;
    const own = `${hex(raft.id)} [logterm: ${logTerm}, index: ${index}]`;
    raft.logger.info(`${own} sent ${messageTypeName(voteType)} request to ${hex(to)} at term ${raft.term}`);
    send(raft, voteType, to, { term, index, logTerm, context });
  }
}

/** Counts a vote. */
export function countVote(raft: RaftState, { from, type, reject }: Message): VoteResult {
  const { logger, tracker } = raft;
  const name = messageTypeName(type);
  logger.info(`${hex(raft.id)} received ${name}${reject ? ' rejection' : ''} from ${hex(from)} at term ${raft.term}`);
  tracker.recordVote(from, !reject);
  const { granted, rejected, result } = tracker.tallyVotes();
  logger.info(`${hex(raft.id)} has received ${granted} ${name} votes and ${rejected} vote rejections`);
  return result;
}

/**
 * Votes for a candidate whose log holds at least as much (Raft, section 5.4.1), once in a term. A learner
 * votes too: it may have been promoted without knowing it yet.
 */
export function castVote(raft: RaftState, request: Message): void {
  const { type, from, term, logTerm, index } = request;
  const canVote =
    raft.vote === from ||
    (raft.vote === NONE && raft.lead === NONE) ||
    (type === MessageType.MsgPreVote && term > raft.term);
  if (!canVote || !raft.log.isUpToDate({ term: logTerm, index })) {
    rejectVote(raft, request);
    return;
  }
  const name = messageTypeName(type);
  raft.logger.info(`${describeVoter(raft)} cast ${name} for ${describeCandidate(request)} at term ${raft.term}`);
  // In the term that was asked for, which for a pre-vote is not the voter's: the candidate would ignore an older one.
  send(raft, responseTo(type), from, { term });
  if (type !== MessageType.MsgVote) return;
  raft.electionElapsed = 0;
  raft.vote = from;
}

/** Refuses a vote. */
export function rejectVote(raft: RaftState, request: Message): void {
  const name = messageTypeName(request.type);
  raft.logger.info(`${describeVoter(raft)} rejected ${name} from ${describeCandidate(request)} at term ${raft.term}`);
  send(raft, responseTo(request.type), request.from, { term: raft.term, reject: true });
}

/** Whether the request must be ignored because the leader has been heard of lately (thesis, section 4.2.3). */
export function ignoresForLease(raft: RaftState, request: Message): boolean {
  const { electionTicks, checkQuorum } = raft.options;
  const isInLease = checkQuorum && raft.lead !== NONE && raft.electionElapsed < electionTicks;
  if (!isInLease || isTransfer(request.context)) return false;
  const name = messageTypeName(request.type);
  const lease = `lease is not expired (remaining ticks: ${electionTicks - raft.electionElapsed})`;
  const candidate = describeCandidate(request);
  raft.logger.info(`${describeVoter(raft)} ignored ${name} from ${candidate} at term ${raft.term}: ${lease}`);
  return true;
}

function isTransfer(context: Uint8Array): boolean {
  return context.length === TRANSFER_CONTEXT.length && TRANSFER_CONTEXT.every((byte, at) => byte === context[at]);
}

function responseTo(type: MessageType): MessageType {
  return type === MessageType.MsgPreVote ? MessageType.MsgPreVoteResp : MessageType.MsgVoteResp;
}

function describeVoter(raft: RaftState): string {
  return `${hex(raft.id)} ${describeLogEnd(raft.log.lastEntryId, `, vote: ${hex(raft.vote)}`)}`;
}

function describeCandidate({ from, logTerm, index }: Message): string {
  return `${hex(from)} ${describeLogEnd({ term: logTerm, index }, '')}`;
}

function describeLogEnd({ term, index }: EntryId, more: string): string {
  return `[logterm: ${term}, index: ${index}${more}]`;
}

/** Looks through what is committed and not applied, a page at a time. */
function hasUnappliedConfChange({ log }: RaftState): boolean {
  let next = log.applied + 1n;
  while (next <= log.committed) {
    const page = log.slice(next, log.committed + 1n, log.applyingBytesMax);
    if (page === 'compacted' || page.length === 0) {
      throw new InvariantError(`error scanning unapplied entries [${next}, ${log.committed + 1n})`);
    }
    if (page.some(isConfChangeEntry)) return true;
    next += BigInt(page.length);
  }
  return false;
}
