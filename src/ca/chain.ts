import { isIssuedBy, sameBytes, type Certificate } from './certificate.js';
import type { WebCrypto } from './crypto.js';
import { tlsProblem } from './tls-problem.js';

/** Who signed a certificate; nodes report it, and a root rotation waits for it. */
export interface Issuer {
  /** Name in DER. */
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
}

/**
 * Verifies a leaf with its intermediates, each signed by the next, up to one of the roots, all within their time.
 * @param allowExpired accepts certificates past their end (never ones before their beginning).
 * @throws problems 'expired', 'not-yet-valid' and 'foreign'.
 */
export async function verifyChain(
  crypto: WebCrypto,
  roots: readonly Certificate[],
  chain: readonly [Certificate, ...Certificate[]],
  time: { readonly nowMs: number; readonly allowExpired: boolean },
): Promise<Issuer> {
  for (const [index, certificate] of chain.entries()) {
    checkTime(certificate, index + 1, time);
    const previous = chain[index - 1];
    if (previous !== undefined && !(await isIssuedBy(crypto, previous, certificate))) {
      throw tlsProblem(
        'foreign',
        `certificates do not form a chain: (${index} - ${previous.commonName}) is not signed by (${index + 1} - ${certificate.commonName})`,
      );
    }
  }
  for (const [index, certificate] of chain.entries()) {
    const root = await findRoot(crypto, roots, certificate, index, time);
    if (root !== undefined) return issuerOf(chain[1] === undefined || index === 0 ? root : chain[1]);
  }
  throw tlsProblem('foreign', `certificate (1 - ${chain[0].commonName}) is not signed by a trusted root`);
}

/** As an issuer of others. */
export function issuerOf(certificate: Certificate): Issuer {
  return { subject: certificate.subject, publicKey: certificate.spki };
}

/** A problem 'expired' or 'not-yet-valid' unless `nowMs` is within the certificate's time. */
export function checkTime(
  certificate: Certificate,
  position: number,
  { nowMs, allowExpired }: { readonly nowMs: number; readonly allowExpired: boolean },
): void {
  const name = `certificate (${position} - ${certificate.commonName})`;
  const now = `and it is currently ${dateText(nowMs)}`;
  if (nowMs < certificate.notBeforeMs) {
    throw tlsProblem('not-yet-valid', `${name} not valid before ${dateText(certificate.notBeforeMs)}, ${now}`);
  }
  if (!allowExpired && nowMs > certificate.notAfterMs) {
    throw tlsProblem('expired', `${name} not valid after ${dateText(certificate.notAfterMs)}, ${now}`);
  }
}

/** The root that signed a certificate, or is it; `below` counts the certificates under it. */
async function findRoot(
  crypto: WebCrypto,
  roots: readonly Certificate[],
  certificate: Certificate,
  below: number,
  { nowMs, allowExpired }: { readonly nowMs: number; readonly allowExpired: boolean },
): Promise<Certificate | undefined> {
  for (const root of roots) {
    const isRoot = sameBytes(root.spki, certificate.spki) && sameBytes(root.subject, certificate.subject);
    const inTime = nowMs >= root.notBeforeMs && (allowExpired || nowMs <= root.notAfterMs);
    const withinPath = root.pathLength === undefined || below <= root.pathLength;
    if (inTime && withinPath && (isRoot || (await isIssuedBy(crypto, certificate, root)))) return root;
  }
  return undefined;
}

function dateText(ms: number): string {
  return new Date(ms).toUTCString().replace('GMT', 'UTC');
}
