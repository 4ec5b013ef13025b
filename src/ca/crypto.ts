// @peculiar/x509 finds its algorithms through decorators that need this polyfill first.
import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';

export * as x509 from '@peculiar/x509';

/**
 * The Web Cryptography API, the only way to keys, signatures, digests and ciphers. It comes through the
 * constructors: `platform` gives the real one.
 */
export type WebCrypto = webcrypto.Crypto;

/** A key of {@link WebCrypto}. */
export type CryptoKey = webcrypto.CryptoKey;

/** Hex SHA-256 of some bytes. */
export async function sha256Hex(crypto: WebCrypto, data: Uint8Array): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', Uint8Array.from(data))).toString('hex');
}
