import { crc32c } from './crc32c.js';

/** What a record holds. The numbers are part of the file format. */
export const RecordKind = {
  /** `RaftMember`: whose log this is. First in every segment. */
  METADATA: 1,
  /** `raftpb.Entry`, the data of normal entries sealed. Replaces all entries from its index on. */
  ENTRY: 2,
  /** `raftpb.HardState`. */
  HARD_STATE: 3,
  /** `raftpb.SnapshotMetadata` with index and term: the entries that follow come after this one. */
  BASE: 4,
  /** A slice of a snapshot file, sealed; see `snapshot-file.ts`. */
  SLICE: 5,
  /** The end of a snapshot file. */
  END: 6,
} as const;

/** One of the numbers in {@link RecordKind}. */
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** A record before it is framed. */
export interface NewRecord {
  readonly kind: RecordKind;
  readonly payload: Uint8Array;
}

/** A record found in a file. */
export interface FoundRecord extends NewRecord {
  readonly batch: bigint;
  /** Whether the batch ends with this record. */
  readonly last: boolean;
  /** Where the record starts and where the next one does. */
  readonly start: number;
  readonly end: number;
}

/**
 * Frame, little endian: u32 checksum of all that follows it, u32 length of the payload, u64 batch, u8 kind,
 * u8 flags (1 = last of its batch), six zero bytes; then the payload, filled with zeros to a multiple of 8.
 *
 * The checksum starts from the salt of its file: bytes that a user stores and that look like a record (a copy
 * of another log, say) are not taken for one when a damaged file is searched.
 */
export const FRAME_BYTES = 24;

/** Records start at multiples of this. */
export const RECORD_ALIGNMENT = 8;

/** The largest payload: more than any entry or slice, so that a damaged length is noticed early. */
export const PAYLOAD_BYTES_MAX = 64 * 2 ** 20;

const LAST_OF_BATCH = 1;

/** The bytes of one batch: it counts as a whole or not at all. `records` must not be empty. */
export function encodeBatch(records: readonly NewRecord[], batch: bigint, salt: number): Uint8Array {
  const bytes = new Uint8Array(records.reduce((total, record) => total + framedBytes(record.payload.length), 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [position, { kind, payload }] of records.entries()) {
    view.setUint32(at + 4, payload.length, true);
    view.setBigUint64(at + 8, batch, true);
    view.setUint8(at + 16, kind);
    view.setUint8(at + 17, position === records.length - 1 ? LAST_OF_BATCH : 0);
    bytes.set(payload, at + FRAME_BYTES);
    view.setUint32(at, crc32c(bytes.subarray(at + 4, at + FRAME_BYTES + payload.length), salt), true);
    at += framedBytes(payload.length);
  }
  return bytes;
}

/** Bytes that a payload of this length takes in a file. */
export function framedBytes(payloadBytes: number): number {
  return FRAME_BYTES + Math.ceil(payloadBytes / RECORD_ALIGNMENT) * RECORD_ALIGNMENT;
}

/** The record at `start`, or undefined when there is no whole and undamaged one. */
export function parseRecord(bytes: Uint8Array, start: number, salt: number): FoundRecord | undefined {
  if (start + FRAME_BYTES > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(start + 4, true);
  const payloadStart = start + FRAME_BYTES;
  const kind = view.getUint8(start + 16);
  const flags = view.getUint8(start + 17);
  if (!isRecordKind(kind) || flags > LAST_OF_BATCH || !isPadding(view, start)) return undefined;
  if (length > PAYLOAD_BYTES_MAX || payloadStart + length > bytes.length) return undefined;
  const payload = bytes.subarray(payloadStart, payloadStart + length);
  if (crc32c(bytes.subarray(start + 4, payloadStart + length), salt) !== view.getUint32(start, true)) return undefined;
  const batch = view.getBigUint64(start + 8, true);
  return { kind, payload, batch, last: flags === LAST_OF_BATCH, start, end: start + framedBytes(length) };
}

function isPadding(view: DataView, start: number): boolean {
  return view.getUint16(start + 18, true) === 0 && view.getUint32(start + 20, true) === 0;
}

function isRecordKind(kind: number): kind is RecordKind {
  return kind >= RecordKind.METADATA && kind <= RecordKind.END;
}
