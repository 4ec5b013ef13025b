import type { Joint } from '../quorum/joint.js';
import { sortedIds, type ConfState, type RaftId } from '../types.js';
import type { Progress } from './progress.js';

/** Who takes part, in which part. No member is voter and learner at the same time. */
export interface Configuration {
  readonly voters: Joint;
  readonly learners: ReadonlySet<RaftId>;
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: ReadonlySet<RaftId>;
  /** Whether the leader leaves the joint configuration by itself. */
  readonly autoLeave: boolean;
}

/** The progress of every member of a configuration, in ascending order of their ids. */
export type ProgressMap = ReadonlyMap<RaftId, Progress>;

/** The configuration without members. */
export const EMPTY_CONFIGURATION: Configuration = {
  voters: { incoming: new Set(), outgoing: new Set() },
  learners: new Set(),
  learnersNext: new Set(),
  autoLeave: false,
};

/** Whether two majorities must agree. */
export function isJoint({ voters }: Configuration): boolean {
  return voters.outgoing.size > 0;
}

/** The configuration as snapshots store it. */
export function confStateOf({ voters, learners, learnersNext, autoLeave }: Configuration): ConfState {
  return {
    voters: sortedIds(voters.incoming),
    votersOutgoing: sortedIds(voters.outgoing),
    learners: sortedIds(learners),
    learnersNext: sortedIds(learnersNext),
    autoLeave,
  };
}

/** Whether both describe the same configuration, in whatever order. */
export function sameConfState(a: ConfState, b: ConfState): boolean {
  return (
    sameIds(a.voters, b.voters) &&
    sameIds(a.learners, b.learners) &&
    sameIds(a.votersOutgoing, b.votersOutgoing) &&
    sameIds(a.learnersNext, b.learnersNext) &&
    a.autoLeave === b.autoLeave
  );
}

function sameIds(a: readonly RaftId[], b: readonly RaftId[]): boolean {
  const other = sortedIds(b);
  return a.length === b.length && sortedIds(a).every((id, position) => id === other[position]);
}
