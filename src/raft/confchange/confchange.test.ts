import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { confStateOf, sameConfState } from '../tracker/configuration.js';
import { Tracker } from '../tracker/tracker.js';
import type { ConfChangeSingle, ConfState } from '../types.js';
import { Changer, type ChangeResult } from './changer.js';
import { brokenRule, type Membership } from './draft.js';
import { restoreMembership } from './restore.js';

const LAST_INDEX = 10n;

function emptyTracker(): Tracker {
  return new Tracker({ messagesMax: 10, bytesMax: Number.POSITIVE_INFINITY });
}

function made(result: ChangeResult): Membership {
  if ('refused' in result) throw new Error(result.refused);
  return result;
}

function changerOf(base: Membership): Changer {
  return new Changer(emptyTracker(), LAST_INDEX, base);
}

const change = fc.record({
  type: fc.constantFrom(0 as const, 1 as const, 2 as const, 3 as const),
  nodeId: fc.bigInt({ min: 1n, max: 6n }),
});
const voter = (nodeId: bigint): ConfChangeSingle => ({ type: 0, nodeId });

/** Voter 1, who is never touched, and whatever the changes make. */
function started(changes: readonly ConfChangeSingle[]): Membership {
  let membership = made(changerOf(emptyTracker()).simple([voter(1n)]));
  for (const one of changes) {
    if (one.nodeId !== 1n) membership = made(changerOf(membership).simple([one]));
  }
  return membership;
}

function stateOf({ configuration }: Membership): ConfState {
  return confStateOf(configuration);
}

describe('a configuration change', () => {
  const lists = fc.array(change, { maxLength: 8 });

  it('made in simple steps ends where the same change through a joint configuration ends', () => {
    fc.assert(
      fc.property(lists, lists, (first, then) => {
        const base = started(first);
        const others = then.filter(({ nodeId }) => nodeId !== 1n);
        let simple = base;
        for (const one of others) simple = made(changerOf(simple).simple([one]));
        const joint = made(changerOf(base).enterJoint(false, others));
        const left = made(changerOf(joint).leaveJoint());
        expect(stateOf(left)).toEqual(stateOf(simple));
        expect([...left.progress.keys()]).toEqual([...simple.progress.keys()]);
      }),
    );
  });

  it('breaks no rule, joint or not, and leaves what it was made from as it was', () => {
    fc.assert(
      fc.property(lists, lists, fc.boolean(), (first, then, autoLeave) => {
        const base = started(first);
        const before = JSON.stringify(stateOf(base), (_key, value: unknown) => String(value));
        const joint = made(
          changerOf(base).enterJoint(autoLeave, [voter(1n), ...then.filter((one) => one.nodeId !== 1n)]),
        );
        expect(brokenRule(joint)).toBeUndefined();
        expect(JSON.stringify(stateOf(base), (_key, value: unknown) => String(value))).toBe(before);
      }),
    );
  });

  it('can be restored from the state that it left in a snapshot', () => {
    fc.assert(
      fc.property(lists, lists, fc.boolean(), (first, then, isJoint) => {
        const base = started(first);
        const others = then.filter(({ nodeId }) => nodeId !== 1n);
        const state = stateOf(isJoint ? made(changerOf(base).enterJoint(true, others)) : base);
        const restored = made(restoreMembership(emptyTracker(), LAST_INDEX, state));
        expect(sameConfState(stateOf(restored), state)).toBe(true);
      }),
    );
  });

  it.each([
    { what: 'two voters at once', refused: 'more than one voter changed without entering joint config' },
    { what: 'the last voter', refused: 'removed all voters' },
  ])('is refused for $what', ({ what, refused }) => {
    const base = started([]);
    const changes = what === 'the last voter' ? [{ type: 1 as const, nodeId: 1n }] : [voter(2n), voter(3n)];
    expect(changerOf(base).simple(changes)).toEqual({ refused });
  });
});

describe('stored configurations', () => {
  it('are the same in any order, and not when a member differs', () => {
    const state = { voters: [1n, 2n], learners: [3n], votersOutgoing: [], learnersNext: [], autoLeave: false };
    expect(sameConfState(state, { ...state, voters: [2n, 1n] })).toBe(true);
    expect(sameConfState(state, { ...state, voters: [1n, 4n] })).toBe(false);
    expect(sameConfState(state, { ...state, autoLeave: true })).toBe(false);
  });
});
