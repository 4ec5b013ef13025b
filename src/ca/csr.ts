import { Code, errorText, SwarmError } from '../base/index.js';
import { x509, type WebCrypto } from './crypto.js';
import { kindOfPublicKey, signingAlgorithm, type KeyKind, type PrivateKey } from './keys.js';
import { parseOnePem, pemText } from './pem.js';

/** What is taken over from a certificate request: its key, nothing else. */
export interface CertificateRequest {
  /** SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly kind: KeyKind;
}

/** Requests larger than this are refused unread: one with a large RSA key has about 2 KiB. */
const CSR_BYTES_MAX = 64 * 1024;

/** A certificate request with an empty subject and no extensions, as SwarmKit sends it: who we are is the CA's to say. */
export async function createCsr(crypto: WebCrypto, key: PrivateKey): Promise<string> {
  const keys = { privateKey: key.signingKey, publicKey: key.publicKey };
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    { keys, signingAlgorithm: signingAlgorithm(key.kind) },
    crypto,
  );
  return pemText('CERTIFICATE REQUEST', new Uint8Array(request.rawData));
}

/**
 * Reads a request in PEM and checks that its sender holds the key.
 * InvalidArgument when it is malformed, the key is of a kind that is not allowed, or the signature is wrong.
 */
export async function parseCsr(crypto: WebCrypto, csr: Uint8Array): Promise<CertificateRequest> {
  if (csr.length > CSR_BYTES_MAX) throw refused(`it is larger than ${CSR_BYTES_MAX} bytes`);
  const block = parseOnePem(csr, 'the certificate request');
  if (block.type !== 'CERTIFICATE REQUEST' && block.type !== 'NEW CERTIFICATE REQUEST') {
    throw refused(`it is a ${block.type}`);
  }
  try {
    const request = new x509.Pkcs10CertificateRequest(Uint8Array.from(block.der));
    const spki = new Uint8Array(request.publicKey.rawData);
    const kind = kindOfPublicKey(spki);
    if (!(await request.verify(crypto))) throw refused('its signature is not made with its key');
    return { spki, kind };
  } catch (error) {
    throw error instanceof SwarmError ? error : refused(errorText(error), error);
  }
}

function refused(why: string, cause?: unknown): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, `the certificate request is not valid: ${why}`, { cause });
}
