import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jointCommitted, jointIds, jointVote } from './joint.js';
import { COMMITTED_BY_NOBODY, majorityCommitted, majorityVote } from './majority.js';

const ids = fc.uniqueArray(fc.bigInt({ min: 1n, max: 9n }), { maxLength: 7 }).map((list) => new Set(list));
const acks = fc.dictionary(
  fc.constantFrom('1', '2', '3', '4', '5', '6', '7', '8', '9'),
  fc.bigInt({ min: 0n, max: 20n }),
);
const votes = fc
  .dictionary(fc.constantFrom('1', '2', '3', '4', '5', '6', '7', '8', '9'), fc.boolean())
  .map((record) => new Map(Object.entries(record).map(([id, vote]) => [BigInt(id), vote])));

/** Counts for every candidate position how many have reached it. */
function naiveCommitted(voters: ReadonlySet<bigint>, acked: (id: bigint) => bigint | undefined): bigint {
  if (voters.size === 0) return COMMITTED_BY_NOBODY;
  let best = 0n;
  for (let index = 0n; index <= 20n; index += 1n) {
    const reached = [...voters].filter((id) => (acked(id) ?? 0n) >= index).length;
    if (reached * 2 > voters.size) best = index;
  }
  return best;
}

/** Lets everybody who has not voted vote both ways: decided is what that cannot change. */
function naiveVote(voters: ReadonlySet<bigint>, given: ReadonlyMap<bigint, boolean>): string {
  const wins = (rest: boolean): boolean => {
    return voters.size === 0 || [...voters].filter((id) => given.get(id) ?? rest).length * 2 > voters.size;
  };
  if (wins(false)) return 'won';
  return wins(true) ? 'pending' : 'lost';
}

describe('a majority', () => {
  it('commits what more than half have acknowledged', () => {
    fc.assert(
      fc.property(ids, acks, (voters, record) => {
        const acked = (id: bigint): bigint | undefined => record[String(id)];
        expect(majorityCommitted(voters, acked)).toBe(naiveCommitted(voters, acked));
      }),
    );
  });

  it('is won or lost as soon as the missing votes cannot change that', () => {
    fc.assert(
      fc.property(ids, votes, (voters, given) => {
        expect(majorityVote(voters, given)).toBe(naiveVote(voters, given));
      }),
    );
  });
});

describe('a joint quorum', () => {
  it('commits what both halves commit, whichever way round', () => {
    fc.assert(
      fc.property(ids, ids, acks, (incoming, outgoing, record) => {
        const acked = (id: bigint): bigint | undefined => record[String(id)];
        const halves = [naiveCommitted(incoming, acked), naiveCommitted(outgoing, acked)];
        const committed = jointCommitted({ incoming, outgoing }, acked);
        expect(committed).toBe(halves.sort((a, b) => (a < b ? -1 : 1))[0]);
        expect(jointCommitted({ incoming: outgoing, outgoing: incoming }, acked)).toBe(committed);
      }),
    );
  });

  it('needs both halves to win and one to lose', () => {
    fc.assert(
      fc.property(ids, ids, votes, (incoming, outgoing, given) => {
        const halves = [naiveVote(incoming, given), naiveVote(outgoing, given)];
        const expected = halves.includes('lost') ? 'lost' : halves.includes('pending') ? 'pending' : 'won';
        expect(jointVote({ incoming, outgoing }, given)).toBe(expected);
      }),
    );
  });

  it('has the voters of both halves', () => {
    expect([...jointIds({ incoming: new Set([1n, 2n]), outgoing: new Set([2n, 3n]) })]).toEqual([1n, 2n, 3n]);
  });
});
