import { Code, SwarmError, type Random } from '../base/index.js';

const PREFIX = 'SWMKEY-1-';

/** Bytes of a key that encrypts keys. Source: SwarmKit (NaCl secretbox). */
const KEY_BYTES = 32;

/** A new key that locks the managers. */
export function generateUnlockKey(random: Random): Uint8Array {
  return random.bytes(KEY_BYTES);
}

/** The form in which users see and type a key. */
export function formatUnlockKey(key: Uint8Array): string {
  return PREFIX + Buffer.from(key).toString('base64').replaceAll('=', '');
}

/** Reads a key as typed by a user. InvalidArgument "invalid key string" when it is none. */
export function parseUnlockKey(text: string): Uint8Array {
  const encoded = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : '';
  const key = Buffer.from(encoded, 'base64');
  if (key.length !== KEY_BYTES || formatUnlockKey(key) !== text) {
    throw new SwarmError(Code.INVALID_ARGUMENT, 'invalid key string');
  }
  return key;
}
