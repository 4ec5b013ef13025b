import { becomeFollower } from './become.js';
import { restoreConfiguration } from './configure.js';
import { describeConfStateText } from './describe/configuration.js';
import { hex } from './describe/names.js';
import { send } from './outbox.js';
import type { RaftState } from './raft-state.js';
import { EMPTY_SNAPSHOT, MessageType, minIndex, NONE, type Message, type Snapshot } from './types.js';

/** Appends what the leader sends, or hints where the logs may agree (Raft, section 5.3). */
export function handleAppend(raft: RaftState, { from, index, logTerm, entries, commit }: Message): void {
  const { log } = raft;
  if (index < log.committed) {
    send(raft, MessageType.MsgAppResp, from, { index: log.committed });
    return;
  }
  const last = log.maybeAppend({ prev: { term: logTerm, index }, entries }, commit);
  if (last !== undefined) {
    send(raft, MessageType.MsgAppResp, from, { index: last });
    return;
  }
  const own = `${hex(raft.id)} [logterm: ${log.termOrZero(index)}, index: ${index}]`;
  raft.logger.debug(`${own} rejected MsgApp [logterm: ${logTerm}, index: ${index}] from ${hex(from)}`);
  // Entries of greater terms than the leader's at this index cannot agree: the hint leaves them out.
  const hint = log.findConflictByTerm(minIndex(index, log.lastIndex), logTerm);
  send(raft, MessageType.MsgAppResp, from, { index, reject: true, rejectHint: hint.index, logTerm: hint.term });
}

/** Takes over the commit index and answers. */
export function handleHeartbeat(raft: RaftState, { from, commit, context }: Message): void {
  raft.log.commitTo(commit);
  send(raft, MessageType.MsgHeartbeatResp, from, { context });
}

/** Takes over a snapshot, or tells what it has already. */
export function handleSnapshot(raft: RaftState, { from, snapshot = EMPTY_SNAPSHOT }: Message): void {
  const { index, term } = snapshot.metadata;
  const isRestored = restore(raft, snapshot);
  const done = isRestored ? 'restored' : 'ignored';
  const { committed } = raft.log;
  raft.logger.info(`${hex(raft.id)} [commit: ${committed}] ${done} snapshot [index: ${index}, term: ${term}]`);
  send(raft, MessageType.MsgAppResp, from, { index: isRestored ? raft.log.lastIndex : committed });
}

/** Whether the snapshot has replaced the log. */
function restore(raft: RaftState, snapshot: Snapshot): boolean {
  const { log, logger } = raft;
  const { index, term, confState } = snapshot.metadata;
  if (index <= log.committed) return false;
  if (raft.role !== 'follower') {
    logger.warning(`${hex(raft.id)} attempted to restore snapshot as leader; should never happen`);
    becomeFollower(raft, raft.term + 1n, NONE);
    return false;
  }
  // Whoever is to be a learner next is an outgoing voter.
  if (![...confState.voters, ...confState.learners, ...confState.votersOutgoing].includes(raft.id)) {
    const text = `it is not in the ConfState ${describeConfStateText(confState)}; should never happen`;
    logger.warning(`${hex(raft.id)} attempted to restore snapshot but ${text}`);
    return false;
  }
  if (log.matches({ term, index })) {
    logger.info(`${describeEnd(raft)} fast-forwarded commit to snapshot [index: ${index}, term: ${term}]`);
    log.commitTo(index);
    return false;
  }
  log.restore(snapshot);
  restoreConfiguration(raft, confState);
  logger.info(`${describeEnd(raft)} restored snapshot [index: ${index}, term: ${term}]`);
  return true;
}

function describeEnd({ id, log }: RaftState): string {
  const { term, index } = log.lastEntryId;
  return `${hex(id)} [commit: ${log.committed}, lastindex: ${index}, lastterm: ${term}]`;
}
