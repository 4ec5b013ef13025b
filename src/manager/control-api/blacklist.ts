import { X509Certificate } from 'node:crypto';

import { msFromTimestamp, type BlacklistedCertificate, type Cluster } from '../../api/index.js';

/** How long a removed node stays refused after its certificate expired: 7 days. Source: SwarmKit. */
export const EXPIRED_CERTIFICATE_GRACE_MS = 7 * 24 * 3_600_000;

type Blacklist = Cluster['blacklistedCertificates'];

/** The entries that still count. Those without an expiry stay for ever. */
export function unexpired(blacklist: Readonly<Record<string, BlacklistedCertificate>>, nowMs: number): Blacklist {
  return Object.fromEntries(
    Object.entries(blacklist).filter(
      ([, { expiry }]) => expiry === undefined || msFromTimestamp(expiry) + EXPIRED_CERTIFICATE_GRACE_MS >= nowMs,
    ),
  );
}

/** When a certificate (PEM) expires; undefined where there is none or it cannot be read. */
export function certificateExpiryMs(pem: Uint8Array | undefined): number | undefined {
  if (pem === undefined || pem.length === 0) return undefined;
  try {
    const expiryMs = Date.parse(new X509Certificate(pem).validTo);
    return Number.isNaN(expiryMs) ? undefined : expiryMs;
  } catch {
    return undefined;
  }
}
