import 'reflect-metadata';
import { webcrypto } from 'node:crypto';

import * as x509 from '@peculiar/x509';

import { NOW_MS, bytes } from './test-fixture.js';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A self-signed CA with its key, PEM. */
export interface TestCertificate {
  readonly certificate: Uint8Array;
  readonly key: Uint8Array;
  readonly keys: webcrypto.CryptoKeyPair;
}

/** A CA certificate for tests, of a given expiry and, where asked, with the keys of another. */
export async function testCertificate(
  options: { readonly expiryMs?: number; readonly keys?: webcrypto.CryptoKeyPair } = {},
): Promise<TestCertificate> {
  const keys = options.keys ?? (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']));
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=swarm-ca',
    notBefore: new Date(NOW_MS - 1000),
    notAfter: new Date(options.expiryMs ?? NOW_MS + 20 * 365 * 24 * 3_600_000),
    signingAlgorithm: ALGORITHM,
    keys,
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    certificate: bytes(certificate.toString('pem')),
    key: bytes(`-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`),
    keys,
  };
}
