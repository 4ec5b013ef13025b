import { Code, SwarmError } from '../../base/index.js';
import { crc32c } from './crc32c.js';
import { FRAME_BYTES, type FoundRecord, parseRecord, RECORD_ALIGNMENT } from './record.js';

/** Version of the files' format. A reader refuses a higher one. */
export const FORMAT_VERSION = 1;

/** Bytes of a file's header. */
export const HEADER_BYTES = 64;

/** What a file starts with; tells a segment from a snapshot. */
export type Magic = 'SWARMLOG' | 'SWARMSNP';

/** First bytes of a segment or a snapshot file. */
export interface FileHeader {
  /** Starts every checksum of this file. */
  readonly salt: number;
  /** Number of the segment, counted from 1 without gaps; 0 in a snapshot. */
  readonly sequence: bigint;
  /** Number of the first batch in this file. */
  readonly firstBatch: bigint;
}

/**
 * Header, little endian: 8 bytes magic, u32 version, u32 salt, u64 sequence, u64 first batch, zeros, and in
 * the last four bytes the checksum of all before them.
 */
export function encodeHeader(magic: Magic, header: FileHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(magic));
  view.setUint32(8, FORMAT_VERSION, true);
  view.setUint32(12, header.salt, true);
  view.setBigUint64(16, header.sequence, true);
  view.setBigUint64(24, header.firstBatch, true);
  view.setUint32(HEADER_BYTES - 4, crc32c(bytes.subarray(0, HEADER_BYTES - 4)), true);
  return bytes;
}

/** @throws SwarmError DataLoss when damaged, FailedPrecondition when of a newer format. */
export function parseHeader(magic: Magic, bytes: Uint8Array, path: string): FileHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES) throw damaged(path, 0, `the header has ${bytes.length} bytes of ${HEADER_BYTES}`);
  if (new TextDecoder('latin1').decode(bytes.subarray(0, 8)) !== magic)
    throw damaged(path, 0, `it does not start with ${magic}`);
  if (crc32c(bytes.subarray(0, HEADER_BYTES - 4)) !== view.getUint32(HEADER_BYTES - 4, true)) {
    throw damaged(path, 0, 'the checksum of the header does not fit');
  }
  const version = view.getUint32(8, true);
  if (version > FORMAT_VERSION) {
    throw new SwarmError(
      Code.FAILED_PRECONDITION,
      `${path} has format ${version}; this program reads up to ${FORMAT_VERSION}: use the newer program that wrote it`,
      { details: { path, version } },
    );
  }
  return {
    salt: view.getUint32(12, true),
    sequence: view.getBigUint64(16, true),
    firstBatch: view.getBigUint64(24, true),
  };
}

/** What {@link scanSegment} found. */
export interface SegmentScan {
  /** All records of whole batches, in order. */
  readonly records: readonly FoundRecord[];
  /** Number of the batch that comes next. */
  readonly nextBatch: bigint;
  /** Where the last whole batch ends. */
  readonly end: number;
  /** Whether something other than zeros follows: a batch whose write was cut short. */
  readonly torn: boolean;
}

/**
 * Reads a segment up to its last whole batch. A batch is written only after the one before it was synced. So
 * damage that no later batch follows is a write cut short by a crash, of which nothing was acknowledged;
 * damage that a later batch follows hit what had been synced.
 * @throws SwarmError DataLoss in the second case.
 */
export function scanSegment(bytes: Uint8Array, header: FileHeader, path: string): SegmentScan {
  const records: FoundRecord[] = [];
  let incomplete: FoundRecord[] = [];
  let nextBatch = header.firstBatch;
  let end = HEADER_BYTES;
  let at = HEADER_BYTES;
  for (;;) {
    const record = parseRecord(bytes, at, header.salt);
    if (record === undefined || record.batch !== nextBatch) break;
    incomplete.push(record);
    at = record.end;
    if (record.last) {
      records.push(...incomplete);
      incomplete = [];
      nextBatch++;
      end = at;
    }
  }
  const torn = !isZero(bytes, end);
  if (torn && hasLaterBatch(bytes, at, header.salt, nextBatch)) {
    throw damaged(path, at, 'a record is damaged, and undamaged ones follow it');
  }
  return { records, nextBatch, end, torn };
}

/** An error for a file that must not be used as it is, with what to do. */
export function damaged(path: string, offset: number, what: string): SwarmError {
  return new SwarmError(
    Code.DATA_LOSS,
    `${path} is damaged at offset ${offset}: ${what}. Nothing was changed. Restore the directory "raft" from a ` +
      `backup; or, if other managers hold the state, remove this node from the swarm and join it again`,
    { details: { path, offset } },
  );
}

function hasLaterBatch(bytes: Uint8Array, from: number, salt: number, batch: bigint): boolean {
  for (let at = from; at + FRAME_BYTES <= bytes.length; at += RECORD_ALIGNMENT) {
    const record = parseRecord(bytes, at, salt);
    if (record !== undefined && record.batch > batch) return true;
  }
  return false;
}

function isZero(bytes: Uint8Array, from: number): boolean {
  for (let at = from; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}
