import { standForElection } from './campaign.js';
import { hex } from './describe/names.js';
import { handleAppend, handleHeartbeat, handleSnapshot } from './follow.js';
import { send } from './outbox.js';
import type { RaftState } from './raft-state.js';
import { takeReadAnswer } from './read-index.js';
import type { Refusal } from './refusal.js';
import { MessageType, NONE, type Message } from './types.js';

/** What a follower does with a message of its term. */
export function stepFollower(raft: RaftState, message: Message): Refusal | undefined {
  switch (message.type) {
    case MessageType.MsgProp:
      return forwardProposal(raft, message);
    case MessageType.MsgApp:
      hearFrom(raft, message);
      handleAppend(raft, message);
      return undefined;
    case MessageType.MsgHeartbeat:
      hearFrom(raft, message);
      handleHeartbeat(raft, message);
      return undefined;
    case MessageType.MsgSnap:
      hearFrom(raft, message);
      handleSnapshot(raft, message);
      return undefined;
    case MessageType.MsgTransferLeader:
      forward(raft, message, 'dropping leader transfer msg');
      return undefined;
    case MessageType.MsgReadIndex:
      forward(raft, message, 'dropping index reading msg');
      return undefined;
    case MessageType.MsgForgetLeader:
      forgetLeader(raft);
      return undefined;
    case MessageType.MsgTimeoutNow: {
      const text = `received MsgTimeoutNow from ${hex(message.from)} and starts an election to get leadership.`;
      raft.logger.info(`${hex(raft.id)} [term ${raft.term}] ${text}`);
      // No pre-vote: there is no partition that this member could come back from.
      standForElection(raft, 'transfer');
      return undefined;
    }
    case MessageType.MsgReadIndexResp:
      takeReadAnswer(raft, message);
      return undefined;
    default:
      return undefined;
  }
}

function hearFrom(raft: RaftState, { from }: Message): void {
  raft.electionElapsed = 0;
  raft.lead = from;
}

function forwardProposal(raft: RaftState, message: Message): Refusal | undefined {
  if (raft.lead !== NONE && raft.options.disableProposalForwarding) {
    const text = `not forwarding to leader ${hex(raft.lead)} at term ${raft.term}; dropping proposal`;
    raft.logger.info(`${hex(raft.id)} ${text}`);
    return 'proposalDropped';
  }
  return forward(raft, message, 'dropping proposal') ? undefined : 'proposalDropped';
}

/** Passes a message on to the leader; whether there is one. */
function forward(raft: RaftState, message: Message, dropping: string): boolean {
  if (raft.lead === NONE) {
    raft.logger.info(`${hex(raft.id)} no leader at term ${raft.term}; ${dropping}`);
    return false;
  }
  const { type, ...fields } = message;
  send(raft, type, raft.lead, fields);
  return true;
}

/** A lease rests on followers that know their leader. */
function forgetLeader(raft: RaftState): void {
  if (raft.options.readMode === 'leaseBased') {
    raft.logger.error('ignoring MsgForgetLeader due to ReadOnlyLeaseBased');
  } else if (raft.lead !== NONE) {
    raft.logger.info(`${hex(raft.id)} forgetting leader ${hex(raft.lead)} at term ${raft.term}`);
    raft.lead = NONE;
  }
}
