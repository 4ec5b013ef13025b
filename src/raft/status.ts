import type { RaftState } from './raft-state.js';
import type { Configuration } from './tracker/configuration.js';
import type { Progress } from './tracker/progress.js';
import type { HardState, RaftId, SoftState } from './types.js';

/** What a member thinks of itself. */
export interface BasicStatus extends HardState, SoftState {
  readonly id: RaftId;
  readonly applied: bigint;
  readonly leadTransferee: RaftId;
}

/** The same with the configuration and, from a leader, the progress of its members. */
export interface Status extends BasicStatus {
  readonly configuration: Configuration;
  /** Copies, in ascending order of the ids; empty unless the member leads. */
  readonly progress: ReadonlyMap<RaftId, Progress>;
}

/** Cheap enough to be asked often. */
export function basicStatusOf(raft: RaftState): BasicStatus {
  const { id, leadTransferee } = raft;
  return { id, ...raft.hardState, ...raft.softState, applied: raft.log.applied, leadTransferee };
}

/** Everything, copied. */
export function statusOf(raft: RaftState): Status {
  const { configuration, progress } = raft.tracker;
  const seen = raft.role === 'leader' ? progress : new Map<RaftId, Progress>();
  const copies = [...seen].map(([id, one]): [RaftId, Progress] => [id, one.copy(one.inflights.clone())]);
  return { ...basicStatusOf(raft), configuration, progress: new Map(copies) };
}
