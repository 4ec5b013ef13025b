import { entriesBytes } from './entry-size.js';
import { assertInvariant, InvariantError } from './invariant-error.js';
import type { RaftLogger } from './raft-logger.js';
import { isGap, type LogGap, type RaftStorage } from './storage.js';
import { maxIndex, minIndex, type Entry, type EntryId, type Snapshot } from './types.js';
import { Unstable } from './unstable.js';

/** Entries that follow one another and the entry that they follow. */
export interface LogSlice {
  readonly prev: EntryId;
  readonly entries: readonly Entry[];
}

/** The whole log: what is stable, what is on its way there, and how far it is committed and applied. */
export class RaftLog {
  readonly unstable: Unstable;
  /** The last entry known to be stable on a quorum. */
  committed: bigint;
  /** The last entry handed out to be applied; `applied <= applying <= committed`. */
  applying: bigint;
  /** The last entry that the application has applied. */
  applied: bigint;
  readonly #storage: RaftStorage;
  readonly #logger: RaftLogger;
  readonly #applyingBytesMax: number;
  #applyingBytes = 0;
  #isApplyingPaused = false;

  /** `applyingBytesMax` bounds what is handed out and not yet applied; infinity means no limit. */
  constructor(storage: RaftStorage, logger: RaftLogger, applyingBytesMax: number) {
    this.#storage = storage;
    this.#logger = logger;
    this.#applyingBytesMax = applyingBytesMax;
    this.unstable = new Unstable(storage.lastIndex() + 1n, logger);
    this.committed = storage.firstIndex() - 1n;
    this.applying = this.committed;
    this.applied = this.committed;
  }

  get applyingBytesMax(): number {
    return this.#applyingBytesMax;
  }

  get firstIndex(): bigint {
    return this.unstable.firstIndex ?? this.#storage.firstIndex();
  }

  get lastIndex(): bigint {
    return this.unstable.lastIndex ?? this.#storage.lastIndex();
  }

  get lastEntryId(): EntryId {
    const index = this.lastIndex;
    const term = this.term(index);
    assertInvariant(!isGap(term), () => `unexpected error when getting the last term at ${index}: ${String(term)}`);
    return { term, index };
  }

  /** The term of an entry between the one before the first and the last. */
  term(index: bigint): bigint | LogGap {
    const unstable = this.unstable.term(index);
    if (unstable !== undefined) return unstable;
    if (index + 1n < this.firstIndex) return 'compacted';
    if (index > this.lastIndex) return 'unavailable';
    return this.#storage.term(index);
  }

  /** The term, or 0 where the log has none. */
  termOrZero(index: bigint): bigint {
    const term = this.term(index);
    return isGap(term) ? 0n : term;
  }

  matches({ term, index }: EntryId): boolean {
    return this.term(index) === term;
  }

  /** Whether a log that ends thus holds at least what this one does (Raft, section 5.4.1). */
  isUpToDate(their: EntryId): boolean {
    const our = this.lastEntryId;
    return their.term > our.term || (their.term === our.term && their.index >= our.index);
  }

  /** Appends what a leader sends, if it follows on; the last of its entries, or undefined if it does not. */
  maybeAppend({ prev, entries }: LogSlice, committed: bigint): bigint | undefined {
    if (!this.matches(prev)) return undefined;
    const last = prev.index + BigInt(entries.length);
    const conflict = this.#findConflict(entries);
    if (conflict !== undefined) {
      const isNew = conflict > this.committed;
      assertInvariant(isNew, () => `entry ${conflict} conflict with committed entry [committed(${this.committed})]`);
      this.append(entries.slice(Number(conflict - prev.index - 1n)));
    }
    this.commitTo(minIndex(committed, last));
    return last;
  }

  /** Appends entries, in place of those that stand there; returns the last index. */
  append(entries: readonly Entry[]): bigint {
    const [first] = entries;
    if (first === undefined) return this.lastIndex;
    const after = first.Index - 1n;
    assertInvariant(after >= this.committed, () => `after(${after}) is out of range [committed(${this.committed})]`);
    this.unstable.truncateAndAppend(entries);
    return this.lastIndex;
  }

  /** The first of the entries that this log does not have, whether it conflicts or is new. */
  #findConflict(entries: readonly Entry[]): bigint | undefined {
    const entry = entries.find(({ Term, Index }) => !this.matches({ term: Term, index: Index }));
    if (entry !== undefined && entry.Index <= this.lastIndex) {
      const terms = `existing term: ${this.termOrZero(entry.Index)}, conflicting term: ${entry.Term}`;
      this.#logger.info(`found conflict at index ${entry.Index} [${terms}]`);
    }
    return entry?.Index;
  }

  /**
   * The last position up to `index` where this log may agree with one that has `term` at `index`, and the
   * term there, 0 if it is not known.
   */
  findConflictByTerm(index: bigint, term: bigint): EntryId {
    for (let at = index; at > 0n; at -= 1n) {
      const our = this.term(at);
      if (isGap(our)) return { index: at, term: 0n };
      if (our <= term) return { index: at, term: our };
    }
    return { index: 0n, term: 0n };
  }

  /** Commits up to the entry, if it is this log's (Raft, section 5.4.2: the caller gives its own term). */
  maybeCommit({ term, index }: EntryId): boolean {
    if (term === 0n || index <= this.committed || !this.matches({ term, index })) return false;
    this.commitTo(index);
    return true;
  }

  /** The commit index never falls. */
  commitTo(index: bigint): void {
    if (index <= this.committed) return;
    const last = this.lastIndex;
    assertInvariant(index <= last, () => {
      return `tocommit(${index}) is out of range [lastIndex(${last})]. Was the raft log corrupted, truncated, or lost?`;
    });
    this.committed = index;
  }

  /** Entries to apply next. Unless `allowUnstable`, only those that are stable here. */
  nextCommittedEntries(allowUnstable: boolean): Entry[] {
    if (!this.hasNextCommittedEntries(allowUnstable)) return [];
    const bytesMax = this.#applyingBytesMax - this.#applyingBytes;
    const entries = this.slice(this.applying + 1n, this.#appliable(allowUnstable) + 1n, bytesMax);
    if (entries === 'compacted')
      throw new InvariantError('unexpected error when getting unapplied entries (compacted)');
    return entries;
  }

  /** Whether there are entries to apply. While a snapshot is pending there are none: it comes first. */
  hasNextCommittedEntries(allowUnstable: boolean): boolean {
    if (this.#isApplyingPaused || this.unstable.snapshot !== undefined) return false;
    return this.applying < this.#appliable(allowUnstable);
  }

  /** Entries up to `index` have been handed out. */
  acceptApplying(index: bigint, bytes: number, allowUnstable: boolean): void {
    const isCommitted = index <= this.committed;
    assertInvariant(isCommitted, () => {
      return `applying(${index}) is out of range [prevApplying(${this.applying}), committed(${this.committed})]`;
    });
    this.applying = index;
    this.#applyingBytes += bytes;
    // Fewer entries than there were can only mean that the next one did not fit.
    this.#isApplyingPaused = this.#applyingBytes >= this.#applyingBytesMax || index < this.#appliable(allowUnstable);
  }

  /** Entries up to `index` have been applied. */
  appliedTo(index: bigint, bytes: number): void {
    const isInside = index <= this.committed && index >= this.applied;
    assertInvariant(isInside, () => {
      return `applied(${index}) is out of range [prevApplied(${this.applied}), committed(${this.committed})]`;
    });
    this.applied = index;
    this.applying = maxIndex(this.applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#isApplyingPaused = this.#applyingBytes >= this.#applyingBytesMax;
  }

  #appliable(allowUnstable: boolean): bigint {
    return allowUnstable ? this.committed : minIndex(this.committed, this.unstable.offset - 1n);
  }

  /** The newest snapshot, if one can be given now. */
  snapshot(): Snapshot | undefined {
    return this.unstable.snapshot ?? this.#storage.snapshot();
  }

  /** Begins anew behind a snapshot. */
  restore(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    this.#logger.info(`log [${this.#describe()}] starts to restore snapshot [index: ${index}, term: ${term}]`);
    this.committed = index;
    this.unstable.restore(snapshot);
  }

  /** The entries from `index` to the end, as many as fit. */
  entriesFrom(index: bigint, bytesMax: number): Entry[] | 'compacted' {
    const last = this.lastIndex;
    return index > last ? [] : this.slice(index, last + 1n, bytesMax);
  }

  /** The entries from `lo` up to but without `hi`, as many as fit but at least one. */
  slice(lo: bigint, hi: bigint, bytesMax: number): Entry[] | 'compacted' {
    assertInvariant(lo <= hi, () => `invalid slice ${lo} > ${hi}`);
    if (lo < this.firstIndex) return 'compacted';
    const last = this.lastIndex;
    assertInvariant(hi <= last + 1n, () => `slice[${lo},${hi}) out of bound [${this.firstIndex},${last}]`);
    if (lo === hi) return [];
    const { offset } = this.unstable;
    if (lo >= offset) return this.unstable.slice(lo, hi, bytesMax);
    return this.#sliceAcross(lo, hi, bytesMax);
  }

  /** A slice that begins in stable storage. */
  #sliceAcross(lo: bigint, hi: bigint, bytesMax: number): Entry[] | 'compacted' {
    const { offset } = this.unstable;
    const cut = minIndex(hi, offset);
    const stable = this.#storage.entries(lo, cut, bytesMax);
    if (stable === 'compacted') return stable;
    if (stable === 'unavailable') throw new InvariantError(`entries[${lo}:${cut}) is unavailable from storage`);
    if (hi <= offset || BigInt(stable.length) < cut - lo) return stable;
    const rest = bytesMax - entriesBytes(stable);
    if (rest <= 0) return stable;
    const unstable = this.unstable.slice(offset, hi, rest);
    // The first entry is always taken, even if it alone does not fit; here it must.
    if (unstable.length === 1 && entriesBytes(unstable) > rest) return stable;
    return [...stable, ...unstable];
  }

  #describe(): string {
    const { offset, offsetInProgress, entryCount } = this.unstable;
    return [
      `committed=${this.committed}, applied=${this.applied}, applying=${this.applying}`,
      `unstable.offset=${offset}, unstable.offsetInProgress=${offsetInProgress}`,
      `len(unstable.Entries)=${entryCount}`,
    ].join(', ');
  }
}
