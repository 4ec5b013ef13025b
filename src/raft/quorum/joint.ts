import { minIndex, type RaftId } from '../types.js';
import { majorityCommitted, majorityVote, type Majority } from './majority.js';
import type { AckedIndex, VoteResult } from './vote-result.js';

/** Two majorities that must agree; the outgoing one is empty unless the configuration is joint. */
export interface Joint {
  readonly incoming: Majority;
  readonly outgoing: Majority;
}

/** The voters of both halves. */
export function jointIds({ incoming, outgoing }: Joint): ReadonlySet<RaftId> {
  return outgoing.size === 0 ? incoming : new Set([...incoming, ...outgoing]);
}

/** The greatest position that both halves have committed. */
export function jointCommitted({ incoming, outgoing }: Joint, acked: AckedIndex): bigint {
  return minIndex(majorityCommitted(incoming, acked), majorityCommitted(outgoing, acked));
}

/** Won when both halves have won, lost when one has lost. */
export function jointVote({ incoming, outgoing }: Joint, votes: ReadonlyMap<RaftId, boolean>): VoteResult {
  const results = [majorityVote(incoming, votes), majorityVote(outgoing, votes)];
  if (results.includes('lost')) return 'lost';
  return results.includes('pending') ? 'pending' : 'won';
}
