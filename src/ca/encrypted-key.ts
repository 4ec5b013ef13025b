import { Code, SwarmError, type Random } from '../base/index.js';
import type { CryptoKey, WebCrypto } from './crypto.js';
import {
  children,
  contentOf,
  der,
  derInteger,
  derOid,
  integerValue,
  isOid,
  readSequence,
  Tag,
  type DerElement,
} from './der.js';
import { tlsProblem } from './tls-problem.js';

// Object identifiers as their DER content in hex. Source: RFC 8018.
const PBES2 = '2a864886f70d01050d';
const PBKDF2 = '2a864886f70d01050c';
const AES_256_CBC = '60864801650304012a';
const HMAC_HASHES: readonly (readonly [oid: string, hash: string])[] = [
  ['2a864886f70d0207', 'SHA-1'],
  ['2a864886f70d0209', 'SHA-256'],
  ['2a864886f70d020b', 'SHA-512'],
];

/** Stock managers read HMAC-SHA1 only (the default, so it is not written). The key is random, so few rounds do. */
const ITERATIONS = 2048;

/** More rounds in a file than anybody writes would only stall the start. */
const ITERATIONS_MAX = 10_000_000;

const SALT_BYTES = 8;
const IV_BYTES = 16;

interface Parameters {
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly hash: string;
  readonly iv: Uint8Array;
}

/** Encrypts a PKCS#8 key with a key-encrypting key, in the form that stock managers write and read. */
export async function encryptKey(
  deps: { readonly crypto: WebCrypto; readonly random: Random },
  pkcs8: Uint8Array,
  kek: Uint8Array,
): Promise<Uint8Array> {
  const salt = deps.random.bytes(SALT_BYTES);
  const iv = deps.random.bytes(IV_BYTES);
  const key = await deriveKey(deps.crypto, kek, { salt, iterations: ITERATIONS, hash: 'SHA-1', iv }, 'encrypt');
  const data = await deps.crypto.subtle.encrypt(aesCbc(iv), key, Uint8Array.from(pkcs8));
  const derivation = der(Tag.SEQUENCE, der(Tag.OCTET_STRING, salt), derInteger(ITERATIONS));
  const scheme = der(
    Tag.SEQUENCE,
    der(Tag.SEQUENCE, derOid(PBKDF2), derivation),
    der(Tag.SEQUENCE, derOid(AES_256_CBC), der(Tag.OCTET_STRING, iv)),
  );
  return der(Tag.SEQUENCE, der(Tag.SEQUENCE, derOid(PBES2), scheme), der(Tag.OCTET_STRING, new Uint8Array(data)));
}

/** The PKCS#8 key inside. A problem 'locked' when the key-encrypting key is wrong, 'damaged' when unreadable. */
export async function decryptKey(crypto: WebCrypto, encrypted: Uint8Array, kek: Uint8Array): Promise<Uint8Array> {
  const { parameters, data } = readEncrypted(encrypted);
  const key = await deriveKey(crypto, kek, parameters, 'decrypt');
  let plain: Uint8Array;
  try {
    plain = new Uint8Array(await crypto.subtle.decrypt(aesCbc(parameters.iv), key, Uint8Array.from(data)));
    // One wrong key in 256 leaves plausible padding: only the structure inside tells.
    readSequence(plain);
  } catch (error) {
    throw invalidUnlockKey(error);
  }
  return plain;
}

/** The error of a node whose key cannot be decrypted with what was given. */
export function invalidUnlockKey(cause?: unknown): SwarmError {
  return tlsProblem('locked', 'node is locked, and needs a valid unlock key', cause);
}

function readEncrypted(encrypted: Uint8Array): { readonly parameters: Parameters; readonly data: Uint8Array } {
  try {
    const [algorithm, data] = readSequence(encrypted);
    const [scheme, inner] = children(algorithm);
    if (!isOid(scheme, PBES2)) throw unsupported('only PBES2 is supported');
    const [derivation, cipher] = children(inner);
    return {
      parameters: readParameters(children(derivation), children(cipher)),
      data: contentOf(data, Tag.OCTET_STRING),
    };
  } catch (error) {
    throw tlsProblem('damaged', 'the encrypted private key cannot be read', error);
  }
}

function readParameters(derivation: readonly DerElement[], cipher: readonly DerElement[]): Parameters {
  if (!isOid(derivation[0], PBKDF2)) throw unsupported('only PBKDF2 is supported');
  if (!isOid(cipher[0], AES_256_CBC)) throw unsupported('only AES-256-CBC is supported');
  const [salt, rounds, ...optional] = children(derivation[1]);
  const iterations = integerValue(contentOf(rounds, Tag.INTEGER));
  if (iterations < 1 || iterations > ITERATIONS_MAX) throw unsupported('the number of iterations is out of range');
  const iv = contentOf(cipher[1], Tag.OCTET_STRING);
  if (iv.length !== IV_BYTES) throw unsupported('the initialization vector has a wrong length');
  return { salt: contentOf(salt, Tag.OCTET_STRING), iterations, hash: readHash(optional), iv };
}

function readHash(optional: readonly DerElement[]): string {
  const prf = optional.find(({ tag }) => tag === Tag.SEQUENCE);
  if (prf === undefined) return 'SHA-1';
  const hash = HMAC_HASHES.find(([oid]) => isOid(children(prf)[0], oid));
  if (hash === undefined) throw unsupported('the pseudo-random function is not supported');
  return hash[1];
}

async function deriveKey(
  crypto: WebCrypto,
  kek: Uint8Array,
  { salt, iterations, hash }: Parameters,
  usage: 'encrypt' | 'decrypt',
): Promise<CryptoKey> {
  const password = await crypto.subtle.importKey('raw', Uint8Array.from(kek), 'PBKDF2', false, ['deriveKey']);
  const derivation = { name: 'PBKDF2', salt: Uint8Array.from(salt), iterations, hash };
  return crypto.subtle.deriveKey(derivation, password, { name: 'AES-CBC', length: 256 }, false, [usage]);
}

function aesCbc(iv: Uint8Array): { name: string; iv: Uint8Array<ArrayBuffer> } {
  return { name: 'AES-CBC', iv: Uint8Array.from(iv) };
}

function unsupported(message: string): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, message);
}
