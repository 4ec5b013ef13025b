import { appendEntries } from './become.js';
import { asV2, confChangeOf, isConfChangeEntry, type AnyConfChange } from './conf-change.js';
import { describeConfChange } from './describe/conf-change.js';
import { describeConfiguration } from './describe/configuration.js';
import { hex } from './describe/names.js';
import { assertInvariant } from './invariant-error.js';
import type { RaftState } from './raft-state.js';
import type { Refusal } from './refusal.js';
import { broadcastAppend } from './replicate.js';
import { isJoint } from './tracker/configuration.js';
import { NO_BYTES, NONE, unplacedEntry, type Entry, type Message } from './types.js';

/** Appends proposals to the leader's log and sends them on. */
export function propose(raft: RaftState, { entries }: Message): Refusal | undefined {
  assertInvariant(entries.length > 0, () => `${hex(raft.id)} stepped empty MsgProp`);
  if (!raft.tracker.progress.has(raft.id)) return 'proposalDropped';
  if (raft.leadTransferee !== NONE) {
    const transfer = `[term ${raft.term}] transfer leadership to ${hex(raft.leadTransferee)} is in progress`;
    raft.logger.debug(`${hex(raft.id)} ${transfer}; dropping proposal`);
    return 'proposalDropped';
  }
  if (entries.some((entry) => isConfChangeEntry(entry) && confChangeOf(entry) === undefined)) return 'malformedMessage';
  const checked = entries.map((entry, position) => checkedProposal(raft, entry, position));
  if (!appendEntries(raft, checked)) return 'proposalDropped';
  broadcastAppend(raft);
  return undefined;
}

/** The proposal, or an empty one in place of a configuration change that may not be made now. */
function checkedProposal(raft: RaftState, entry: Entry, position: number): Entry {
  const change = isConfChangeEntry(entry) ? confChangeOf(entry) : undefined;
  if (change === undefined) return entry;
  const problem = problemOf(raft, change);
  if (problem !== undefined && !raft.options.disableConfChangeValidation) {
    const config = describeConfiguration(raft.tracker.configuration);
    raft.logger.info(
      `${hex(raft.id)} ignoring conf change ${describeConfChange(change)} at config ${config}: ${problem}`,
    );
    return unplacedEntry(NO_BYTES);
  }
  raft.pendingConfIndex = raft.log.lastIndex + BigInt(position) + 1n;
  return entry;
}

/** Why a change may not be proposed. The check is a best effort: the active configuration may not be the newest. */
function problemOf(raft: RaftState, change: AnyConfChange): string | undefined {
  const { pendingConfIndex, log, tracker } = raft;
  if (pendingConfIndex > log.applied) {
    return `possible unapplied conf change at index ${pendingConfIndex} (applied to ${log.applied})`;
  }
  const joint = isJoint(tracker.configuration);
  const wantsToLeave = asV2(change).changes.length === 0;
  if (joint && !wantsToLeave) return 'must transition out of joint config first';
  return !joint && wantsToLeave ? 'not in joint state; refusing empty conf change' : undefined;
}
