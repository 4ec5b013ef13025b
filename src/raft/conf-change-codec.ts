import {
  NO_BYTES,
  type ConfChange,
  type ConfChangeSingle,
  type ConfChangeTransition,
  type ConfChangeType,
  type ConfChangeV2,
} from './types.js';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const VARINT_BYTES_MAX = 10;

type Field = { readonly number: number; readonly value: bigint | Uint8Array };

/** The protobuf bytes of raftpb.ConfChange. */
export function encodeConfChange({ id, type, nodeId, context }: ConfChange): Uint8Array {
  return Uint8Array.from([
    ...(id === 0n ? [] : varintField(1, id)),
    ...varintField(2, BigInt(type)),
    ...varintField(3, nodeId),
    ...bytesField(4, context),
  ]);
}

/** The protobuf bytes of raftpb.ConfChangeV2. */
export function encodeConfChangeV2({ transition, changes, context }: ConfChangeV2): Uint8Array {
  const steps = changes.flatMap(({ type, nodeId }) => {
    const step = [...varintField(1, BigInt(type)), ...varintField(2, nodeId)];
    return [...varint(BigInt((2 << 3) | BYTES)), ...varint(BigInt(step.length)), ...step];
  });
  return Uint8Array.from([...varintField(1, BigInt(transition)), ...steps, ...bytesField(3, context)]);
}

/** Reads raftpb.ConfChange; undefined when the bytes are not one. */
export function decodeConfChange(bytes: Uint8Array): ConfChange | undefined {
  const fields = readFields(bytes);
  const type = confChangeType(fields, 2);
  if (fields === undefined || type === undefined) return undefined;
  return { id: numberOf(fields, 1), type, nodeId: numberOf(fields, 3), context: bytesOf(fields, 4) };
}

/** Reads raftpb.ConfChangeV2; undefined when the bytes are not one. */
export function decodeConfChangeV2(bytes: Uint8Array): ConfChangeV2 | undefined {
  const fields = readFields(bytes);
  if (fields === undefined) return undefined;
  const transition = numberOf(fields, 1);
  if (transition > 2n) return undefined;
  const changes: ConfChangeSingle[] = [];
  for (const { number, value } of fields) {
    if (number !== 2) continue;
    const change = typeof value === 'bigint' ? undefined : decodeSingle(value);
    if (change === undefined) return undefined;
    changes.push(change);
  }
  return { transition: Number(transition) as ConfChangeTransition, changes, context: bytesOf(fields, 3) };
}

function decodeSingle(bytes: Uint8Array): ConfChangeSingle | undefined {
  const fields = readFields(bytes);
  const type = confChangeType(fields, 1);
  if (fields === undefined || type === undefined) return undefined;
  return { type, nodeId: numberOf(fields, 2) };
}

function confChangeType(fields: readonly Field[] | undefined, number: number): ConfChangeType | undefined {
  const type = fields === undefined ? -1n : numberOf(fields, number);
  return type >= 0n && type <= 3n ? (Number(type) as ConfChangeType) : undefined;
}

/** The last value wins, as protobuf says. */
function numberOf(fields: readonly Field[], number: number): bigint {
  const value = fields.findLast((field) => field.number === number)?.value;
  return typeof value === 'bigint' ? value : 0n;
}

function bytesOf(fields: readonly Field[], number: number): Uint8Array {
  const value = fields.findLast((field) => field.number === number)?.value;
  return value instanceof Uint8Array ? value : NO_BYTES;
}

function readFields(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = readVarint(bytes, at);
    if (tag === undefined) return undefined;
    const number = Number(tag.value >> 3n);
    const field = readValue(bytes, tag.end, Number(tag.value & 7n));
    if (field === undefined || number === 0) return undefined;
    fields.push({ number, value: field.value });
    at = field.end;
  }
  return fields;
}

type Read<T> = { readonly value: T; readonly end: number };

function readValue(bytes: Uint8Array, at: number, wireType: number): Read<bigint | Uint8Array> | undefined {
  if (wireType === VARINT) return readVarint(bytes, at);
  if (wireType === FIXED64) return readBytes(bytes, at, 8n);
  if (wireType === FIXED32) return readBytes(bytes, at, 4n);
  if (wireType !== BYTES) return undefined;
  const length = readVarint(bytes, at);
  return length === undefined ? undefined : readBytes(bytes, length.end, length.value);
}

function readBytes(bytes: Uint8Array, at: number, length: bigint): Read<Uint8Array> | undefined {
  if (length > BigInt(bytes.length - at)) return undefined;
  const end = at + Number(length);
  return { value: bytes.subarray(at, end), end };
}

function readVarint(bytes: Uint8Array, at: number): Read<bigint> | undefined {
  let value = 0n;
  for (let count = 0; count < VARINT_BYTES_MAX; count += 1) {
    const byte = bytes[at + count];
    if (byte === undefined) return undefined;
    value |= BigInt(byte & 0x7f) << BigInt(7 * count);
    if (byte < 0x80) return { value: BigInt.asUintN(64, value), end: at + count + 1 };
  }
  return undefined;
}

function varintField(number: number, value: bigint): number[] {
  return [...varint(BigInt((number << 3) | VARINT)), ...varint(value)];
}

function bytesField(number: number, value: Uint8Array): number[] {
  if (value.length === 0) return [];
  return [...varint(BigInt((number << 3) | BYTES)), ...varint(BigInt(value.length)), ...value];
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return bytes;
}
