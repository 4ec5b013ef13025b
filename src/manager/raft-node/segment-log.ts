import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { raftpb } from '../../api/index.js';
import { Code, type Disk, type Random, randomInt, SwarmError, toSwarmError } from '../../base/index.js';
import type { EntryCipher } from './cipher.js';
import { type EntryLocation, EntryTable } from './entry-table.js';
import { encodeBatch, framedBytes, type NewRecord, parseRecord, RecordKind } from './record.js';
import { recoverLog } from './recover-log.js';
import { damaged } from './segment.js';
import { createSegment, FILE_MODE, type Segment, type Tail } from './segment-file.js';

/** Bytes after which a segment is ended: small enough to be purged soon, large enough to be cut rarely. */
const SEGMENT_BYTES_MAX = 16 * 2 ** 20;

/**
 * Zeros that are written ahead of the records. A sync that does not have to record a new length of the file
 * saves the file system a journal commit.
 */
const GROWTH_BYTES = 2 ** 20;

/** The most that one read takes from a file at once. */
const READ_BYTES_MAX = 2 ** 20;

/** Where a log is and how its files grow. */
export interface SegmentLogOptions {
  readonly directory: string;
  /** Default 16 MiB. */
  readonly segmentBytesMax?: number;
  /** Default 1 MiB; 0 = the file grows with each batch. */
  readonly growthBytes?: number;
}

/** What a log needs. */
export interface SegmentLogDeps {
  readonly disk: Disk;
  readonly random: Random;
  readonly cipher: EntryCipher;
}

type Location = EntryLocation<Segment>;

/**
 * A member's Raft log in append-only segments: entries, hard state, and whose log it is. One batch is one
 * write and one sync, and counts as a whole or not at all. The first failed write or sync ends the log's
 * life, as nothing is known about the file any more: everything after it fails with the same error.
 */
export class SegmentLog {
  readonly #options: Required<SegmentLogOptions>;
  readonly #deps: SegmentLogDeps;
  readonly #table: EntryTable<Segment>;
  readonly #metadata: Uint8Array;
  #segments: readonly Segment[];
  #tail: Tail;
  #nextBatch: bigint;
  #hardState: raftpb.HardState;
  #state: { kind: 'idle' } | { kind: 'writing' } | { kind: 'failed'; error: SwarmError } | { kind: 'closed' } = {
    kind: 'idle',
  };

  private constructor(
    options: SegmentLogOptions,
    deps: SegmentLogDeps,
    found: {
      readonly segments: readonly Segment[];
      readonly tail: Tail;
      readonly nextBatch: bigint;
      readonly metadata: Uint8Array;
      readonly hardState: raftpb.HardState;
      readonly table: EntryTable<Segment>;
      readonly cutBytes: number;
    },
  ) {
    this.#options = withDefaults(options);
    this.#deps = deps;
    this.#table = found.table;
    this.#metadata = found.metadata;
    this.#segments = found.segments;
    this.#tail = found.tail;
    this.#nextBatch = found.nextBatch;
    this.#hardState = found.hardState;
    this.cutBytes = found.cutBytes;
  }

  /** Bytes of an unfinished write that opening cut off. */
  readonly cutBytes: number;

  /**
   * Opens the log in the directory; undefined where there is none.
   * @throws SwarmError DataLoss when damaged, FailedPrecondition when of a newer format.
   */
  static async open(options: SegmentLogOptions, deps: SegmentLogDeps): Promise<SegmentLog | undefined> {
    const found = await recoverLog(deps.disk, options.directory);
    return found === undefined ? undefined : new SegmentLog(options, deps, found);
  }

  /** Makes an empty log. `metadata` says whose it is and stays the same for its whole life. */
  static async create(options: SegmentLogOptions, deps: SegmentLogDeps, metadata: Uint8Array): Promise<SegmentLog> {
    const hardState = create(raftpb.HardStateSchema, { term: 0n, vote: 0n, commit: 0n });
    const table = new EntryTable<Segment>();
    const records = firstRecords(metadata, table, hardState);
    const start = { sequence: 1n, salt: newSalt(deps.random), batch: 1n, baseIndex: 0n, records };
    const tail = await createSegment(deps.disk, options.directory, start);
    const found = { segments: [tail.segment], tail, nextBatch: 2n, metadata, hardState, table, cutBytes: 0 };
    return new SegmentLog(options, deps, found);
  }

  get metadata(): Uint8Array {
    return this.#metadata;
  }

  /** The newest durable hard state. */
  get hardState(): raftpb.HardState {
    return this.#hardState;
  }

  /** Index of the oldest entry that can be read, or will be. */
  get firstIndex(): bigint {
    return this.#table.firstIndex;
  }

  /** Index of the newest durable entry. */
  get lastIndex(): bigint {
    return this.#table.lastIndex;
  }

  /** The term of an entry, or of the one before {@link firstIndex}; undefined for any other. */
  term(index: bigint): bigint | undefined {
    return this.#table.term(index);
  }

  /** The kind of an entry without reading it. */
  type(index: bigint): raftpb.EntryType | undefined {
    return this.#table.get(index)?.type;
  }

  /**
   * Makes entries and hard state durable, together or not at all. The entries must be consecutive; the
   * first may take the place of one that is there, and then all after that are gone, as Raft wants it.
   * One call at a time.
   */
  async append(entries: readonly raftpb.Entry[], hardState?: raftpb.HardState): Promise<void> {
    checkConsecutive(entries, this.firstIndex, this.lastIndex);
    const records = entries.map((entry) => this.#entryRecord(entry));
    if (hardState !== undefined) records.push(hardStateRecord(hardState));
    if (records.length === 0) return;
    const { segment, starts } = await this.#write(records);
    for (const [position, { Index, Term, Type }] of entries.entries()) {
      const [start = 0, end = 0] = starts.slice(position, position + 2);
      this.#table.put(Index, { term: Term, type: Type, segment, start, end });
    }
    this.#hardState = hardState ?? this.#hardState;
  }

  /** Starts anew after a snapshot that came from elsewhere: all entries are gone, the next one follows it. */
  async reset(index: bigint, term: bigint, hardState: raftpb.HardState): Promise<void> {
    await this.#write([baseRecord(index, term), hardStateRecord(hardState)]);
    this.#table.reset(index, term);
    this.#hardState = hardState;
  }

  /**
   * The entries from `from` up to, not including, `to`.
   * @throws SwarmError OutOfRange when some of them are not in the log.
   */
  async read(from: bigint, to: bigint): Promise<readonly raftpb.Entry[]> {
    if (from < this.firstIndex || to > this.lastIndex + 1n) {
      const have = `the log holds ${this.firstIndex} to ${this.lastIndex}`;
      throw new SwarmError(Code.OUT_OF_RANGE, `entries ${from} to ${to - 1n} are not all there: ${have}`);
    }
    const locations: Location[] = [];
    for (let index = from; index < to; index++) locations.push(this.#table.get(index) as Location);
    const entries: raftpb.Entry[] = [];
    for (let at = 0; at < locations.length; ) {
      const run = firstRun(locations, at);
      entries.push(...(await this.#readRun(run)));
      at += run.length;
    }
    return entries;
  }

  /**
   * Forgets the entries up to and including `index`, and removes the segments that held only such. May run
   * beside {@link append}, but once at a time.
   */
  async compact(index: bigint): Promise<void> {
    this.#assertOpen();
    this.#table.compact(index);
    for (;;) {
      const [oldest, next] = this.#segments;
      if (oldest === undefined || next === undefined || next.baseIndex >= this.firstIndex) return;
      await this.#deps.disk.remove(oldest.path);
      // One by one and oldest first, so that neither a crash nor an error leaves a gap between those that remain.
      await this.#deps.disk.syncDirectory(this.#options.directory);
      this.#segments = this.#segments.filter((segment) => segment !== oldest);
    }
  }

  /** Closes the files; further calls fail. */
  async close(): Promise<void> {
    if (this.#state.kind === 'closed') return;
    this.#state = { kind: 'closed' };
    await this.#tail.file.close();
  }

  #entryRecord(entry: raftpb.Entry): NewRecord {
    const sealed = isSealed(entry) ? { ...entry, Data: this.#deps.cipher.seal(entry.Data) } : entry;
    return { kind: RecordKind.ENTRY, payload: toBinary(raftpb.EntrySchema, sealed) };
  }

  /** Writes one batch and syncs it; returns where its records start, and last where they end. */
  async #write(records: readonly NewRecord[]): Promise<{ segment: Segment; starts: readonly number[] }> {
    this.#assertIdle();
    this.#state = { kind: 'writing' };
    try {
      if (this.#tail.end >= this.#options.segmentBytesMax) await this.#cut();
      const tail = this.#tail;
      const start = tail.end;
      const bytes = encodeBatch(records, this.#nextBatch, tail.segment.salt);
      await tail.file.write(start, this.#withGrowth(tail, bytes));
      await tail.file.sync();
      tail.end += bytes.length;
      this.#nextBatch++;
      this.#state = { kind: 'idle' };
      return { segment: tail.segment, starts: recordStarts(records, start) };
    } catch (error) {
      const failure = writeFailure(this.#tail.segment.path, error);
      this.#state = { kind: 'failed', error: failure };
      throw failure;
    }
  }

  #withGrowth(tail: Tail, bytes: Uint8Array): readonly Uint8Array[] {
    const end = tail.end + bytes.length;
    if (end <= tail.allocated) return [bytes];
    const growth = Math.max(0, Math.min(this.#options.growthBytes, this.#options.segmentBytesMax - end));
    tail.allocated = end + growth;
    return growth === 0 ? [bytes] : [bytes, new Uint8Array(growth)];
  }

  async #cut(): Promise<void> {
    const { disk, random } = this.#deps;
    const start = {
      sequence: this.#tail.segment.sequence + 1n,
      salt: newSalt(random),
      batch: this.#nextBatch,
      baseIndex: this.lastIndex,
      records: firstRecords(this.#metadata, this.#table, this.#hardState),
    };
    const ended = this.#tail;
    this.#tail = await createSegment(disk, this.#options.directory, start);
    await ended.file.close();
    this.#segments = [...this.#segments, this.#tail.segment];
    this.#nextBatch++;
  }

  async #readRun(run: readonly Location[]): Promise<readonly raftpb.Entry[]> {
    this.#assertOpen();
    const [first] = run;
    const last = run.at(-1);
    if (first === undefined || last === undefined) return [];
    // A file of its own: a cut or a compaction closes or removes the others at any time.
    const file = await this.#deps.disk.open(first.segment.path, { create: false, mode: FILE_MODE });
    let bytes: Uint8Array;
    try {
      bytes = await file.read(first.start, last.end - first.start);
    } finally {
      await file.close();
    }
    return run.map((location) => this.#parseEntry(bytes, location, location.start - first.start));
  }

  #parseEntry(bytes: Uint8Array, { segment, start }: Location, at: number): raftpb.Entry {
    const record = parseRecord(bytes, at, segment.salt);
    if (record?.kind !== RecordKind.ENTRY) throw damaged(segment.path, start, 'a record was changed while in use');
    const entry = fromBinary(raftpb.EntrySchema, record.payload);
    return isSealed(entry) ? { ...entry, Data: this.#deps.cipher.open(entry.Data) } : entry;
  }

  #assertIdle(): void {
    this.#assertOpen();
    if (this.#state.kind === 'writing') throw new SwarmError(Code.INTERNAL, 'the log is written to by two at once');
  }

  #assertOpen(): void {
    if (this.#state.kind === 'failed') throw this.#state.error;
    if (this.#state.kind === 'closed') throw new SwarmError(Code.FAILED_PRECONDITION, 'the log is closed');
  }
}

function withDefaults(options: SegmentLogOptions): Required<SegmentLogOptions> {
  const { directory, segmentBytesMax = SEGMENT_BYTES_MAX, growthBytes = GROWTH_BYTES } = options;
  return { directory, segmentBytesMax, growthBytes };
}

/** What each segment begins with, so that those before it can be removed. */
function firstRecords(
  metadata: Uint8Array,
  table: EntryTable<Segment>,
  hardState: raftpb.HardState,
): readonly NewRecord[] {
  const base = baseRecord(table.lastIndex, table.term(table.lastIndex) ?? 0n);
  return [{ kind: RecordKind.METADATA, payload: metadata }, base, hardStateRecord(hardState)];
}

function baseRecord(index: bigint, term: bigint): NewRecord {
  const payload = toBinary(raftpb.SnapshotMetadataSchema, create(raftpb.SnapshotMetadataSchema, { index, term }));
  return { kind: RecordKind.BASE, payload };
}

function hardStateRecord(hardState: raftpb.HardState): NewRecord {
  return { kind: RecordKind.HARD_STATE, payload: toBinary(raftpb.HardStateSchema, hardState) };
}

/** Only what users gave is sealed; membership and empty entries are not, as in SwarmKit. */
function isSealed(entry: raftpb.Entry): boolean {
  return entry.Type === raftpb.EntryType.EntryNormal && entry.Data.length > 0;
}

function checkConsecutive(entries: readonly raftpb.Entry[], firstIndex: bigint, lastIndex: bigint): void {
  const [first] = entries;
  if (first === undefined) return;
  const fits = first.Index >= firstIndex && first.Index <= lastIndex + 1n;
  if (fits && entries.every((entry, position) => entry.Index === first.Index + BigInt(position))) return;
  throw new SwarmError(
    Code.INTERNAL,
    `entries from ${first.Index} on do not fit a log of ${firstIndex} to ${lastIndex}`,
  );
}

/** Starts of the records of a batch in its file, then its end. */
function recordStarts(records: readonly NewRecord[], start: number): readonly number[] {
  const starts = [start];
  for (const [position, { payload }] of records.entries()) {
    starts.push((starts[position] as number) + framedBytes(payload.length));
  }
  return starts;
}

/** The locations from `at` on that one read can take. */
function firstRun(locations: readonly Location[], at: number): readonly Location[] {
  const first = locations[at] as Location;
  let to = at + 1;
  for (; to < locations.length; to++) {
    const next = locations[to] as Location;
    const isAfter = next.segment === first.segment && next.start >= first.start;
    if (!isAfter || next.end - first.start > READ_BYTES_MAX) break;
  }
  return locations.slice(at, to);
}

function newSalt(random: Random): number {
  return randomInt(random, 2 ** 32);
}

function writeFailure(path: string, cause: unknown): SwarmError {
  const { code, message } = toSwarmError(cause);
  return new SwarmError(
    code,
    `the log takes nothing more, as writing to ${path} failed: ${message}. See to the disk, then start again`,
    { details: { path }, cause },
  );
}
