import { encodeBase64 } from '../convert/index.js';
import { ApiError } from '../http/index.js';

const PREFIX = 'SWMKEY-1-';
const KEY_BYTES = 32;

/** The text form of an unlock key: a prefix and unpadded base64. */
export function formatUnlockKey(key: Uint8Array): string {
  return `${PREFIX}${encodeBase64(key).replace(/=+$/, '')}`;
}

/** The bytes of an unlock key; refuses what is not one (engine-api E-207). */
export function parseUnlockKey(text: string): Uint8Array {
  const body = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : '';
  if (!/^[A-Za-z0-9+/]{43}$/.test(body)) throw new ApiError('invalid-parameter', 'invalid key string');
  const key = Uint8Array.from(atob(`${body}=`), (character) => character.charCodeAt(0));
  if (key.length !== KEY_BYTES) throw new ApiError('invalid-parameter', 'invalid key string');
  return key;
}
