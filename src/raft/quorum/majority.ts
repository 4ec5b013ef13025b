import { compareIndexes, type RaftId } from '../types.js';
import type { AckedIndex, VoteResult } from './vote-result.js';

/** Voters that decide by majority. Without members it agrees to everything, so that it can be half of a joint one. */
export type Majority = ReadonlySet<RaftId>;

/** What the empty majority has committed: everything. */
export const COMMITTED_BY_NOBODY = 2n ** 64n - 1n;

/** The greatest position that a majority has acknowledged. */
export function majorityCommitted(voters: Majority, acked: AckedIndex): bigint {
  if (voters.size === 0) return COMMITTED_BY_NOBODY;
  const positions: bigint[] = [];
  for (const id of voters) positions.push(acked(id) ?? 0n);
  positions.sort(compareIndexes);
  return positions[positions.length - (Math.floor(positions.length / 2) + 1)] ?? 0n;
}

/** What the votes decide. */
export function majorityVote(voters: Majority, votes: ReadonlyMap<RaftId, boolean>): VoteResult {
  if (voters.size === 0) return 'won';
  let granted = 0;
  let missing = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === undefined) missing += 1;
    else if (vote) granted += 1;
  }
  const needed = Math.floor(voters.size / 2) + 1;
  if (granted >= needed) return 'won';
  return granted + missing >= needed ? 'pending' : 'lost';
}
