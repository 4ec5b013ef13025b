import { becomeFollower } from './become.js';
import { describeProgress } from './describe/configuration.js';
import { hex } from './describe/names.js';
import { propose } from './leader-propose.js';
import { send } from './outbox.js';
import type { RaftState } from './raft-state.js';
import { confirmReads, readAsLeader, releasePendingReads } from './read-index.js';
import type { Refusal } from './refusal.js';
import { broadcastAppend, broadcastHeartbeat, maybeCommit, maybeSendAppend, sendAppend } from './replicate.js';
import type { Progress } from './tracker/progress.js';
import { MessageType, NONE, type Message } from './types.js';

/** What a leader does with a message of its term. */
export function stepLeader(raft: RaftState, message: Message): Refusal | undefined {
  switch (message.type) {
    case MessageType.MsgBeat:
      broadcastHeartbeat(raft);
      return undefined;
    case MessageType.MsgCheckQuorum:
      checkQuorum(raft);
      return undefined;
    case MessageType.MsgProp:
      return propose(raft, message);
    case MessageType.MsgReadIndex:
      readAsLeader(raft, message);
      return undefined;
    case MessageType.MsgForgetLeader:
      return undefined;
    default:
      stepFromMember(raft, message);
      return undefined;
  }
}

/** Messages about a member: they need its progress. */
function stepFromMember(raft: RaftState, message: Message): void {
  const progress = raft.tracker.progress.get(message.from);
  if (progress === undefined) {
    raft.logger.debug(`${hex(raft.id)} no progress available for ${hex(message.from)}`);
    return;
  }
  switch (message.type) {
    case MessageType.MsgAppResp:
      progress.recentActive = true;
      if (message.reject) handleRejection(raft, message, progress);
      else handleAcknowledgement(raft, message, progress);
      break;
    case MessageType.MsgHeartbeatResp:
      handleHeartbeatAnswer(raft, message, progress);
      break;
    case MessageType.MsgSnapStatus:
      handleSnapshotStatus(raft, message, progress);
      break;
    case MessageType.MsgUnreachable:
      handleUnreachable(raft, message, progress);
      break;
    case MessageType.MsgTransferLeader:
      transferLeadership(raft, message, progress);
      break;
    default:
      break;
  }
}

/** Steps down without a quorum; then everybody must show themselves anew before the next check. */
function checkQuorum(raft: RaftState): void {
  if (!raft.tracker.isQuorumActive) {
    raft.logger.warning(`${hex(raft.id)} stepped down to follower since quorum is not active`);
    becomeFollower(raft, raft.term, NONE);
  }
  raft.tracker.visitOthers(raft.id, (_id, progress) => {
    progress.recentActive = false;
  });
}

/**
 * The follower's log does not follow on at `index`; it hints at its last entry that could agree. Entries of
 * ours with a greater term than the hint's cannot be in its log, so they are not asked for one by one.
 */
function handleRejection(raft: RaftState, message: Message, progress: Progress): void {
  const { from, index, rejectHint, logTerm } = message;
  const hint = `rejected, hint: (index ${rejectHint}, term ${logTerm})`;
  raft.logger.debug(`${hex(raft.id)} received MsgAppResp(${hint}) from ${hex(from)} for index ${index}`);
  const next = logTerm > 0n ? raft.log.findConflictByTerm(rejectHint, logTerm).index : rejectHint;
  if (!progress.maybeDecreaseTo(index, next)) return;
  raft.logger.debug(`${hex(raft.id)} decreased progress of ${hex(from)} to [${describeProgress(progress)}]`);
  if (progress.state === 'replicate') progress.becomeProbe();
  sendAppend(raft, from);
}

function handleAcknowledgement(raft: RaftState, { from, index }: Message, progress: Progress): void {
  const isNews = progress.maybeUpdate(index) || (progress.match === index && progress.state === 'probe');
  if (!isNews) return;
  resumeReplication(raft, from, index, progress);
  if (maybeCommit(raft)) {
    releasePendingReads(raft);
    broadcastAppend(raft);
  } else if (from !== raft.id && progress.canBumpCommit(raft.log.committed)) {
    sendAppend(raft, from);
  }
  if (from !== raft.id) while (maybeSendAppend(raft, from, false));
  if (from === raft.leadTransferee && progress.match === raft.log.lastIndex) {
    raft.logger.info(`${hex(raft.id)} sent MsgTimeoutNow to ${hex(from)} after received MsgAppResp`);
    send(raft, MessageType.MsgTimeoutNow, from);
  }
}

function resumeReplication(raft: RaftState, from: bigint, index: bigint, progress: Progress): void {
  switch (progress.state) {
    case 'probe':
      progress.becomeReplicate();
      break;
    case 'snapshot': {
      // Whatever snapshot arrived, it counts if the log can go on from it.
      if (progress.match + 1n < raft.log.firstIndex) break;
      const recovered = `recovered from needing snapshot, resumed sending replication messages to ${hex(from)}`;
      raft.logger.debug(`${hex(raft.id)} ${recovered} [${describeProgress(progress)}]`);
      progress.becomeProbe();
      progress.becomeReplicate();
      break;
    }
    case 'replicate':
      progress.inflights.freeUpTo(index);
      break;
  }
}

function handleHeartbeatAnswer(raft: RaftState, message: Message, progress: Progress): void {
  progress.recentActive = true;
  progress.isFlowPaused = false;
  if (progress.match < raft.log.lastIndex || progress.state === 'probe') sendAppend(raft, message.from);
  confirmReads(raft, message);
}

/** Whether the snapshot arrived or not, the next append waits for the next heartbeat's answer. */
function handleSnapshotStatus(raft: RaftState, { from, reject }: Message, progress: Progress): void {
  if (progress.state !== 'snapshot') return;
  if (reject) progress.pendingSnapshot = 0n;
  progress.becomeProbe();
  const text = `snapshot ${reject ? 'failed' : 'succeeded'}, resumed sending replication messages to ${hex(from)}`;
  raft.logger.debug(`${hex(raft.id)} ${text} [${describeProgress(progress)}]`);
  progress.isFlowPaused = true;
}

/** An append was lost with good reason to think so: where the follower is must be found out anew. */
function handleUnreachable(raft: RaftState, { from }: Message, progress: Progress): void {
  if (progress.state === 'replicate') progress.becomeProbe();
  const text = `failed to send message to ${hex(from)} because it is unreachable`;
  raft.logger.debug(`${hex(raft.id)} ${text} [${describeProgress(progress)}]`);
}

/** Brings the member up to date, then asks it to stand for election at once (thesis, section 3.10). */
function transferLeadership(raft: RaftState, { from }: Message, progress: Progress): void {
  const { logger, leadTransferee } = raft;
  const id = hex(raft.id);
  const member = `${id} [term ${raft.term}]`;
  if (progress.isLearner) {
    logger.debug(`${id} is learner. Ignored transferring leadership`);
    return;
  }
  if (leadTransferee === from) {
    const text = `transfer leadership to ${hex(from)} is in progress, ignores request to same node ${hex(from)}`;
    logger.info(`${member} ${text}`);
    return;
  }
  if (leadTransferee !== NONE) {
    raft.leadTransferee = NONE;
    logger.info(`${member} abort previous transferring leadership to ${hex(leadTransferee)}`);
  }
  if (from === raft.id) {
    logger.debug(`${id} is already leader. Ignored transferring leadership to self`);
    return;
  }
  logger.info(`${member} starts to transfer leadership to ${hex(from)}`);
  raft.electionElapsed = 0;
  raft.leadTransferee = from;
  if (progress.match === raft.log.lastIndex) {
    send(raft, MessageType.MsgTimeoutNow, from);
    logger.info(`${id} sends MsgTimeoutNow to ${hex(from)} immediately as ${hex(from)} already has up-to-date log`);
  } else {
    sendAppend(raft, from);
  }
}
