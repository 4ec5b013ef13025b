import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { createPrivateKey, webcrypto } from 'node:crypto';

import type { PeerRole, TlsIdentity, TlsIdentitySource } from '../../api/index.js';

const KEY = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;

/** What a test may choose of a leaf certificate. */
export interface LeafOptions {
  readonly nodeId: string;
  readonly role: PeerRole;
  readonly clusterId: string;
  /** Ended an hour ago. */
  readonly expired?: boolean;
}

/** A certificate authority for tests, with certificates as SwarmKit makes them. */
export class TestRoot {
  private constructor(
    readonly pem: string,
    private readonly certificate: x509.X509Certificate,
    private readonly key: webcrypto.CryptoKey,
  ) {}

  static async create(): Promise<TestRoot> {
    const keys = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '01',
      name: 'CN=swarm-ca',
      notBefore: new Date(Date.now() - 10 * HOUR_MS),
      notAfter: new Date(Date.now() + 10 * HOUR_MS),
      signingAlgorithm: KEY,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new TestRoot(certificate.toString('pem'), certificate, keys.privateKey);
  }

  /** An authority whose certificate and key are known. */
  static async load(pem: string, keyPem: string): Promise<TestRoot> {
    const pkcs8 = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' });
    const key = await webcrypto.subtle.importKey('pkcs8', pkcs8, KEY, false, ['sign']);
    return new TestRoot(pem, new x509.X509Certificate(pem), key);
  }

  async issue(options: LeafOptions): Promise<TlsIdentity> {
    const { nodeId, role, clusterId } = options;
    const keys = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
    const names = [role, nodeId, ...(role === 'swarm-manager' ? ['swarm-ca'] : [])];
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: '02',
      subject: `CN=${nodeId},OU=${role},O=${clusterId}`,
      issuer: this.certificate.subject,
      notBefore: new Date(Date.now() - 2 * HOUR_MS),
      notAfter: new Date(Date.now() + (options.expired === true ? -HOUR_MS : HOUR_MS)),
      signingAlgorithm: KEY,
      publicKey: keys.publicKey,
      signingKey: this.key,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns' as const, value }))),
        await x509.AuthorityKeyIdentifierExtension.create(this.certificate),
      ],
    });
    const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
    return {
      certificatePem: certificate.toString('pem'),
      privateKeyPem: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
      rootPem: this.pem,
      peer: { nodeId, role, clusterId },
    };
  }
}

/** An identity that a test changes at will. */
export class TestIdentity implements TlsIdentitySource {
  #identity: TlsIdentity;
  readonly #listeners = new Set<() => void>();

  constructor(identity: TlsIdentity) {
    this.#identity = identity;
  }

  current(): TlsIdentity {
    return this.#identity;
  }

  set(identity: TlsIdentity): void {
    this.#identity = identity;
    for (const listener of this.#listeners) listener();
  }

  subscribe(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }
}
