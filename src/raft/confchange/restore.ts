import { ConfChangeType, type ConfChangeSingle, type ConfState, type RaftId } from '../types.js';
import type { Tracker } from '../tracker/tracker.js';
import { Changer, type ChangeResult } from './changer.js';

/**
 * Builds the membership that a snapshot describes, beginning with a tracker without members. Of a joint
 * configuration the outgoing half is built first; entering the joint state makes the incoming one of it.
 */
export function restoreMembership(tracker: Tracker, lastIndex: bigint, state: ConfState): ChangeResult {
  const { votersOutgoing, voters, learners, learnersNext } = state;
  const incoming = [
    ...steps(ConfChangeType.ConfChangeRemoveNode, votersOutgoing),
    ...steps(ConfChangeType.ConfChangeAddNode, voters),
    ...steps(ConfChangeType.ConfChangeAddLearnerNode, learners),
    ...steps(ConfChangeType.ConfChangeAddLearnerNode, learnersNext),
  ];
  if (votersOutgoing.length === 0) return oneByOne(tracker, lastIndex, incoming);
  const outgoing = oneByOne(tracker, lastIndex, steps(ConfChangeType.ConfChangeAddNode, votersOutgoing));
  if ('refused' in outgoing) return outgoing;
  return new Changer(tracker, lastIndex, outgoing).enterJoint(state.autoLeave, incoming);
}

function oneByOne(tracker: Tracker, lastIndex: bigint, changes: readonly ConfChangeSingle[]): ChangeResult {
  let result: ChangeResult = tracker;
  for (const change of changes) {
    result = new Changer(tracker, lastIndex, result).simple([change]);
    if ('refused' in result) return result;
  }
  return result;
}

function steps(type: ConfChangeType, ids: readonly RaftId[]): ConfChangeSingle[] {
  return ids.map((nodeId) => ({ type, nodeId }));
}
