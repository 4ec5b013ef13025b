import { sliceOfBytes } from './entry-size.js';
import { assertInvariant } from './invariant-error.js';
import type { RaftLogger } from './raft-logger.js';
import { maxIndex, minIndex, type Entry, type EntryId, type Snapshot } from './types.js';

/**
 * The end of the log that stable storage does not have yet, and a snapshot on its way there. A write that
 * has been handed out is in progress until its end is told; until then it is still read from here. Its first
 * entry may replace one that is stable.
 */
export class Unstable {
  /** The position of the first entry here, or of the next one. */
  offset: bigint;
  /** Entries before this position are being written. */
  offsetInProgress: bigint;
  snapshot: Snapshot | undefined;
  #entries: Entry[] = [];
  #isSnapshotInProgress = false;
  readonly #logger: RaftLogger;

  constructor(offset: bigint, logger: RaftLogger) {
    this.offset = offset;
    this.offsetInProgress = offset;
    this.#logger = logger;
  }

  get entryCount(): number {
    return this.#entries.length;
  }

  /** The first index of the log, if a snapshot here decides it. */
  get firstIndex(): bigint | undefined {
    return this.snapshot === undefined ? undefined : this.snapshot.metadata.index + 1n;
  }

  /** The last index of the log, if it is here. */
  get lastIndex(): bigint | undefined {
    if (this.#entries.length > 0) return this.#end - 1n;
    return this.snapshot?.metadata.index;
  }

  /** The term of an entry that is here. */
  term(index: bigint): bigint | undefined {
    if (index >= this.offset) return this.#entries[Number(index - this.offset)]?.Term;
    const metadata = this.snapshot?.metadata;
    return metadata?.index === index ? metadata.term : undefined;
  }

  /** Whether there are entries that are not being written. */
  get hasNextEntries(): boolean {
    return this.offsetInProgress < this.#end;
  }

  /** The entries that are not being written. */
  nextEntries(): Entry[] {
    return this.#entries.slice(Number(this.offsetInProgress - this.offset));
  }

  /** The snapshot, unless it is being written. */
  nextSnapshot(): Snapshot | undefined {
    return this.#isSnapshotInProgress ? undefined : this.snapshot;
  }

  /** Everything here is being written from now on. */
  acceptInProgress(): void {
    if (this.#entries.length > 0) this.offsetInProgress = this.#end;
    if (this.snapshot !== undefined) this.#isSnapshotInProgress = true;
  }

  /** Everything up to this entry is stable, and no write in progress can replace it. */
  stableTo({ term, index }: EntryId): void {
    const found = this.term(index);
    if (found === undefined) {
      this.#logger.info(`entry at index ${index} missing from unstable log; ignoring`);
    } else if (index < this.offset) {
      this.#logger.info(`entry at index ${index} matched unstable snapshot; ignoring`);
    } else if (found !== term) {
      const there = `entry at (${index},${found}) in unstable log`;
      this.#logger.info(`entry at (index,term)=(${index},${term}) mismatched with ${there}; ignoring`);
    } else {
      this.#entries = this.#entries.slice(Number(index + 1n - this.offset));
      this.offset = index + 1n;
      this.offsetInProgress = maxIndex(this.offsetInProgress, this.offset);
    }
  }

  /** The snapshot at this index is stable. */
  stableSnapshotTo(index: bigint): void {
    if (this.snapshot?.metadata.index !== index) return;
    this.snapshot = undefined;
    this.#isSnapshotInProgress = false;
  }

  /** Replaces everything by a snapshot. */
  restore(snapshot: Snapshot): void {
    this.offset = snapshot.metadata.index + 1n;
    this.offsetInProgress = this.offset;
    this.#entries = [];
    this.snapshot = snapshot;
    this.#isSnapshotInProgress = false;
  }

  /** Appends entries; those that stand where they begin, and behind, are dropped first. */
  truncateAndAppend(entries: readonly Entry[]): void {
    const from = entries[0]?.Index ?? this.#end;
    if (from === this.#end) {
      for (const entry of entries) this.#entries.push(entry);
    } else if (from <= this.offset) {
      this.#logger.info(`replace the unstable entries from index ${from}`);
      this.#entries = [...entries];
      this.offset = from;
      this.offsetInProgress = from;
    } else {
      this.#logger.info(`truncate the unstable entries before index ${from}`);
      this.#entries = [...this.#entries.slice(0, Number(from - this.offset)), ...entries];
      this.offsetInProgress = minIndex(this.offsetInProgress, from);
    }
  }

  /** The entries from `lo` up to but without `hi`, all of which must be here; as many as fit, but one at least. */
  slice(lo: bigint, hi: bigint, bytesMax: number): Entry[] {
    assertInvariant(lo <= hi, () => `invalid unstable.slice ${lo} > ${hi}`);
    const isInside = lo >= this.offset && hi <= this.#end;
    assertInvariant(isInside, () => `unstable.slice[${lo},${hi}) out of bound [${this.offset},${this.#end}]`);
    return sliceOfBytes(this.#entries, Number(lo - this.offset), Number(hi - this.offset), bytesMax);
  }

  get #end(): bigint {
    return this.offset + BigInt(this.#entries.length);
  }
}
