import type { PeerIdentity } from '../api/index.js';
import { Code, errorText, SwarmError } from '../base/index.js';
import { x509, type WebCrypto } from './crypto.js';
import { contentOf, readSequence, Tag } from './der.js';
import { parsePem, pemText } from './pem.js';
import { parseRoleName } from './roles.js';

/** A certificate with the facts that decisions need. */
export interface Certificate {
  readonly parsed: x509.X509Certificate;
  readonly pem: string;
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly organizationalUnits: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Names in DER, byte for byte as in the certificate. */
  readonly subject: Uint8Array;
  readonly issuer: Uint8Array;
  /** SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly isCa: boolean;
  /** How many certificates of CAs may stand between this one and a leaf; undefined = any number. */
  readonly pathLength: number | undefined;
}

/** Certificates in one bundle at the most. A rotation needs three. */
const BUNDLE_MAX = 32;

const SIGNATURE_HASHES: readonly string[] = ['SHA-256', 'SHA-384', 'SHA-512'];

/** All certificates of a PEM bundle, in order, at least one. InvalidArgument otherwise. */
export function parseCertificates(pem: string | Uint8Array, what: string): readonly [Certificate, ...Certificate[]] {
  const [first, ...rest] = parsePem(pem, what).map(({ type, der }) => {
    if (type !== 'CERTIFICATE') throw invalid(`${what} holds a ${type}, only certificates belong there`);
    return parseCertificate(der, what);
  });
  if (first === undefined) throw invalid(`${what} holds no certificate`);
  if (rest.length >= BUNDLE_MAX) throw invalid(`${what} holds more than ${BUNDLE_MAX} certificates`);
  return [first, ...rest];
}

/** A certificate from DER. InvalidArgument when it is malformed or signed with an algorithm that is too weak. */
function parseCertificate(der: Uint8Array, what: string): Certificate {
  try {
    const parsed = new x509.X509Certificate(Uint8Array.from(der));
    checkSignatureAlgorithm(parsed);
    const constraints = parsed.getExtension(x509.BasicConstraintsExtension);
    return {
      parsed,
      pem: pemText('CERTIFICATE', der),
      commonName: parsed.subjectName.getField('CN')[0] ?? '',
      organizations: parsed.subjectName.getField('O'),
      organizationalUnits: parsed.subjectName.getField('OU'),
      notBeforeMs: parsed.notBefore.getTime(),
      notAfterMs: parsed.notAfter.getTime(),
      ...rawNames(der),
      spki: new Uint8Array(parsed.publicKey.rawData),
      isCa: constraints?.ca ?? false,
      pathLength: constraints?.pathLength,
    };
  } catch (error) {
    throw invalid(`${what} holds a certificate that cannot be used: ${errorText(error)}`, error);
  }
}

/** Whom a certificate names. Undefined when it is not one of a swarm's node. */
export function peerIdentityOf(certificate: Certificate): PeerIdentity | undefined {
  const role = certificate.organizationalUnits.map(parseRoleName).find((name) => name !== undefined);
  const [clusterId] = certificate.organizations;
  if (role === undefined || clusterId === undefined || certificate.commonName === '') return undefined;
  return { nodeId: certificate.commonName, role, clusterId };
}

/** Whether `issuer` is a CA that signed `certificate` (names, constraints and signature; not the time). */
export async function isIssuedBy(crypto: WebCrypto, certificate: Certificate, issuer: Certificate): Promise<boolean> {
  if (!issuer.isCa || Buffer.compare(certificate.issuer, issuer.subject) !== 0) return false;
  return certificate.parsed.verify({ publicKey: issuer.parsed, signatureOnly: true }, crypto);
}

/** Whether the certificate was made for this key. */
export function isMadeFor(certificate: Certificate, key: { readonly spki: Uint8Array }): boolean {
  return Buffer.compare(certificate.spki, key.spki) === 0;
}

/** Two names or keys in DER are the same. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function checkSignatureAlgorithm(certificate: x509.X509Certificate): void {
  const { name, hash } = certificate.signatureAlgorithm as { name: string; hash?: { name: string } };
  const known = name === 'ECDSA' || name === 'RSASSA-PKCS1-v1_5';
  if (!known || hash === undefined || !SIGNATURE_HASHES.includes(hash.name)) {
    throw invalid(`unsupported signature algorithm: ${name}${hash === undefined ? '' : ` with ${hash.name}`}`);
  }
}

/** The names of TBSCertificate: version [0], serial, algorithm, issuer, validity, subject. Source: RFC 5280 4.1. */
function rawNames(der: Uint8Array): { readonly issuer: Uint8Array; readonly subject: Uint8Array } {
  const [tbs] = readSequence(der);
  const fields = readSequence(tbs?.raw ?? new Uint8Array());
  const at = fields[0]?.tag === Tag.CONTEXT_0 ? 1 : 0;
  const [issuer, subject] = [fields[at + 2], fields[at + 4]];
  contentOf(issuer, Tag.SEQUENCE);
  contentOf(subject, Tag.SEQUENCE);
  return { issuer: issuer?.raw ?? new Uint8Array(), subject: subject?.raw ?? new Uint8Array() };
}

function invalid(message: string, cause?: unknown): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, message, { cause });
}
