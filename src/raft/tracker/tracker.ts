import { jointCommitted, jointVote } from '../quorum/joint.js';
import type { VoteResult } from '../quorum/vote-result.js';
import type { RaftId } from '../types.js';
import { EMPTY_CONFIGURATION, type Configuration, type ProgressMap } from './configuration.js';
import { Inflights } from './inflights.js';
import type { Progress } from './progress.js';

/** How far ahead of its acknowledgements a follower is fed. */
export interface InflightLimits {
  readonly messagesMax: number;
  /** Infinity means no limit. */
  readonly bytesMax: number;
}

/** The active configuration, its members' progress and the votes of the running election. */
export class Tracker {
  readonly inflightLimits: InflightLimits;
  configuration: Configuration = EMPTY_CONFIGURATION;
  progress: ProgressMap = new Map();
  readonly #votes = new Map<RaftId, boolean>();
  readonly #match = (id: RaftId): bigint | undefined => this.progress.get(id)?.match;

  constructor(inflightLimits: InflightLimits) {
    this.inflightLimits = inflightLimits;
  }

  newInflights(): Inflights {
    return new Inflights(this.inflightLimits.messagesMax, this.inflightLimits.bytesMax);
  }

  /** Calls `visit` for every member but one, in ascending order of their ids. */
  visitOthers(self: RaftId, visit: (id: RaftId, progress: Progress) => void): void {
    for (const [id, progress] of this.progress) if (id !== self) visit(id, progress);
  }

  /** Whether the leader is the only voter. */
  get isSingleton(): boolean {
    const { incoming, outgoing } = this.configuration.voters;
    return incoming.size === 1 && outgoing.size === 0;
  }

  /** The greatest position that the voters have acknowledged. */
  committed(): bigint {
    return jointCommitted(this.configuration.voters, this.#match);
  }

  /** Whether a quorum has been heard of lately. */
  get isQuorumActive(): boolean {
    const votes = new Map<RaftId, boolean>();
    for (const [id, { isLearner, recentActive }] of this.progress) if (!isLearner) votes.set(id, recentActive);
    return jointVote(this.configuration.voters, votes) === 'won';
  }

  resetVotes(): void {
    this.#votes.clear();
  }

  /** The first vote of a member counts. */
  recordVote(id: RaftId, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  tallyVotes(): { readonly granted: number; readonly rejected: number; readonly result: VoteResult } {
    let granted = 0;
    let rejected = 0;
    for (const [id, { isLearner }] of this.progress) {
      const vote = this.#votes.get(id);
      if (isLearner || vote === undefined) continue;
      if (vote) granted += 1;
      else rejected += 1;
    }
    return { granted, rejected, result: jointVote(this.configuration.voters, this.#votes) };
  }
}
