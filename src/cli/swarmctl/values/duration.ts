import { durationFromNs, timestampFromMs } from '../../../api/index.js';
import { badValue } from '../usage-error.js';

type Duration = ReturnType<typeof durationFromNs>;
type Timestamp = ReturnType<typeof timestampFromMs>;

/** Nanoseconds of each unit. Source: Go's time.ParseDuration. */
const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
const WHOLE = /^\+?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;

/** Digits after the point that can matter: an hour has 3.6e12 nanoseconds. */
const FRACTION_DIGITS = 13;

/** The longest duration that Go, and so the wire's other end, can hold. */
const NANOSECONDS_MAX = (1n << 63n) - 1n;

const ALLOWED = 'write a duration such as 500ms, 10s, 1m30s or 2h (not negative)';

/** A duration as Go writes them, in nanoseconds. */
export function parseNanoseconds(flag: string, text: string): bigint {
  if (/^\+?0$/.test(text)) return 0n;
  if (!WHOLE.test(text)) throw badValue(flag, text, ALLOWED);
  let total = 0n;
  for (const [, amount = '', unit = ''] of text.matchAll(PART)) total += scaled(amount, UNITS[unit] ?? 0n);
  if (total > NANOSECONDS_MAX) throw badValue(flag, text, ALLOWED);
  return total;
}

/** A duration as Go writes them. */
export function parseDuration(flag: string, text: string): Duration {
  return durationFromNs(parseNanoseconds(flag, text));
}

/** A duration in milliseconds, for our own waiting. */
export function parseMilliseconds(flag: string, text: string): number {
  return Number(parseNanoseconds(flag, text)) / 1e6;
}

/** A point in time: a duration before now, a date of RFC 3339 (or its beginning), or seconds since 1970. */
export function parseSince(flag: string, text: string, nowMs: number): Timestamp {
  if (/^\d{1,11}(\.\d{1,9})?$/.test(text)) return timestampFromMs(Number(text) * 1000);
  if (WHOLE.test(text)) return timestampFromMs(nowMs - parseMilliseconds(flag, text));
  const ms = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(ms)) {
    throw badValue(flag, text, 'write a duration (10m), a date (2026-01-31T12:00:00Z) or seconds since 1970');
  }
  return timestampFromMs(ms);
}

function scaled(amount: string, unit: bigint): bigint {
  const [whole = '', fraction = ''] = amount.split('.');
  const digits = fraction.slice(0, FRACTION_DIGITS).padEnd(FRACTION_DIGITS, '0');
  return BigInt(whole === '' ? '0' : whole) * unit + (BigInt(digits) * unit) / 10n ** BigInt(FRACTION_DIGITS);
}
