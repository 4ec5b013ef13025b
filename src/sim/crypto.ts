import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  KeyObject,
  pbkdf2Sync,
  sign,
  verify,
  webcrypto,
  type JsonWebKey,
} from 'node:crypto';

import type { CryptoKey, WebCrypto } from '../ca/index.js';

type Usages = readonly webcrypto.KeyUsage[];
type KeyParameters = { readonly name: string; readonly namedCurve?: string; readonly hash?: string };
type Pbkdf2 = { readonly salt: Uint8Array; readonly iterations: number; readonly hash: string };
type AesCbc = { readonly iv: Uint8Array };

/** Secret keys by their handle: one that must not be exported cannot be read back from it. */
const SECRETS = new WeakMap<CryptoKey, KeyObject>();

/**
 * Web Cryptography that answers without leaving the thread, so that virtual time can settle over it. Only
 * what certificates need; keys are real and differ from run to run, the order of events does not.
 */
const SUBTLE = {
  async digest(algorithm: string, data: Uint8Array): Promise<ArrayBuffer> {
    return exact(createHash(nodeHash(algorithm)).update(bytesOf(data)).digest());
  },

  async generateKey(parameters: KeyParameters, extractable: boolean): Promise<webcrypto.CryptoKeyPair> {
    const pair = generateKeyPairSync('ec', { namedCurve: parameters.namedCurve ?? 'P-256' });
    return {
      privateKey: pair.privateKey.toCryptoKey(asymmetric(parameters), extractable, ['sign']),
      publicKey: pair.publicKey.toCryptoKey(asymmetric(parameters), true, ['verify']),
    };
  },

  async importKey(
    format: 'pkcs8' | 'spki' | 'jwk' | 'raw',
    data: Uint8Array | webcrypto.JsonWebKey,
    parameters: KeyParameters | string,
    extractable: boolean,
    usages: Usages,
  ): Promise<CryptoKey> {
    if (typeof parameters === 'string') {
      const secret = createSecretKey(bytesOf(data as Uint8Array));
      const key = secret.toCryptoKey({ name: parameters }, false, [...usages]);
      SECRETS.set(key, secret);
      return key;
    }
    return keyObject(format, data).toCryptoKey(asymmetric(parameters), extractable, [...usages]);
  },

  async exportKey(format: 'pkcs8' | 'spki' | 'jwk', key: CryptoKey): Promise<ArrayBuffer | webcrypto.JsonWebKey> {
    const object = KeyObject.from(key);
    if (format === 'jwk') return object.export({ format: 'jwk' });
    return exact(object.export({ format: 'der', type: format }));
  },

  async sign(algorithm: KeyParameters, key: CryptoKey, data: Uint8Array): Promise<ArrayBuffer> {
    const options = { key: KeyObject.from(key), dsaEncoding: 'ieee-p1363' } as const;
    return exact(sign(nodeHash(hashOf(algorithm, key)), bytesOf(data), options));
  },

  async verify(algorithm: KeyParameters, key: CryptoKey, signature: Uint8Array, data: Uint8Array): Promise<boolean> {
    const options = { key: KeyObject.from(key), dsaEncoding: 'ieee-p1363' } as const;
    return verify(nodeHash(hashOf(algorithm, key)), bytesOf(data), options, bytesOf(signature));
  },

  async deriveKey(
    { salt, iterations, hash }: Pbkdf2,
    password: CryptoKey,
    target: { readonly name: string; readonly length: number },
    extractable: boolean,
    usages: Usages,
  ): Promise<CryptoKey> {
    const key = pbkdf2Sync(secretOf(password).export(), salt, iterations, target.length / 8, nodeHash(hash));
    const derived = createSecretKey(key).toCryptoKey({ name: target.name, length: target.length }, extractable, [
      ...usages,
    ]);
    SECRETS.set(derived, createSecretKey(key));
    return derived;
  },

  async encrypt({ iv }: AesCbc, key: CryptoKey, data: Uint8Array): Promise<ArrayBuffer> {
    const cipher = createCipheriv('aes-256-cbc', secretOf(key), iv);
    return exact(Buffer.concat([cipher.update(data), cipher.final()]));
  },

  async decrypt({ iv }: AesCbc, key: CryptoKey, data: Uint8Array): Promise<ArrayBuffer> {
    const decipher = createDecipheriv('aes-256-cbc', secretOf(key), iv);
    return exact(Buffer.concat([decipher.update(data), decipher.final()]));
  },
};

/** The one instance; it holds nothing. */
export const SIM_CRYPTO = {
  subtle: SUBTLE,
  getRandomValues: webcrypto.getRandomValues.bind(webcrypto),
  randomUUID: webcrypto.randomUUID.bind(webcrypto),
} as unknown as WebCrypto;

function secretOf(key: CryptoKey): KeyObject {
  const secret = SECRETS.get(key);
  if (secret === undefined) throw new Error('the key was not made here');
  return secret;
}

function keyObject(format: string, data: Uint8Array | webcrypto.JsonWebKey): KeyObject {
  if (format === 'jwk') return createPublicKey({ key: data as JsonWebKey, format: 'jwk' });
  const key = Buffer.from(bytesOf(data as Uint8Array));
  return format === 'spki'
    ? createPublicKey({ key, format: 'der', type: 'spki' })
    : createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}

function asymmetric({
  name,
  namedCurve,
  hash,
}: KeyParameters): webcrypto.EcKeyAlgorithm | webcrypto.RsaHashedImportParams {
  return namedCurve === undefined ? { name, hash: hash ?? 'SHA-256' } : { name, namedCurve };
}

function hashOf(algorithm: KeyParameters, key: CryptoKey): string {
  const hash: unknown = algorithm.hash ?? (key.algorithm as { hash?: unknown }).hash ?? 'SHA-256';
  return typeof hash === 'string' ? hash : (hash as { name: string }).name;
}

function nodeHash(name: string): string {
  return name.toLowerCase().replace('-', '');
}

/** Web Cryptography takes buffers and views of them alike. */
function bytesOf(data: Uint8Array | ArrayBuffer): Uint8Array {
  return ArrayBuffer.isView(data) ? data : new Uint8Array(data);
}

function exact(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
