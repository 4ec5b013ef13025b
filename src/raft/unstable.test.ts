import { beforeEach, describe, expect, it } from 'vitest';
import { entriesOfTerms } from './group.test-helper.js';
import { InvariantError } from './invariant-error.js';
import { SILENT_RAFT_LOGGER } from './raft-logger.js';
import { EMPTY_SNAPSHOT, type Snapshot } from './types.js';
import { Unstable } from './unstable.js';

const SNAPSHOT: Snapshot = { ...EMPTY_SNAPSHOT, metadata: { ...EMPTY_SNAPSHOT.metadata, index: 4n, term: 1n } };
const NO_LIMIT = Number.POSITIVE_INFINITY;

let lines: string[] = [];

beforeEach(() => {
  lines = [];
});

function unstableWith(terms: readonly number[], offset = 5): Unstable {
  const logger = { ...SILENT_RAFT_LOGGER, info: (text: string) => void lines.push(text) };
  const unstable = new Unstable(BigInt(offset), logger);
  unstable.truncateAndAppend(entriesOfTerms(terms, offset));
  return unstable;
}

function terms(unstable: Unstable): string[] {
  const end = unstable.offset + BigInt(unstable.entryCount);
  return unstable.slice(unstable.offset, end, NO_LIMIT).map(({ Index, Term }) => `${Index}:${Term}`);
}

describe('the unstable end of the log', () => {
  it('decides the first index only with a snapshot', () => {
    const unstable = unstableWith([1]);
    expect(unstable.firstIndex).toBeUndefined();
    unstable.restore(SNAPSHOT);
    expect(unstable.firstIndex).toBe(5n);
  });

  it('decides the last index with entries or a snapshot', () => {
    const unstable = unstableWith([]);
    expect(unstable.lastIndex).toBeUndefined();
    unstable.restore(SNAPSHOT);
    expect(unstable.lastIndex).toBe(4n);
    unstable.truncateAndAppend(entriesOfTerms([1, 1], 5));
    expect(unstable.lastIndex).toBe(6n);
  });

  it('knows the terms of its entries and of its snapshot', () => {
    const unstable = unstableWith([]);
    unstable.restore(SNAPSHOT);
    unstable.truncateAndAppend(entriesOfTerms([2], 5));
    expect([3n, 4n, 5n, 6n].map((index) => unstable.term(index))).toEqual([undefined, 1n, 2n, undefined]);
  });

  it('gives each entry and snapshot out once', () => {
    const unstable = unstableWith([]);
    unstable.restore(SNAPSHOT);
    unstable.truncateAndAppend(entriesOfTerms([1], 5));
    expect([unstable.nextSnapshot(), unstable.nextEntries().length]).toEqual([SNAPSHOT, 1]);
    unstable.acceptInProgress();
    expect([unstable.nextSnapshot(), unstable.nextEntries().length]).toEqual([undefined, 0]);
    unstable.truncateAndAppend(entriesOfTerms([1], 6));
    expect(unstable.nextEntries().map(({ Index }) => Index)).toEqual([6n]);
    expect(unstable.hasNextEntries).toBe(true);
  });

  it.each([
    { from: 7, given: [2, 2], after: ['5:1', '6:1', '7:2', '8:2'], offset: 5n, inProgress: 7n },
    { from: 6, given: [2], after: ['5:1', '6:2'], offset: 5n, inProgress: 6n },
    { from: 5, given: [2], after: ['5:2'], offset: 5n, inProgress: 5n },
    { from: 4, given: [2, 2], after: ['4:2', '5:2'], offset: 4n, inProgress: 4n },
  ])(
    'with 5:1 and 6:1 being written, entries from $from make it $after',
    ({ from, given, after, offset, inProgress }) => {
      const unstable = unstableWith([1, 1]);
      unstable.acceptInProgress();
      unstable.truncateAndAppend(entriesOfTerms(given, from));
      expect(terms(unstable)).toEqual(after);
      expect(unstable).toMatchObject({ offset, offsetInProgress: inProgress });
    },
  );

  it.each([
    { index: 5n, term: 1n, left: ['6:1'], line: undefined },
    { index: 6n, term: 1n, left: [], line: undefined },
    { index: 7n, term: 1n, left: ['5:1', '6:1'], line: 'entry at index 7 missing from unstable log; ignoring' },
    { index: 4n, term: 1n, left: ['5:1', '6:1'], line: 'entry at index 4 missing from unstable log; ignoring' },
    {
      index: 6n,
      term: 2n,
      left: ['5:1', '6:1'],
      line: 'entry at (index,term)=(6,2) mismatched with entry at (6,1) in unstable log; ignoring',
    },
  ])('forgets what is stable up to $index of term $term: $left stay', ({ index, term, left, line }) => {
    const unstable = unstableWith([1, 1]);
    unstable.acceptInProgress();
    unstable.stableTo({ index, term });
    expect(terms(unstable)).toEqual(left);
    expect(lines).toEqual(line === undefined ? [] : [line]);
  });

  it('forgets its snapshot when that one is stable', () => {
    const unstable = unstableWith([]);
    unstable.restore(SNAPSHOT);
    unstable.stableSnapshotTo(3n);
    expect(unstable.snapshot).toBe(SNAPSHOT);
    unstable.stableTo({ index: 4n, term: 1n });
    expect(lines).toEqual(['entry at index 4 matched unstable snapshot; ignoring']);
    unstable.stableSnapshotTo(4n);
    expect(unstable.snapshot).toBeUndefined();
  });

  it('refuses to give entries that it does not have', () => {
    const unstable = unstableWith([1, 1]);
    expect(() => unstable.slice(4n, 6n, NO_LIMIT)).toThrow(InvariantError);
    expect(() => unstable.slice(5n, 8n, NO_LIMIT)).toThrow('unstable.slice[5,8) out of bound [5,7]');
    expect(() => unstable.slice(6n, 5n, NO_LIMIT)).toThrow('invalid unstable.slice 6 > 5');
  });
});
