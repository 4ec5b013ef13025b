import type { Random } from './random.js';

/** Length of every object id, in characters of base 36. Source: SwarmKit's identity package. */
export const ID_LENGTH = 25;

const ID_BYTES = 17;

/**
 * A new object id: 25 characters of `0-9a-z` from 17 random bytes. The top bit is forced so that the
 * width never varies; the leading character, which that makes uneven, is dropped.
 */
export function newId(random: Random): string {
  const bytes = random.bytes(ID_BYTES);
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  value |= 1n << BigInt(ID_BYTES * 8 - 1);
  return value.toString(36).slice(1, ID_LENGTH + 1);
}
