import { sliceOfBytes } from './entry-size.js';
import { assertInvariant } from './invariant-error.js';
import type { LogGap, RaftStorage } from './storage.js';
import { EMPTY_SNAPSHOT, type ConfState, type Entry, type EntryId, type HardState, type Snapshot } from './types.js';

/** Why a snapshot or compaction was not made: it is not newer than what there is. */
export type StorageRefusal = 'compacted' | 'snapshotOutOfDate';

/** Stable storage in memory: what the log on disk is read into, and all there is in tests. */
export class MemoryStorage implements RaftStorage {
  #hardState: HardState | undefined;
  #snapshot: Snapshot = EMPTY_SNAPSHOT;
  /** The last entry that is gone. */
  #compacted: EntryId = { term: 0n, index: 0n };
  #entries: Entry[] = [];

  initialState(): { readonly hardState: HardState | undefined; readonly confState: ConfState } {
    return { hardState: this.#hardState, confState: this.#snapshot.metadata.confState };
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  firstIndex(): bigint {
    return this.#compacted.index + 1n;
  }

  lastIndex(): bigint {
    return this.#compacted.index + BigInt(this.#entries.length);
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  term(index: bigint): bigint | LogGap {
    if (index < this.#compacted.index) return 'compacted';
    if (index === this.#compacted.index) return this.#compacted.term;
    return this.#entries[this.#position(index)]?.Term ?? 'unavailable';
  }

  entries(lo: bigint, hi: bigint, bytesMax: number): Entry[] | LogGap {
    if (lo <= this.#compacted.index) return 'compacted';
    const last = this.lastIndex();
    assertInvariant(hi <= last + 1n, () => `entries' hi(${hi}) is out of bound lastindex(${last})`);
    if (this.#entries.length === 0) return 'unavailable';
    return sliceOfBytes(this.#entries, this.#position(lo), this.#position(hi), bytesMax);
  }

  /** Appends entries, in place of those that stand there; those that are compacted already are left out. */
  append(entries: readonly Entry[]): void {
    const fresh = entries.filter(({ Index }) => Index > this.#compacted.index);
    const [first] = fresh;
    if (first === undefined) return;
    const last = this.lastIndex();
    assertInvariant(first.Index <= last + 1n, () => {
      return `missing log entry [last: ${last}, append at: ${first.Index}]`;
    });
    this.#entries.length = this.#position(first.Index);
    for (const entry of fresh) this.#entries.push(entry);
  }

  /** Replaces everything by a snapshot. */
  applySnapshot(snapshot: Snapshot): StorageRefusal | undefined {
    const { index, term } = snapshot.metadata;
    const current = this.#snapshot.metadata.index;
    // A snapshot at index 0 only sets the first configuration.
    if (current !== 0n && current >= index) return 'snapshotOutOfDate';
    this.#snapshot = snapshot;
    this.#compacted = { term, index };
    this.#entries = [];
    return undefined;
  }

  /** Makes the snapshot at an entry that is here; the entries stay. */
  createSnapshot(index: bigint, confState: ConfState | undefined, data: Uint8Array): Snapshot | StorageRefusal {
    const { metadata } = this.#snapshot;
    if (index <= metadata.index) return 'snapshotOutOfDate';
    const term = this.term(index);
    assertInvariant(typeof term === 'bigint', () => `snapshot ${index} is out of bound lastindex(${this.lastIndex()})`);
    this.#snapshot = { data, metadata: { index, term, confState: confState ?? metadata.confState } };
    return this.#snapshot;
  }

  /** Drops the entries up to and with `index`; the caller has applied them. */
  compact(index: bigint): StorageRefusal | undefined {
    if (index <= this.#compacted.index) return 'compacted';
    const term = this.term(index);
    assertInvariant(typeof term === 'bigint', () => `compact ${index} is out of bound lastindex(${this.lastIndex()})`);
    this.#entries = this.#entries.slice(this.#position(index) + 1);
    this.#compacted = { term, index };
    return undefined;
  }

  #position(index: bigint): number {
    return Number(index - this.#compacted.index - 1n);
  }
}
