import { Code, errorText, SwarmError } from '../base/index.js';
import type { CryptoKey, WebCrypto } from './crypto.js';
import {
  children,
  contentOf,
  der,
  derInteger,
  derOid,
  isOid,
  readElements,
  readSequence,
  Tag,
  type DerElement,
} from './der.js';
import { parsePem, pemText, type PemBlock } from './pem.js';

/** A kind of key that swarm certificates may use. */
export type KeyKind =
  | { readonly kind: 'ec'; readonly curve: 'P-256' | 'P-384' | 'P-521' }
  | { readonly kind: 'rsa'; readonly bits: number };

/** A private key, ready to sign, with its public half. */
export interface PrivateKey {
  readonly kind: KeyKind;
  /** Unencrypted PKCS#8. */
  readonly pkcs8: Uint8Array;
  /** SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly signingKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

// Object identifiers as their DER content in hex. Source: RFC 5480, RFC 8017.
const EC_PUBLIC_KEY = '2a8648ce3d0201';
const RSA_ENCRYPTION = '2a864886f70d010101';
const CURVES: readonly (readonly [oid: string, curve: 'P-256' | 'P-384' | 'P-521'])[] = [
  ['2a8648ce3d030107', 'P-256'],
  ['2b81040022', 'P-384'],
  ['2b81040023', 'P-521'],
];

/** Smallest RSA key that certificates may use. Source: SwarmKit. */
const RSA_BITS_MIN = 2048;

const SIGNATURE_HASH = { 'P-256': 'SHA-256', 'P-384': 'SHA-384', 'P-521': 'SHA-512' } as const;

/** A new ECDSA P-256 key, the kind that SwarmKit makes. */
export async function generateKey(crypto: WebCrypto): Promise<PrivateKey> {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  return {
    kind: { kind: 'ec', curve: 'P-256' },
    pkcs8: new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey)),
    spki: new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey)),
    signingKey: pair.privateKey,
    publicKey: pair.publicKey,
  };
}

/** The text of an unencrypted key. */
export function keyPem(key: { readonly pkcs8: Uint8Array }): string {
  return pemText('PRIVATE KEY', key.pkcs8);
}

/** Reads the first unencrypted private key of a PEM text: PKCS#8, SEC 1 or PKCS#1. InvalidArgument otherwise. */
export async function parsePrivateKey(crypto: WebCrypto, pem: string | Uint8Array, what: string): Promise<PrivateKey> {
  const block = parsePem(pem, what).find(({ type }) => type.endsWith('PRIVATE KEY'));
  if (block === undefined) throw new SwarmError(Code.INVALID_ARGUMENT, `${what} holds no private key`);
  return importPrivateKey(crypto, toPkcs8(block, what), what);
}

/** A private key from PKCS#8. InvalidArgument when it is damaged or of a kind that is not supported. */
async function importPrivateKey(crypto: WebCrypto, pkcs8: Uint8Array, what: string): Promise<PrivateKey> {
  try {
    const kind = kindOfAlgorithm(readSequence(pkcs8)[1]);
    const algorithm = importAlgorithm(kind);
    const signingKey = await crypto.subtle.importKey('pkcs8', Uint8Array.from(pkcs8), algorithm, true, ['sign']);
    const { kty, crv, x, y, n, e } = await crypto.subtle.exportKey('jwk', signingKey);
    const jwk = kty === 'RSA' ? { kty, n: n ?? '', e: e ?? '' } : { kty: 'EC', crv: crv ?? '', x: x ?? '', y: y ?? '' };
    const publicKey = await crypto.subtle.importKey('jwk', jwk, algorithm, true, ['verify']);
    const spki = new Uint8Array(await crypto.subtle.exportKey('spki', publicKey));
    return { kind: kindOfPublicKey(spki), pkcs8, spki, signingKey, publicKey };
  } catch (error) {
    throw new SwarmError(Code.INVALID_ARGUMENT, `${what}: malformed private key (${errorText(error)})`, {
      cause: error,
    });
  }
}

/** Which kind of key a SubjectPublicKeyInfo is; InvalidArgument when certificates may not use it. */
export function kindOfPublicKey(spki: Uint8Array): KeyKind {
  const [algorithm, bits] = readSequence(spki);
  const kind = kindOfAlgorithm(algorithm);
  if (kind.kind === 'ec') return kind;
  // The first byte of a BIT STRING counts its unused bits.
  const modulus = contentOf(readSequence(contentOf(bits, Tag.BIT_STRING).subarray(1))[0], Tag.INTEGER);
  return checkedRsa(bitLength(modulus));
}

/** Web Cryptography's parameters to sign with such a key, in the strength that SwarmKit chooses. */
export function signingAlgorithm(kind: KeyKind): { readonly name: string; readonly hash: string } {
  return { name: kind.kind === 'ec' ? 'ECDSA' : 'RSASSA-PKCS1-v1_5', hash: hashFor(kind) };
}

function hashFor(kind: KeyKind): string {
  if (kind.kind === 'ec') return SIGNATURE_HASH[kind.curve];
  if (kind.bits >= 4096) return 'SHA-512';
  return kind.bits >= 3072 ? 'SHA-384' : 'SHA-256';
}

function importAlgorithm(kind: KeyKind): { name: string; namedCurve: string } | { name: string; hash: string } {
  if (kind.kind === 'ec') return { name: 'ECDSA', namedCurve: kind.curve };
  return { name: 'RSASSA-PKCS1-v1_5', hash: hashFor(kind) };
}

function kindOfAlgorithm(algorithm: DerElement | undefined): KeyKind {
  const [oid, parameters] = children(algorithm);
  if (isOid(oid, RSA_ENCRYPTION)) return { kind: 'rsa', bits: RSA_BITS_MIN };
  if (!isOid(oid, EC_PUBLIC_KEY)) throw unsupported('unknown or unsupported certificate public key algorithm');
  const curve = CURVES.find(([hex]) => parameters?.tag === Tag.OID && isOid(parameters, hex));
  if (curve === undefined) throw unsupported('unsupported ECDSA key parameters');
  return { kind: 'ec', curve: curve[1] };
}

function checkedRsa(bits: number): KeyKind {
  if (bits < RSA_BITS_MIN)
    throw unsupported(`unsupported RSA key parameters: ${bits} bits, the least is ${RSA_BITS_MIN}`);
  return { kind: 'rsa', bits };
}

function bitLength(integer: Uint8Array): number {
  const start = integer.findIndex((byte) => byte !== 0);
  if (start < 0) return 0;
  return (integer.length - start) * 8 - (Math.clz32(integer[start] ?? 0) - 24);
}

function toPkcs8(block: PemBlock, what: string): Uint8Array {
  switch (block.type) {
    case 'PRIVATE KEY':
      return block.der;
    case 'EC PRIVATE KEY':
      return sec1ToPkcs8(block.der);
    case 'RSA PRIVATE KEY':
      return wrapPkcs8(der(Tag.SEQUENCE, derOid(RSA_ENCRYPTION), der(Tag.NULL)), block.der);
    default:
      throw unsupported(`${what}: keys of the form ${block.type} are not supported`);
  }
}

/** SEC 1 names its curve in an optional `[0]`, where PKCS#8 wants it outside. */
function sec1ToPkcs8(sec1: Uint8Array): Uint8Array {
  const parameters = readSequence(sec1).find(({ tag }) => tag === Tag.CONTEXT_0);
  const curve = parameters === undefined ? undefined : readElements(parameters.content)[0];
  if (curve?.tag !== Tag.OID) throw unsupported('unsupported ECDSA key parameters');
  return wrapPkcs8(der(Tag.SEQUENCE, derOid(EC_PUBLIC_KEY), curve.raw), sec1);
}

function wrapPkcs8(algorithm: Uint8Array, key: Uint8Array): Uint8Array {
  return der(Tag.SEQUENCE, derInteger(0), algorithm, der(Tag.OCTET_STRING, key));
}

function unsupported(message: string): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, message);
}
