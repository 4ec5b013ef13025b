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
