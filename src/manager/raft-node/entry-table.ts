import type { raftpb } from '../../api/index.js';

/** Where an entry stands on disk, and what is asked often enough to be kept in memory. */
export interface EntryLocation<Segment> {
  readonly term: bigint;
  readonly type: raftpb.EntryType;
  readonly segment: Segment;
  readonly start: number;
  readonly end: number;
}

/** The entries of a log by index: one base (the last entry that is gone), then all that follow it. */
export class EntryTable<Segment> {
  #baseIndex = 0n;
  #baseTerm = 0n;
  #locations: EntryLocation<Segment>[] = [];

  /** Index of the oldest entry, present or to come. */
  get firstIndex(): bigint {
    return this.#baseIndex + 1n;
  }

  /** Index of the newest entry, or of the base. */
  get lastIndex(): bigint {
    return this.#baseIndex + BigInt(this.#locations.length);
  }

  get(index: bigint): EntryLocation<Segment> | undefined {
    return this.#locations[Number(index - this.#baseIndex - 1n)];
  }

  /** The term of an entry or of the base; undefined for any other index. */
  term(index: bigint): bigint | undefined {
    return index === this.#baseIndex ? this.#baseTerm : this.get(index)?.term;
  }

  /** Puts an entry, which takes the place of all from its index on. False when it would leave a gap. */
  put(index: bigint, location: EntryLocation<Segment>): boolean {
    if (index > this.lastIndex + 1n) return false;
    if (index <= this.#baseIndex) {
      this.reset(index, location.term);
      return true;
    }
    this.#locations.length = Number(index - this.#baseIndex - 1n);
    this.#locations.push(location);
    return true;
  }

  /** Forgets everything; the next entry follows this one. */
  reset(index: bigint, term: bigint): void {
    this.#baseIndex = index;
    this.#baseTerm = term;
    this.#locations = [];
  }

  /** Forgets the entries up to and including `index`, which must be present. */
  compact(index: bigint): void {
    const term = this.term(index);
    if (term === undefined || index <= this.#baseIndex) return;
    this.#locations = this.#locations.slice(Number(index - this.#baseIndex));
    this.#baseIndex = index;
    this.#baseTerm = term;
  }
}
