import type { Entry } from './types.js';

/** Bytes of an entry on the wire, fields without a value left out. */
export function entryBytes({ Type, Term, Index, Data }: Entry): number {
  const typeBytes = Type === 0 ? 0 : 2;
  const dataBytes = Data.length === 0 ? 0 : 1 + varintBytes(Data.length) + Data.length;
  return typeBytes + 1 + varintBytes(Number(Term)) + 1 + varintBytes(Number(Index)) + dataBytes;
}

/** Bytes of these entries on the wire. */
export function entriesBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  return bytes;
}

/** Bytes of data alone: what a client proposed. A new leader's empty entry counts nothing. */
export function payloadBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const { Data } of entries) bytes += Data.length;
  return bytes;
}

/**
 * The entries at positions from `start` up to but without `end`, as many as fit into `bytesMax`; one at
 * least, if there is one.
 */
export function sliceOfBytes(entries: readonly Entry[], start: number, end: number, bytesMax: number): Entry[] {
  if (bytesMax === Number.POSITIVE_INFINITY) return entries.slice(start, end);
  const slice: Entry[] = [];
  let bytes = 0;
  for (let at = start; at < end; at += 1) {
    const entry = entries[at];
    if (entry === undefined) break;
    bytes += entryBytes(entry);
    if (bytes > bytesMax && slice.length > 0) break;
    slice.push(entry);
  }
  return slice;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let limit = 128; value >= limit && bytes < 10; limit *= 128) bytes += 1;
  return bytes;
}
