import { sortedIds, type ConfState, type RaftId } from '../types.js';
import type { Joint } from '../quorum/joint.js';
import type { Configuration, ProgressMap } from '../tracker/configuration.js';
import type { Progress, ProgressState } from '../tracker/progress.js';
import { hex } from './names.js';

const STATE_NAME: Readonly<Record<ProgressState, string>> = {
  probe: 'StateProbe',
  replicate: 'StateReplicate',
  snapshot: 'StateSnapshot',
};

/** Ids in parentheses. */
function describeIds(ids: ReadonlySet<RaftId>): string {
  return `(${sortedIds(ids).map(hex).join(' ')})`;
}

function describeVoters({ incoming, outgoing }: Joint): string {
  return outgoing.size > 0 ? `${describeIds(incoming)}&&${describeIds(outgoing)}` : describeIds(incoming);
}

/** A configuration as the log lines print it. */
export function describeConfiguration({ voters, learners, learnersNext, autoLeave }: Configuration): string {
  return [
    `voters=${describeVoters(voters)}`,
    ...(learners.size > 0 ? [`learners=${describeIds(learners)}`] : []),
    ...(learnersNext.size > 0 ? [`learners_next=${describeIds(learnersNext)}`] : []),
    ...(autoLeave ? ['autoleave'] : []),
  ].join(' ');
}

/** A member's progress as the log lines print it. */
export function describeProgress(progress: Progress): string {
  const { match, next, pendingSnapshot, inflights } = progress;
  const full = inflights.isFull ? '[full]' : '';
  return [
    `${STATE_NAME[progress.state]} match=${match} next=${next}`,
    ...(progress.isLearner ? ['learner'] : []),
    ...(progress.isPaused ? ['paused'] : []),
    ...(pendingSnapshot > 0n ? [`pendingSnap=${pendingSnapshot}`] : []),
    ...(progress.recentActive ? [] : ['inactive']),
    ...(inflights.count > 0 ? [`inflight=${inflights.count}${full}`] : []),
  ].join(' ');
}

/** The progress of all members, one in a line. */
export function describeProgressMap(progress: ProgressMap): string {
  return [...progress].map(([id, one]) => `${id}: ${describeProgress(one)}\n`).join('');
}

/** A stored configuration as snapshots print it. */
export function describeConfState(state: ConfState): string {
  return [
    `Voters:${list(state.voters)}`,
    `VotersOutgoing:${list(state.votersOutgoing)}`,
    `Learners:${list(state.learners)}`,
    `LearnersNext:${list(state.learnersNext)}`,
    `AutoLeave:${state.autoLeave}`,
  ].join(' ');
}

/** The stored configuration in protobuf's text form, without the blanks that Go adds at random. */
export function describeConfStateText(state: ConfState): string {
  const field = (name: string, ids: readonly RaftId[]): string[] => ids.map((id) => `${name}:${id}`);
  return [
    ...field('voters', state.voters),
    ...field('learners', state.learners),
    ...field('voters_outgoing', state.votersOutgoing),
    ...field('learners_next', state.learnersNext),
    `auto_leave:${state.autoLeave}`,
  ].join(' ');
}

function list(ids: readonly RaftId[]): string {
  return `[${ids.join(' ')}]`;
}
