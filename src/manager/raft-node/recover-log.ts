import { create, fromBinary } from '@bufbuild/protobuf';
import { raftpb } from '../../api/index.js';
import type { Disk } from '../../base/index.js';
import { EntryTable } from './entry-table.js';
import { type FoundRecord, RecordKind } from './record.js';
import { damaged, type FileHeader, parseHeader, scanSegment } from './segment.js';
import { FILE_MODE, listSegments, removeTemporaryFiles, type Segment, segmentPath, type Tail } from './segment-file.js';

/** A log as it was found. */
export interface RecoveredLog {
  readonly segments: readonly Segment[];
  readonly tail: Tail;
  readonly nextBatch: bigint;
  readonly metadata: Uint8Array;
  readonly hardState: raftpb.HardState;
  readonly table: EntryTable<Segment>;
  /** Bytes of an unfinished write that were cut off. */
  readonly cutBytes: number;
}

/** What replaying the records so far came to. */
interface Replay {
  readonly table: EntryTable<Segment>;
  metadata: Uint8Array | undefined;
  hardState: raftpb.HardState;
  nextBatch: bigint | undefined;
}

/**
 * Reads all segments of a directory and cuts off a write that a crash left unfinished.
 * @returns undefined where there is no log.
 * @throws SwarmError DataLoss when what had been synced is damaged or missing; nothing is changed then.
 */
export async function recoverLog(disk: Disk, directory: string): Promise<RecoveredLog | undefined> {
  const sequences = await listSegments(disk, directory);
  if (sequences.length === 0) return undefined;
  const replay: Replay = {
    table: new EntryTable(),
    metadata: undefined,
    hardState: create(raftpb.HardStateSchema),
    nextBatch: undefined,
  };
  const segments: Segment[] = [];
  let last = { end: 0, size: 0, torn: false };
  for (const [position, sequence] of sequences.entries()) {
    const path = segmentPath(directory, sequence);
    const expected = (sequences[0] as bigint) + BigInt(position);
    if (sequence !== expected) throw damaged(segmentPath(directory, expected), 0, 'the file is missing');
    const isLast = position === sequences.length - 1;
    last = await replaySegment(replay, segments, path, await disk.readFile(path), sequence, isLast);
  }
  await removeTemporaryFiles(disk, directory);
  return openTail(disk, replay, segments, last);
}

async function replaySegment(
  replay: Replay,
  segments: Segment[],
  path: string,
  bytes: Uint8Array,
  sequence: bigint,
  isLast: boolean,
): Promise<{ end: number; size: number; torn: boolean }> {
  const header = parseHeader('SWARMLOG', bytes, path);
  checkOrder(replay, header, sequence, path);
  const scan = scanSegment(bytes, header, path);
  if (scan.torn && !isLast) throw damaged(path, scan.end, 'a record is damaged, and later segments follow it');
  if (scan.records.length === 0) throw damaged(path, scan.end, 'its first batch is missing');
  const segment: Segment = { path, salt: header.salt, sequence, baseIndex: baseOf(scan.records) };
  segments.push(segment);
  for (const record of scan.records) replayRecord(replay, segment, record);
  replay.nextBatch = scan.nextBatch;
  return { end: scan.end, size: bytes.length, torn: scan.torn };
}

function checkOrder(replay: Replay, header: FileHeader, sequence: bigint, path: string): void {
  if (header.sequence !== sequence) throw damaged(path, 16, `it is segment ${header.sequence} under another's name`);
  if (replay.nextBatch !== undefined && header.firstBatch !== replay.nextBatch) {
    const missing = `batches ${replay.nextBatch} to ${header.firstBatch - 1n} are missing before it`;
    throw damaged(path, 24, missing);
  }
}

function baseOf(records: readonly FoundRecord[]): bigint {
  const base = records.find((record) => record.kind === RecordKind.BASE);
  return base === undefined ? 0n : fromBinary(raftpb.SnapshotMetadataSchema, base.payload).index;
}

function replayRecord(replay: Replay, segment: Segment, record: FoundRecord): void {
  switch (record.kind) {
    case RecordKind.METADATA:
      replay.metadata = record.payload.slice();
      return;
    case RecordKind.HARD_STATE:
      replay.hardState = fromBinary(raftpb.HardStateSchema, record.payload);
      return;
    case RecordKind.BASE: {
      const { index, term } = fromBinary(raftpb.SnapshotMetadataSchema, record.payload);
      if (index !== replay.table.lastIndex || term !== replay.table.term(index)) replay.table.reset(index, term);
      return;
    }
    case RecordKind.ENTRY: {
      const { Index, Term, Type } = fromBinary(raftpb.EntrySchema, record.payload);
      const location = { term: Term, type: Type, segment, start: record.start, end: record.end };
      if (!replay.table.put(Index, location)) {
        throw damaged(segment.path, record.start, `entry ${Index} follows entry ${replay.table.lastIndex}`);
      }
      return;
    }
    case RecordKind.SLICE:
    case RecordKind.END:
      throw damaged(segment.path, record.start, 'it holds a part of a snapshot');
  }
}

async function openTail(
  disk: Disk,
  replay: Replay,
  segments: readonly Segment[],
  last: { end: number; size: number; torn: boolean },
): Promise<RecoveredLog> {
  const segment = segments.at(-1);
  const { metadata, nextBatch, hardState, table } = replay;
  if (segment === undefined || metadata === undefined || nextBatch === undefined) {
    throw damaged(segment?.path ?? '', 0, 'it does not say whose log it is');
  }
  const file = await disk.open(segment.path, { create: false, mode: FILE_MODE });
  if (last.torn) {
    await file.truncate(last.end);
    await file.sync();
  }
  const allocated = last.torn ? last.end : last.size;
  const cutBytes = last.torn ? last.size - last.end : 0;
  return {
    segments,
    tail: { segment, file, end: last.end, allocated },
    nextBatch,
    metadata,
    hardState,
    table,
    cutBytes,
  };
}
