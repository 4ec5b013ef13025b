import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  type ClusterSnapshot,
  ClusterSnapshotSchema,
  raftpb,
  SnapshotSchema,
  type StoreSnapshot,
  StoreSnapshotSchema,
} from '../../api/index.js';
import { type Disk, type DiskFile, type Random, randomInt } from '../../base/index.js';
import { encodeObject, Sharing, SNAPSHOT_LISTS, TABLE_NAMES } from '../../store/index.js';
import type { EntryCipher } from './cipher.js';
import {
  encodeBatch,
  type FoundRecord,
  FRAME_BYTES,
  framedBytes,
  type NewRecord,
  parseRecord,
  RecordKind,
} from './record.js';
import { damaged, encodeHeader, HEADER_BYTES, parseHeader } from './segment.js';
import { FILE_MODE, TEMPORARY_SUFFIX } from './segment-file.js';

/** Encoded bytes after which a slice ends. About a millisecond of work, so that the event loop stays free. */
const SLICE_BYTES = 64 * 2 ** 10;

/** Bytes read at once. */
const READ_BYTES = 4 * SLICE_BYTES;

const SNAPSHOT_NAME = /^([0-9a-f]{16})-([0-9a-f]{16})\.snap$/;

/** The whole state at one index of the log. */
export interface SnapshotContents {
  readonly metadata: raftpb.SnapshotMetadata;
  readonly membership: ClusterSnapshot;
  readonly store: StoreSnapshot;
}

/** A snapshot that is on disk. */
export interface SnapshotName {
  readonly path: string;
  readonly index: bigint;
  readonly term: bigint;
}

/** What snapshots need. */
export interface SnapshotDeps {
  readonly disk: Disk;
  readonly random: Random;
  readonly cipher: EntryCipher;
}

/** The snapshots of a directory, newest first. */
export async function listSnapshots(disk: Disk, directory: string): Promise<readonly SnapshotName[]> {
  const found: SnapshotName[] = [];
  for (const { name } of await disk.list(directory)) {
    const [, term, index] = SNAPSHOT_NAME.exec(name) ?? [];
    if (term === undefined || index === undefined) continue;
    found.push({ path: `${directory}/${name}`, index: BigInt(`0x${index}`), term: BigInt(`0x${term}`) });
  }
  return found.reverse();
}

/**
 * Writes a snapshot so that it is there as a whole, and durable, or not at all.
 *
 * The file: a header as segments have it; one record with `raftpb.SnapshotMetadata`; sealed slices; an end
 * record. The slices one after the other are one `docker.swarmkit.v1.Snapshot`, as fields of a message may
 * come in pieces: what is sent to a follower needs no other encoding.
 */
export async function writeSnapshot(
  directory: string,
  contents: SnapshotContents,
  deps: SnapshotDeps,
  signal: AbortSignal,
): Promise<SnapshotName> {
  const { disk } = deps;
  const { index, term } = contents.metadata;
  const path = `${directory}/${hex(term)}-${hex(index)}.snap`;
  const temporary = `${path}${TEMPORARY_SUFFIX}`;
  await disk.remove(temporary);
  try {
    await writeFile(temporary, contents, deps, signal);
  } catch (error) {
    // A full disk needs the room; a start removes what cannot be removed now.
    await disk.remove(temporary).catch(() => undefined);
    throw error;
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(directory);
  return { path, index, term };
}

async function writeFile(
  path: string,
  contents: SnapshotContents,
  deps: SnapshotDeps,
  signal: AbortSignal,
): Promise<void> {
  const file = await deps.disk.open(path, { create: true, mode: FILE_MODE });
  try {
    await writeContents(file, contents, deps, signal);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeContents(
  file: DiskFile,
  contents: SnapshotContents,
  { random, cipher }: SnapshotDeps,
  signal: AbortSignal,
): Promise<void> {
  const salt = randomInt(random, 2 ** 32);
  let batch = 0n;
  let end = HEADER_BYTES;
  const write = async (record: NewRecord): Promise<void> => {
    signal.throwIfAborted();
    const bytes = encodeBatch([record], batch++, salt);
    await file.write(end, [bytes]);
    end += bytes.length;
  };
  await file.write(0, [encodeHeader('SWARMSNP', { salt, sequence: 0n, firstBatch: 0n })]);
  await write({ kind: RecordKind.METADATA, payload: toBinary(raftpb.SnapshotMetadataSchema, contents.metadata) });
  for (const slice of encodeSlices(contents)) await write({ kind: RecordKind.SLICE, payload: cipher.seal(slice) });
  await write({ kind: RecordKind.END, payload: new Uint8Array(0) });
}

/** The encoded `Snapshot` message in pieces of about {@link SLICE_BYTES}; no piece splits an object. */
export function* encodeSlices(contents: Omit<SnapshotContents, 'metadata'>): Generator<Uint8Array, void, undefined> {
  yield toBinary(SnapshotSchema, create(SnapshotSchema, { membership: contents.membership }));
  let objects = new BinaryWriter();
  let bytes = 0;
  for (const table of TABLE_NAMES) {
    const list = SNAPSHOT_LISTS[table];
    const { number } = StoreSnapshotSchema.field[list];
    for (const object of contents.store[list]) {
      const encoded = encodeObject(table, object);
      objects.tag(number, WireType.LengthDelimited).bytes(encoded);
      bytes += encoded.length + 1;
      if (bytes < SLICE_BYTES) continue;
      yield encodeStorePart(objects.finish());
      objects = new BinaryWriter();
      bytes = 0;
    }
  }
  if (bytes > 0) yield encodeStorePart(objects.finish());
}

function encodeStorePart(part: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(SnapshotSchema.field.store.number, WireType.LengthDelimited).bytes(part).finish();
}

/**
 * Reads a snapshot back.
 * @throws SwarmError DataLoss when damaged, FailedPrecondition when of a newer format or when no key fits.
 */
export async function readSnapshot(
  path: string,
  deps: Omit<SnapshotDeps, 'random'>,
  signal: AbortSignal,
): Promise<SnapshotContents> {
  const file = await deps.disk.open(path, { create: false, mode: FILE_MODE });
  try {
    let metadata: raftpb.SnapshotMetadata | undefined;
    const membership = create(ClusterSnapshotSchema);
    const store = create(StoreSnapshotSchema);
    const sharing = new Sharing(new Map());
    for await (const record of readRecords(file, path)) {
      signal.throwIfAborted();
      if (record.kind === RecordKind.METADATA) metadata = fromBinary(raftpb.SnapshotMetadataSchema, record.payload);
      if (record.kind === RecordKind.SLICE) mergeSlice(deps.cipher.open(record.payload), membership, store, sharing);
    }
    if (metadata === undefined) throw damaged(path, HEADER_BYTES, 'it does not say what index it stands for');
    return { metadata, membership, store };
  } finally {
    await file.close();
  }
}

/** Adds what a slice holds. Tasks share their specs at once: 100,000 of their own would not fit into memory. */
function mergeSlice(slice: Uint8Array, membership: ClusterSnapshot, store: StoreSnapshot, sharing: Sharing): void {
  const piece = fromBinary(SnapshotSchema, slice);
  membership.members.push(...(piece.membership?.members ?? []));
  membership.removed.push(...(piece.membership?.removed ?? []));
  for (const table of TABLE_NAMES) {
    const target: unknown[] = store[SNAPSHOT_LISTS[table]];
    for (const object of piece.store?.[SNAPSHOT_LISTS[table]] ?? []) target.push(sharing.share(table, object));
  }
}

/** The records of a snapshot file up to its end record, in order, each checked. */
async function* readRecords(file: DiskFile, path: string): AsyncGenerator<FoundRecord, void, undefined> {
  const { salt } = parseHeader('SWARMSNP', await file.read(0, HEADER_BYTES), path);
  let batch = 0n;
  let position = HEADER_BYTES;
  for (;;) {
    const bytes = await readWhole(file, position);
    let at = 0;
    for (let record = parseRecord(bytes, at, salt); record !== undefined; record = parseRecord(bytes, at, salt)) {
      if (record.batch !== batch)
        throw damaged(path, position + at, `record ${record.batch} is in the place of ${batch}`);
      yield record;
      if (record.kind === RecordKind.END) return;
      batch++;
      at = record.end;
    }
    if (at === 0) throw damaged(path, position, bytes.length === 0 ? 'its end is missing' : 'a record is damaged');
    position += at;
  }
}

/** A piece of the file from `position` on that holds at least one whole record, if the file does. */
async function readWhole(file: DiskFile, position: number): Promise<Uint8Array> {
  const bytes = await file.read(position, READ_BYTES);
  if (bytes.length < FRAME_BYTES) return bytes;
  const payloadBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  const needed = framedBytes(payloadBytes);
  if (needed <= bytes.length || position + needed > (await file.size())) return bytes;
  return file.read(position, needed);
}

function hex(value: bigint): string {
  return value.toString(16).padStart(16, '0');
}
