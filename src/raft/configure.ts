import { becomeFollower } from './become.js';
import { entersJoint, leavesJoint } from './conf-change.js';
import { Changer, type ChangeResult } from './confchange/changer.js';
import type { Membership } from './confchange/draft.js';
import { restoreMembership } from './confchange/restore.js';
import { describeConfiguration, describeConfStateText } from './describe/configuration.js';
import { hex } from './describe/names.js';
import { assertInvariant, InvariantError } from './invariant-error.js';
import type { RaftState } from './raft-state.js';
import { broadcastAppend, maybeCommit, maybeSendAppend } from './replicate.js';
import { confStateOf, sameConfState } from './tracker/configuration.js';
import { jointIds } from './quorum/joint.js';
import { NONE, type ConfChangeV2, type ConfState } from './types.js';

/** Makes a committed change the active configuration; one that is not possible is a bug of its proposer. */
export function applyConfChange(raft: RaftState, change: ConfChangeV2): ConfState {
  return switchTo(raft, membershipOf(changed(raft, change)));
}

function changed(raft: RaftState, change: ConfChangeV2): ChangeResult {
  const changer = new Changer(raft.tracker, raft.log.lastIndex);
  if (leavesJoint(change)) return changer.leaveJoint();
  const joint = entersJoint(change);
  return joint === undefined ? changer.simple(change.changes) : changer.enterJoint(joint.autoLeave, change.changes);
}

/** Makes a snapshot's configuration the active one. */
export function restoreConfiguration(raft: RaftState, state: ConfState): void {
  raft.tracker = raft.newTracker();
  const membership = membershipOf(restoreMembership(raft.tracker, raft.log.lastIndex, state));
  const restored = switchTo(raft, membership);
  assertInvariant(sameConfState(state, restored), () => {
    return `ConfStates not equivalent: ${describeConfStateText(state)} and ${describeConfStateText(restored)}`;
  });
}

function membershipOf(result: ChangeResult): Membership {
  if ('refused' in result) throw new InvariantError(result.refused);
  return result;
}

function switchTo(raft: RaftState, { configuration, progress }: Membership): ConfState {
  const { tracker } = raft;
  tracker.configuration = configuration;
  tracker.progress = progress;
  raft.logger.info(`${hex(raft.id)} switched to configuration ${describeConfiguration(configuration)}`);
  const own = progress.get(raft.id);
  raft.isLearner = own?.isLearner === true;
  if (raft.role === 'leader') {
    if (own === undefined || raft.isLearner) removedAsLeader(raft);
    else if (configuration.voters.incoming.size > 0) reactAsLeader(raft);
  }
  return confStateOf(configuration);
}

function removedAsLeader(raft: RaftState): void {
  if (raft.options.stepDownOnRemoval) becomeFollower(raft, raft.term, NONE);
}

/** More may be committed than before, and new members are probed without waiting for a heartbeat. */
function reactAsLeader(raft: RaftState): void {
  if (maybeCommit(raft)) broadcastAppend(raft);
  else raft.tracker.visitOthers(raft.id, (id) => void maybeSendAppend(raft, id, false));
  if (!jointIds(raft.tracker.configuration.voters).has(raft.leadTransferee)) raft.leadTransferee = NONE;
}
