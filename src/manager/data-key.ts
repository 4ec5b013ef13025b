import type { Kek, KeyFiles, KeyHeaders } from '../ca/index.js';
import { Code, SwarmError, type Random } from '../base/index.js';
import { AuthenticatedCipher, DEK_BYTES, type Aead, type EntryCipher } from './raft-node/index.js';

/** Header of the node key's file that holds the key of the log. Source: SwarmKit. */
const HEADER = 'raft-dek';

/** What keeping the key of the log needs. */
export interface DataKeyDeps {
  readonly keyFiles: Pick<KeyFiles, 'headers' | 'updateHeaders' | 'setRewrap' | 'kek'>;
  readonly aead: Aead;
  readonly random: Random;
}

/** The cipher of this manager's log. Its key stands in the header of the node key, locked with it when that is. */
export async function openLogCipher(deps: DataKeyDeps): Promise<EntryCipher> {
  const { keyFiles, random } = deps;
  keyFiles.setRewrap((headers, from, to) => rewrap(headers, from, to, deps));
  const stored = (await keyFiles.headers()).get(HEADER);
  const dek = stored === undefined ? random.bytes(DEK_BYTES) : unwrap(stored, keyFiles.kek, deps.aead);
  if (stored === undefined) {
    await keyFiles.updateHeaders((headers) => new Map([...headers, [HEADER, wrap(dek, keyFiles.kek, deps)]]));
  }
  return new AuthenticatedCipher({ dek }, deps);
}

function rewrap(headers: KeyHeaders, from: Kek, to: Kek, deps: DataKeyDeps): KeyHeaders {
  const stored = headers.get(HEADER);
  if (stored === undefined) return headers;
  return new Map([...headers, [HEADER, wrap(unwrap(stored, from, deps.aead), to, deps)]]);
}

const NONCE_BYTES = 12;
const LOCKED_PREFIX = 'aes-256-gcm:';

function wrap(dek: Uint8Array, { key }: Kek, { aead, random }: DataKeyDeps): string {
  if (key === undefined) return Buffer.from(dek).toString('base64');
  const nonce = random.bytes(NONCE_BYTES);
  return LOCKED_PREFIX + Buffer.concat([nonce, aead.seal(key, nonce, dek)]).toString('base64');
}

function unwrap(stored: string, { key }: Kek, aead: Aead): Uint8Array {
  if (!stored.startsWith(LOCKED_PREFIX)) return checked(Buffer.from(stored, 'base64'));
  const sealed = Buffer.from(stored.slice(LOCKED_PREFIX.length), 'base64');
  const dek =
    key === undefined ? undefined : aead.open(key, sealed.subarray(0, NONCE_BYTES), sealed.subarray(NONCE_BYTES));
  return checked(dek);
}

function checked(dek: Uint8Array | undefined): Uint8Array {
  if (dek?.length === DEK_BYTES) return dek;
  throw new SwarmError(
    Code.DATA_LOSS,
    `the header ${HEADER} of the node key is damaged: restore the certificates directory from the same moment as the log`,
  );
}
