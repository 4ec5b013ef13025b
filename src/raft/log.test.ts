import { describe, expect, it } from 'vitest';
import { entryBytes } from './entry-size.js';
import { entriesOfTerms } from './group.test-helper.js';
import { InvariantError } from './invariant-error.js';
import { RaftLog } from './log.js';
import { MemoryStorage } from './memory-storage.js';
import { SILENT_RAFT_LOGGER } from './raft-logger.js';
import { EMPTY_SNAPSHOT, type Entry } from './types.js';

const NO_LIMIT = Number.POSITIVE_INFINITY;

/** A log behind a snapshot, with stable and unstable entries of these terms. */
function logOf(setup: {
  at?: readonly [index: number, term: number];
  stable?: number[];
  unstable?: number[];
  max?: number;
}) {
  const [index, term] = setup.at ?? [0, 0];
  const storage = new MemoryStorage();
  const metadata = { ...EMPTY_SNAPSHOT.metadata, index: BigInt(index), term: BigInt(term) };
  storage.applySnapshot({ ...EMPTY_SNAPSHOT, metadata });
  storage.append(entriesOfTerms(setup.stable ?? [], index + 1));
  const log = new RaftLog(storage, SILENT_RAFT_LOGGER, setup.max ?? NO_LIMIT);
  log.append(entriesOfTerms(setup.unstable ?? [], index + 1 + (setup.stable ?? []).length));
  return { log, storage };
}

function pairs(entries: Entry[] | 'compacted'): string[] | string {
  return entries === 'compacted' ? entries : entries.map(({ Index, Term }) => `${Index}:${Term}`);
}

describe('where logs may agree', () => {
  const early = { unstable: [2, 2, 5, 5, 5] };
  const late = { at: [10, 3] as const, unstable: [3, 3, 4, 4, 4] };
  it.each([
    { setup: early, index: 100n, term: 2n, found: 100n },
    { setup: early, index: 5n, term: 6n, found: 5n },
    { setup: early, index: 5n, term: 4n, found: 2n },
    { setup: early, index: 5n, term: 2n, found: 2n },
    { setup: early, index: 5n, term: 1n, found: 0n },
    { setup: early, index: 1n, term: 2n, found: 1n },
    { setup: late, index: 30n, term: 3n, found: 30n },
    { setup: late, index: 14n, term: 4n, found: 14n },
    { setup: late, index: 14n, term: 3n, found: 12n },
    { setup: late, index: 14n, term: 2n, found: 9n },
    { setup: late, index: 10n, term: 3n, found: 10n },
    { setup: late, index: 4n, term: 2n, found: 4n },
  ])('is at $found for $index of term $term', ({ setup, index, term, found }) => {
    const { log } = logOf(setup);
    expect(log.findConflictByTerm(index, term)).toEqual({ index: found, term: log.termOrZero(found) });
  });
});

describe('appending what a leader sends', () => {
  const base = { stable: [1, 2, 3] };
  it.each([
    { prev: { term: 2n, index: 3n }, entries: [], last: undefined, log: ['1:1', '2:2', '3:3'] },
    { prev: { term: 3n, index: 4n }, entries: [], last: undefined, log: ['1:1', '2:2', '3:3'] },
    { prev: { term: 3n, index: 3n }, entries: [], last: 3n, log: ['1:1', '2:2', '3:3'] },
    { prev: { term: 3n, index: 3n }, entries: [4, 4], last: 5n, log: ['1:1', '2:2', '3:3', '4:4', '5:4'] },
    { prev: { term: 2n, index: 2n }, entries: [3], last: 3n, log: ['1:1', '2:2', '3:3'] },
    { prev: { term: 2n, index: 2n }, entries: [4, 4], last: 4n, log: ['1:1', '2:2', '3:4', '4:4'] },
    { prev: { term: 1n, index: 1n }, entries: [4], last: 2n, log: ['1:1', '2:4'] },
  ])('behind $prev.index of term $prev.term: $log', ({ prev, entries, last, log: expected }) => {
    const { log } = logOf(base);
    const given = entriesOfTerms(entries, Number(prev.index) + 1);
    expect(log.maybeAppend({ prev, entries: given }, 1n)).toBe(last);
    expect(pairs(log.slice(1n, log.lastIndex + 1n, NO_LIMIT))).toEqual(expected);
    expect(log.committed).toBe(last === undefined ? 0n : 1n);
  });

  it('commits no more than it has been sent', () => {
    const { log } = logOf(base);
    log.maybeAppend({ prev: { term: 1n, index: 1n }, entries: entriesOfTerms([2], 2) }, 100n);
    expect(log.committed).toBe(2n);
  });

  it('never replaces what is committed', () => {
    const { log } = logOf(base);
    log.commitTo(2n);
    expect(() => log.maybeAppend({ prev: { term: 1n, index: 1n }, entries: entriesOfTerms([9], 2) }, 0n)).toThrow(
      'entry 2 conflict with committed entry [committed(2)]',
    );
    expect(() => log.append(entriesOfTerms([9], 2))).toThrow('after(1) is out of range [committed(2)]');
  });

  it('does not commit what it does not have', () => {
    const { log } = logOf(base);
    expect(() => log.commitTo(4n)).toThrow('tocommit(4) is out of range [lastIndex(3)]');
    log.commitTo(3n);
    log.commitTo(1n);
    expect(log.committed).toBe(3n);
  });
});

describe('reading the log', () => {
  const both = { at: [2, 1] as const, stable: [1, 1], unstable: [2, 2] };
  it.each([
    { lo: 2n, hi: 4n, expected: 'compacted' },
    { lo: 3n, hi: 3n, expected: [] },
    { lo: 3n, hi: 5n, expected: ['3:1', '4:1'] },
    { lo: 4n, hi: 6n, expected: ['4:1', '5:2'] },
    { lo: 5n, hi: 7n, expected: ['5:2', '6:2'] },
    { lo: 3n, hi: 7n, expected: ['3:1', '4:1', '5:2', '6:2'] },
  ])('from $lo to $hi gives $expected', ({ lo, hi, expected }) => {
    expect(pairs(logOf(both).log.slice(lo, hi, NO_LIMIT))).toEqual(expected);
  });

  it.each([0, 1, 2, 3, 4])('gives as many entries as fit, one at least: %i', (count) => {
    const [entry] = entriesOfTerms([1], 3);
    const max = entry === undefined ? 0 : entryBytes(entry) * count;
    expect(logOf(both).log.slice(3n, 7n, max)).toHaveLength(Math.max(1, count));
  });

  it('asks for nothing that is not there', () => {
    const { log } = logOf(both);
    expect(() => log.slice(3n, 8n, NO_LIMIT)).toThrow(InvariantError);
    expect([1n, 2n, 3n, 6n, 7n].map((index) => log.term(index))).toEqual(['compacted', 1n, 1n, 2n, 'unavailable']);
  });

  it.each([
    { term: 3n, index: 1n, isUpToDate: true },
    { term: 2n, index: 6n, isUpToDate: true },
    { term: 2n, index: 5n, isUpToDate: false },
    { term: 1n, index: 9n, isUpToDate: false },
  ])('holds no more than a log that ends at $index of term $term: $isUpToDate', ({ term, index, isUpToDate }) => {
    expect(logOf(both).log.isUpToDate({ term, index })).toBe(isUpToDate);
  });
});

describe('applying the log', () => {
  it('gives out committed entries once, unstable ones only where that is allowed', () => {
    const { log } = logOf({ stable: [1], unstable: [1, 1] });
    log.commitTo(2n);
    expect(pairs(log.nextCommittedEntries(false))).toEqual(['1:1']);
    expect(pairs(log.nextCommittedEntries(true))).toEqual(['1:1', '2:1']);
    log.acceptApplying(2n, 10, true);
    expect(log.hasNextCommittedEntries(true)).toBe(false);
  });

  it('waits when as much as allowed is being applied', () => {
    const { log } = logOf({ stable: [1, 1, 1], max: 5 });
    log.commitTo(3n);
    expect(pairs(log.nextCommittedEntries(true))).toEqual(['1:1']);
    log.acceptApplying(1n, 4, true);
    expect(log.hasNextCommittedEntries(true)).toBe(false);
    log.appliedTo(1n, 4);
    expect(pairs(log.nextCommittedEntries(true))).toEqual(['2:1']);
  });

  it('gives out nothing while a snapshot is pending', () => {
    const { log } = logOf({ stable: [1] });
    log.restore({ ...EMPTY_SNAPSHOT, metadata: { ...EMPTY_SNAPSHOT.metadata, index: 5n, term: 2n } });
    expect([log.committed, log.lastIndex, log.firstIndex]).toEqual([5n, 5n, 6n]);
    expect(log.nextCommittedEntries(true)).toEqual([]);
  });

  it('goes neither back nor beyond what is committed', () => {
    const { log } = logOf({ stable: [1, 1] });
    log.commitTo(1n);
    log.appliedTo(1n, 0);
    expect(() => log.appliedTo(0n, 0)).toThrow('applied(0) is out of range [prevApplied(1), committed(1)]');
    expect(() => log.appliedTo(2n, 0)).toThrow(InvariantError);
    expect(() => log.acceptApplying(2n, 0, true)).toThrow(InvariantError);
  });
});

describe('storage in memory', () => {
  it('replaces entries from where new ones begin and leaves out compacted ones', () => {
    const { storage } = logOf({ at: [2, 1], stable: [1, 1, 1] });
    storage.append(entriesOfTerms([2, 2, 2], 2));
    expect([storage.firstIndex(), storage.lastIndex(), storage.term(4n)]).toEqual([3n, 4n, 2n]);
    expect(() => storage.append(entriesOfTerms([2], 9))).toThrow('missing log entry [last: 4, append at: 9]');
  });

  it('compacts and makes snapshots only forward', () => {
    const { storage } = logOf({ stable: [1, 1, 2] });
    expect(storage.createSnapshot(3n, undefined, new Uint8Array(0))).toMatchObject({
      metadata: { index: 3n, term: 2n },
    });
    expect(storage.createSnapshot(3n, undefined, new Uint8Array(0))).toBe('snapshotOutOfDate');
    expect(storage.compact(2n)).toBeUndefined();
    expect(storage.compact(2n)).toBe('compacted');
    expect([storage.firstIndex(), storage.term(2n), storage.term(1n), storage.term(4n)]).toEqual([
      3n,
      1n,
      'compacted',
      'unavailable',
    ]);
    expect(storage.applySnapshot(EMPTY_SNAPSHOT)).toBe('snapshotOutOfDate');
    expect(() => storage.compact(9n)).toThrow(InvariantError);
  });
});
