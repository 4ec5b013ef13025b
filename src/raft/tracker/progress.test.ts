import { describe, expect, it } from 'vitest';
import { describeProgress } from '../describe/configuration.js';
import { InvariantError } from '../invariant-error.js';
import { Inflights } from './inflights.js';
import { Progress } from './progress.js';

function progressAt(match: bigint, next: bigint): Progress {
  const inflights = new Inflights(2, Number.POSITIVE_INFINITY);
  return new Progress({ match, next, inflights, isLearner: false, recentActive: true });
}

function replicating(match: bigint): Progress {
  const progress = progressAt(match, match + 1n);
  progress.becomeReplicate();
  return progress;
}

describe('the progress of a member', () => {
  it('probes behind what is known to match', () => {
    const progress = replicating(1n);
    progress.sentEntries(3, 0);
    progress.becomeProbe();
    expect(progress).toMatchObject({ state: 'probe', match: 1n, next: 2n });
  });

  it.each([
    { pending: 10n, next: 11n },
    { pending: 0n, next: 2n },
  ])('probes behind the snapshot at $pending that was on its way', ({ pending, next }) => {
    const progress = progressAt(1n, 5n);
    progress.becomeSnapshot(pending);
    progress.becomeProbe();
    expect(progress).toMatchObject({ state: 'probe', next, pendingSnapshot: 0n });
  });

  it('waits while a snapshot is on its way', () => {
    const progress = progressAt(1n, 5n);
    progress.becomeSnapshot(10n);
    expect(progress).toMatchObject({ state: 'snapshot', isPaused: true, next: 11n });
    expect(() => progress.sentEntries(1, 1)).toThrow(InvariantError);
  });

  it('sends one append while it probes', () => {
    const progress = progressAt(1n, 2n);
    progress.sentEntries(0, 0);
    expect(progress.isPaused).toBe(false);
    progress.sentEntries(1, 0);
    expect(progress).toMatchObject({ isPaused: true, next: 2n });
  });

  it('sends ahead while it replicates, until too much is on its way', () => {
    const progress = replicating(1n);
    progress.sentEntries(2, 0);
    expect(progress).toMatchObject({ isPaused: false, next: 4n });
    progress.sentEntries(1, 0);
    expect(progress).toMatchObject({ isPaused: true, next: 5n });
  });

  it.each([
    { index: 2n, match: 3n, next: 5n, isNews: false },
    { index: 3n, match: 3n, next: 5n, isNews: false },
    { index: 4n, match: 4n, next: 5n, isNews: true },
    { index: 5n, match: 5n, next: 6n, isNews: true },
  ])('with 3 matched an acknowledgement of $index is news: $isNews', ({ index, match, next, isNews }) => {
    const progress = progressAt(3n, 5n);
    expect(progress.maybeUpdate(index)).toBe(isNews);
    expect(progress).toMatchObject({ match, next });
  });

  it.each([
    { state: 'replicate', match: 5n, next: 10n, rejected: 5n, hint: 5n, isNews: false, after: 10n },
    { state: 'replicate', match: 5n, next: 10n, rejected: 4n, hint: 4n, isNews: false, after: 10n },
    { state: 'replicate', match: 5n, next: 10n, rejected: 9n, hint: 9n, isNews: true, after: 6n },
    { state: 'probe', match: 0n, next: 0n, rejected: 0n, hint: 0n, isNews: false, after: 0n },
    { state: 'probe', match: 0n, next: 10n, rejected: 5n, hint: 5n, isNews: false, after: 10n },
    { state: 'probe', match: 0n, next: 10n, rejected: 9n, hint: 9n, isNews: true, after: 9n },
    { state: 'probe', match: 0n, next: 2n, rejected: 1n, hint: 1n, isNews: true, after: 1n },
    { state: 'probe', match: 0n, next: 1n, rejected: 0n, hint: 0n, isNews: true, after: 1n },
    { state: 'probe', match: 0n, next: 10n, rejected: 9n, hint: 2n, isNews: true, after: 3n },
    { state: 'probe', match: 0n, next: 10n, rejected: 9n, hint: 0n, isNews: true, after: 1n },
  ] as const)('in $state at $match/$next a rejection of $rejected with hint $hint is news: $isNews', (row) => {
    const progress = progressAt(row.match, row.next);
    progress.state = row.state;
    expect(progress.maybeDecreaseTo(row.rejected, row.hint)).toBe(row.isNews);
    expect(progress).toMatchObject({ match: row.match, next: row.after });
  });

  it('tells a commit index only while it can be news', () => {
    const progress = replicating(5n);
    expect(progress.canBumpCommit(3n)).toBe(true);
    progress.sentCommit(3n);
    expect(progress.canBumpCommit(3n)).toBe(false);
    progress.sentCommit(5n);
    expect(progress.canBumpCommit(9n)).toBe(false);
  });

  it('is printed as in the dialogues', () => {
    const progress = replicating(1n);
    progress.sentEntries(1, 0);
    progress.sentEntries(1, 0);
    progress.isLearner = true;
    progress.recentActive = false;
    expect(describeProgress(progress)).toBe('StateReplicate match=1 next=4 learner paused inactive inflight=2[full]');
  });
});
