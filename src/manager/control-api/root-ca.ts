import { X509Certificate, createPrivateKey } from 'node:crypto';

import { ExternalCA_CAProtocol, type CAConfig, type ExternalCA, type RootCA } from '../../api/index.js';
import { invalidArgument, unimplemented } from './errors.js';

/** Time that a new root must remain valid: one year of 365 days. Source: SwarmKit. */
const ROOT_VALIDITY_MIN_MS = 365 * 24 * 3_600_000;

const ROTATION = 'rotating the root CA is not supported yet';

/**
 * The root CA that the settings ask for: usually the present one. A certificate equal to the present root
 * ends a running rotation. Moving to another root is refused as Unimplemented, after all that can be
 * wrong with the request has been checked.
 */
export function desiredRootCa(config: CAConfig | undefined, rootCa: RootCA, nowMs: number): RootCA {
  const certificate = config?.signingCaCert ?? EMPTY;
  const key = config?.signingCaKey ?? EMPTY;
  const externals = config?.externalCas ?? [];
  const forceRotate = config?.forceRotate ?? 0n;
  if (certificate.length === 0) {
    if (key.length > 0) {
      throw invalidArgument('if a signing CA key is provided, the signing CA cert must also be provided');
    }
    return unchanged(rootCa, externals, forceRotate);
  }
  const desired = validateDesired(certificate, key, nowMs);
  const isPresent = samePem(certificate, rootCa.caCert);
  if (rootCa.caKey.length === 0 && !(isPresent && key.length > 0)) {
    requireExternal(externals, rootCa.caCert, rootCa, 'current');
  }
  if (key.length === 0) requireExternal(externals, certificate, rootCa, 'desired');
  if (isPresent) {
    const { rootRotation: _, ...kept } = rootCa;
    return { ...kept, caKey: key, lastForcedRotation: forceRotate };
  }
  if (hasKeyOf(desired, rootCa.caCert)) throw invalidArgument('Cannot update to a cert with an identical key');
  const { rootRotation } = rootCa;
  if (rootRotation !== undefined && samePem(certificate, rootRotation.caCert)) {
    return { ...rootCa, rootRotation: { ...rootRotation, caKey: key }, lastForcedRotation: forceRotate };
  }
  throw unimplemented(ROTATION);
}

const EMPTY = new Uint8Array();

function unchanged(rootCa: RootCA, externals: readonly ExternalCA[], forceRotate: bigint): RootCA {
  if (rootCa.caKey.length === 0) requireExternal(externals, rootCa.caCert, rootCa, 'current');
  if (rootCa.lastForcedRotation !== forceRotate) throw unimplemented(ROTATION);
  const { rootRotation } = rootCa;
  if (rootRotation !== undefined && rootRotation.caKey.length === 0) {
    requireExternal(externals, rootRotation.caCert, rootCa, 'next');
  }
  return rootCa;
}

function validateDesired(pem: Uint8Array, key: Uint8Array, nowMs: number): X509Certificate {
  const certificate = parseCertificate(pem);
  if (certificate === undefined) throw invalidArgument('could not parse the desired CA certificate');
  if (pemBlocks(pem).length > 1) {
    throw invalidArgument('the desired CA certificate cannot contain multiple certificates');
  }
  if (key.length > 0 && !keyMatches(certificate, key)) {
    throw invalidArgument('the desired CA key does not match the desired CA certificate');
  }
  if (Date.parse(certificate.validTo) < nowMs + ROOT_VALIDITY_MIN_MS) {
    throw invalidArgument('CA certificate expires too soon');
  }
  return certificate;
}

function parseCertificate(pem: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function keyMatches(certificate: X509Certificate, pem: Uint8Array): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(Buffer.from(pem)));
  } catch {
    return false;
  }
}

function hasKeyOf(certificate: X509Certificate, rootPem: Uint8Array): boolean {
  const root = parseCertificate(rootPem);
  if (root === undefined) return false;
  const [one, other] = [certificate, root].map(({ publicKey }) => publicKey.export({ type: 'spki', format: 'der' }));
  return one !== undefined && other !== undefined && Buffer.compare(one, other) === 0;
}

/** Without the key to a root, an external CA that has it is needed. Whether one answers cannot be tried yet. */
function requireExternal(
  externals: readonly ExternalCA[],
  rootPem: Uint8Array,
  rootCa: RootCA,
  which: 'current' | 'desired' | 'next',
): void {
  const usable = externals.some(
    ({ protocol, url, caCert }) =>
      protocol === ExternalCA_CAProtocol.CFSSL &&
      samePem(caCert.length > 0 ? caCert : rootCa.caCert, rootPem) &&
      URL.canParse(url) &&
      new URL(url).protocol === 'https:',
  );
  if (!usable) {
    throw invalidArgument(
      `there must be at least one valid, reachable external CA corresponding to the ${which} CA certificate`,
    );
  }
  throw unimplemented('external CAs are not supported yet');
}

function samePem(one: Uint8Array, other: Uint8Array): boolean {
  const [blocks, others] = [pemBlocks(one), pemBlocks(other)];
  return blocks.length === others.length && blocks.every((block, at) => block === others[at]);
}

/** The base64 bodies of the certificates in a bundle, without white space. */
function pemBlocks(pem: Uint8Array): readonly string[] {
  const text = new TextDecoder().decode(pem);
  return [...text.matchAll(/-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g)].map(([, body]) =>
    (body ?? '').replaceAll(/\s/g, ''),
  );
}
