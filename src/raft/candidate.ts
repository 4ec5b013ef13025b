import { becomeFollower, becomeLeader } from './become.js';
import { campaign, countVote } from './campaign.js';
import { hex, ROLE_NAME } from './describe/names.js';
import { handleAppend, handleHeartbeat, handleSnapshot } from './follow.js';
import type { RaftState } from './raft-state.js';
import type { Refusal } from './refusal.js';
import { broadcastAppend } from './replicate.js';
import { MessageType, NONE, type Message } from './types.js';

/** What a candidate or pre-candidate does with a message of its term: whoever leads it is followed. */
export function stepCandidate(raft: RaftState, message: Message): Refusal | undefined {
  switch (message.type) {
    case MessageType.MsgProp:
      raft.logger.info(`${hex(raft.id)} no leader at term ${raft.term}; dropping proposal`);
      return 'proposalDropped';
    case MessageType.MsgApp:
      becomeFollower(raft, message.term, message.from);
      handleAppend(raft, message);
      return undefined;
    case MessageType.MsgHeartbeat:
      becomeFollower(raft, message.term, message.from);
      handleHeartbeat(raft, message);
      return undefined;
    case MessageType.MsgSnap:
      becomeFollower(raft, message.term, message.from);
      handleSnapshot(raft, message);
      return undefined;
    case MessageType.MsgPreVoteResp:
    case MessageType.MsgVoteResp:
      takeVote(raft, message);
      return undefined;
    case MessageType.MsgTimeoutNow: {
      const state = `[term ${raft.term} state ${ROLE_NAME[raft.role]}]`;
      raft.logger.debug(`${hex(raft.id)} ${state} ignored MsgTimeoutNow from ${hex(message.from)}`);
      return undefined;
    }
    default:
      return undefined;
  }
}

/** Votes of an earlier stage of the same term are ignored. */
function takeVote(raft: RaftState, message: Message): void {
  const isPreVote = raft.role === 'preCandidate';
  if (isPreVote !== (message.type === MessageType.MsgPreVoteResp)) return;
  const result = countVote(raft, message);
  if (result === 'lost') {
    becomeFollower(raft, raft.term, NONE);
  } else if (result === 'won' && isPreVote) {
    campaign(raft, 'election');
  } else if (result === 'won') {
    becomeLeader(raft);
    broadcastAppend(raft);
  }
}
