import { errorText } from '../../base/index.js';

/** How Go programs word what the operating system answers; callers know these texts. */
const TEXTS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  ECONNREFUSED: 'connect: connection refused',
  ECONNRESET: 'connection reset by peer',
  EHOSTUNREACH: 'connect: no route to host',
  EINVAL: 'invalid argument',
  ENAMETOOLONG: 'invalid argument',
  ENETUNREACH: 'connect: network is unreachable',
  ENOENT: 'no such file or directory',
  ENOTFOUND: 'no such host',
  EPIPE: 'broken pipe',
  ETIMEDOUT: 'i/o timeout',
};

/** The cause of a failed system call in words. */
export function systemCause(error: unknown): string {
  // Node tries all addresses of a name and reports them together.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const code = first instanceof Error && 'code' in first ? String(first.code) : '';
  return TEXTS[code] ?? errorText(first);
}

const UNKNOWN_AUTHORITY = 'certificate signed by unknown authority';
const NOT_VALID_NOW = 'certificate has expired or is not yet valid';

/** How Go programs word what OpenSSL finds wrong with a certificate. */
const CERTIFICATE_TEXTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: NOT_VALID_NOW,
  CERT_NOT_YET_VALID: NOT_VALID_NOW,
  CERT_SIGNATURE_FAILURE: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
};

/** What is wrong with a peer's certificate, from the socket's `authorizationError`. */
export function certificateProblem(authorizationError: unknown): string {
  const code =
    authorizationError instanceof Error && 'code' in authorizationError
      ? String(authorizationError.code)
      : errorText(authorizationError);
  return CERTIFICATE_TEXTS[code] ?? errorText(authorizationError);
}
