import type { RaftId } from '../types.js';
import { isJoint, type Configuration, type ProgressMap } from '../tracker/configuration.js';
import { Progress } from '../tracker/progress.js';
import type { Tracker } from '../tracker/tracker.js';
import { maxIndex, sortedIds } from '../types.js';

/** A configuration with the progress of its members. */
export interface Membership {
  readonly configuration: Configuration;
  readonly progress: ProgressMap;
}

/** A configuration that is being worked on; the one it was made from stays as it is. */
export class Draft {
  readonly incoming: Set<RaftId>;
  readonly outgoing: Set<RaftId>;
  readonly learners: Set<RaftId>;
  readonly learnersNext: Set<RaftId>;
  readonly progress: Map<RaftId, Progress>;
  readonly #tracker: Tracker;
  readonly #lastIndex: bigint;

  constructor(tracker: Tracker, { configuration, progress }: Membership, lastIndex: bigint) {
    this.#tracker = tracker;
    this.#lastIndex = lastIndex;
    this.incoming = new Set(configuration.voters.incoming);
    this.outgoing = new Set(configuration.voters.outgoing);
    this.learners = new Set(configuration.learners);
    this.learnersNext = new Set(configuration.learnersNext);
    this.progress = new Map([...progress].map(([id, one]) => [id, one.copy()]));
  }

  makeVoter(id: RaftId): void {
    const progress = this.progress.get(id) ?? this.#newProgress(id, false);
    progress.isLearner = false;
    this.learners.delete(id);
    this.learnersNext.delete(id);
    this.incoming.add(id);
  }

  /** A voter of the outgoing half becomes a learner only when the joint configuration is left. */
  makeLearner(id: RaftId): void {
    const progress = this.progress.get(id) ?? this.#newProgress(id, true);
    if (progress.isLearner) {
      this.learners.add(id);
      return;
    }
    this.remove(id);
    this.progress.set(id, progress);
    if (this.outgoing.has(id)) {
      this.learnersNext.add(id);
      return;
    }
    progress.isLearner = true;
    this.learners.add(id);
  }

  /** Outgoing voters keep their progress. */
  remove(id: RaftId): void {
    if (!this.progress.has(id)) return;
    this.incoming.delete(id);
    this.learners.delete(id);
    this.learnersNext.delete(id);
    if (!this.outgoing.has(id)) this.progress.delete(id);
  }

  /** What has been drafted, its members in order. */
  finish(autoLeave: boolean): Membership {
    const { incoming, outgoing, learners, learnersNext } = this;
    const progress = new Map<RaftId, Progress>();
    for (const id of sortedIds(this.progress.keys())) {
      const one = this.progress.get(id);
      if (one !== undefined) progress.set(id, one);
    }
    return { configuration: { voters: { incoming, outgoing }, learners, learnersNext, autoLeave }, progress };
  }

  /** Probed from the end of the log, and active, lest the next check of the quorum counts it as lost. */
  #newProgress(id: RaftId, isLearner: boolean): Progress {
    const inflights = this.#tracker.newInflights();
    const next = maxIndex(this.#lastIndex, 1n);
    const progress = new Progress({ match: 0n, next, inflights, isLearner, recentActive: true });
    this.progress.set(id, progress);
    return progress;
  }
}

/** The rule that a configuration breaks, or undefined. */
export function brokenRule({ configuration, progress }: Membership): string | undefined {
  const { voters, learners, learnersNext } = configuration;
  for (const id of [...voters.incoming, ...voters.outgoing, ...learners, ...learnersNext]) {
    if (!progress.has(id)) return `no progress for ${id}`;
  }
  for (const id of learnersNext) {
    if (!voters.outgoing.has(id)) return `${id} is in LearnersNext, but not Voters[1]`;
    if (progress.get(id)?.isLearner === true) return `${id} is in LearnersNext, but is already marked as learner`;
  }
  for (const id of learners) {
    if (voters.outgoing.has(id)) return `${id} is in Learners and Voters[1]`;
    if (voters.incoming.has(id)) return `${id} is in Learners and Voters[0]`;
    if (progress.get(id)?.isLearner !== true) return `${id} is in Learners, but is not marked as learner`;
  }
  if (isJoint(configuration)) return undefined;
  if (learnersNext.size > 0) return 'cfg.LearnersNext must be nil when not joint';
  return configuration.autoLeave ? 'AutoLeave must be false when not joint' : undefined;
}
