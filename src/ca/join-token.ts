import { Code, SwarmError, type Random } from '../base/index.js';

/** What a join token says. */
export interface JoinToken {
  /** 1, or 2 for tokens that carry the FIPS flag. */
  readonly version: 1 | 2;
  /** SHA-256 of the exact bytes of the root bundle, 64 hex digits. */
  readonly rootDigest: string;
  /** The part that admits: 25 characters of base 36. */
  readonly secret: string;
  /** The cluster admits only nodes in FIPS mode. */
  readonly fips: boolean;
}

/** Width of 2^256-1 in base 36. */
const DIGEST_LENGTH = 50;

/** Width of 2^128-1 in base 36. */
const SECRET_LENGTH = 25;

/** Source: SwarmKit. */
const SECRET_BYTES = 16;

const DIGEST_MAX = 1n << 256n;

/** A new token for a root. @param rootDigest hex SHA-256 of the root bundle, with or without `sha256:` before it. */
export function generateJoinToken(rootDigest: string, random: Random, options: { readonly fips: boolean }): string {
  const secret = BigInt(`0x${Buffer.from(random.bytes(SECRET_BYTES)).toString('hex')}`);
  return formatJoinToken({
    version: options.fips ? 2 : 1,
    rootDigest: rootDigest.replace(/^sha256:/, ''),
    secret: base36(secret, SECRET_LENGTH),
    fips: options.fips,
  });
}

/** The text of a token. */
export function formatJoinToken(token: JoinToken): string {
  if (!/^[0-9a-f]{64}$/.test(token.rootDigest)) {
    throw new SwarmError(Code.INVALID_ARGUMENT, 'the digest of the root must be 64 hexadecimal digits');
  }
  const digest = base36(BigInt(`0x${token.rootDigest}`), DIGEST_LENGTH);
  const version = token.version === 1 ? '1' : `2-${token.fips ? '1' : '0'}`;
  return `SWMTKN-${version}-${digest}-${token.secret}`;
}

/** Reads a token. InvalidArgument "invalid join token" when it is none. */
export function parseJoinToken(text: string): JoinToken {
  const match = /^SWMTKN-(?:(1)|2-([01]))-([0-9a-z]{50})-([0-9a-z]{25})$/.exec(text);
  const digest = match === null ? undefined : fromBase36(match[3] ?? '');
  if (match === null || digest === undefined || digest >= DIGEST_MAX) {
    throw new SwarmError(Code.INVALID_ARGUMENT, 'invalid join token');
  }
  return {
    version: match[1] === undefined ? 2 : 1,
    rootDigest: digest.toString(16).padStart(64, '0'),
    secret: match[4] ?? '',
    fips: match[2] === '1',
  };
}

/** Whether two secrets are the same, in a time that depends on the length of `given` only. Empty never matches. */
export function equalSecrets(expected: string, given: string): boolean {
  if (expected.length === 0) return false;
  let difference = expected.length ^ given.length;
  for (let i = 0; i < given.length; i++) {
    difference |= expected.charCodeAt(i % expected.length) ^ given.charCodeAt(i);
  }
  return difference === 0;
}

function base36(value: bigint, width: number): string {
  return value.toString(36).padStart(width, '0');
}

function fromBase36(text: string): bigint {
  let value = 0n;
  for (const character of text) value = value * 36n + BigInt(Number.parseInt(character, 36));
  return value;
}
