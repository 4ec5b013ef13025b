import { hex } from './describe/names.js';
import { send } from './outbox.js';
import type { RaftState } from './raft-state.js';
import { broadcastHeartbeat } from './replicate.js';
import { MessageType, NO_BYTES, NONE, type Message } from './types.js';

/** The leader answers a read at once if it is alone, and not before it has committed in its term. */
export function readAsLeader(raft: RaftState, request: Message): void {
  if (raft.tracker.isSingleton) answerRead(raft, request, raft.log.committed);
  else if (hasCommittedInTerm(raft)) confirmRead(raft, request);
  else raft.pendingReads.push(request);
}

/** A first entry of the leader's term is committed: reads that waited for it go on. */
export function releasePendingReads(raft: RaftState): void {
  if (raft.pendingReads.length === 0) return;
  if (!hasCommittedInTerm(raft)) {
    raft.logger.error('pending MsgReadIndex should be released only after first commit in current term');
    return;
  }
  const requests = raft.pendingReads;
  raft.pendingReads = [];
  for (const request of requests) confirmRead(raft, request);
}

/** A member has answered a heartbeat: reads that a quorum has confirmed are answered. */
export function confirmReads(raft: RaftState, { from, context }: Message): void {
  if (raft.options.readMode !== 'safe' || context.length === 0) return;
  raft.reads.receiveAck(from, context);
  for (const { request, index } of raft.reads.takeConfirmed(raft.tracker.configuration.voters)) {
    answerRead(raft, request, index);
  }
}

/** The leader's answer has come back to the member that asked. */
export function takeReadAnswer(raft: RaftState, { from, index, entries }: Message): void {
  const [entry] = entries;
  if (entry === undefined || entries.length !== 1) {
    const text = `invalid format of MsgReadIndexResp from ${hex(from)}, entries count: ${entries.length}`;
    raft.logger.error(`${hex(raft.id)} ${text}`);
    return;
  }
  raft.readStates.push({ index, requestCtx: entry.Data });
}

function confirmRead(raft: RaftState, request: Message): void {
  if (raft.options.readMode === 'leaseBased') {
    answerRead(raft, request, raft.log.committed);
    return;
  }
  raft.reads.add(request, raft.log.committed);
  raft.reads.receiveAck(raft.id, raft.reads.heartbeatContext());
  broadcastHeartbeat(raft);
}

function answerRead(raft: RaftState, { from, entries }: Message, index: bigint): void {
  if (from === NONE || from === raft.id) {
    raft.readStates.push({ index, requestCtx: entries[0]?.Data ?? NO_BYTES });
  } else {
    send(raft, MessageType.MsgReadIndexResp, from, { index, entries });
  }
}

function hasCommittedInTerm(raft: RaftState): boolean {
  return raft.log.termOrZero(raft.log.committed) === raft.term;
}
