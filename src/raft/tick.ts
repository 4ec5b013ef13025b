import type { RaftState } from './raft-state.js';
import { step } from './step.js';
import { message, MessageType, NONE } from './types.js';

/** Time goes on by one tick. */
export function tick(raft: RaftState): void {
  if (raft.role === 'leader') tickLeader(raft);
  else tickElection(raft);
}

function tickElection(raft: RaftState): void {
  raft.electionElapsed += 1;
  if (!raft.isPromotable || raft.electionElapsed < raft.randomizedElectionTicks) return;
  raft.electionElapsed = 0;
  step(raft, message(MessageType.MsgHup, { from: raft.id }));
}

/** A transfer that takes longer than an election timeout is given up. */
function tickLeader(raft: RaftState): void {
  const { electionTicks, heartbeatTicks, checkQuorum } = raft.options;
  raft.heartbeatElapsed += 1;
  raft.electionElapsed += 1;
  if (raft.electionElapsed >= electionTicks) {
    raft.electionElapsed = 0;
    if (checkQuorum) step(raft, message(MessageType.MsgCheckQuorum, { from: raft.id }));
    if (isLeader(raft)) raft.leadTransferee = NONE;
  }
  if (!isLeader(raft) || raft.heartbeatElapsed < heartbeatTicks) return;
  raft.heartbeatElapsed = 0;
  step(raft, message(MessageType.MsgBeat, { from: raft.id }));
}

/** Asked anew: a step may have changed it. */
function isLeader({ role }: RaftState): boolean {
  return role === 'leader';
}
