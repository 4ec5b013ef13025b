import { badValue } from '../usage-error.js';

/** The largest amount that the cluster's counters hold (they are signed). */
const INT64_MAX = (1n << 63n) - 1n;

const SIZE_FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

const CPU_DECIMALS = 9;

/** A whole number from 0. */
export function parseCount(flag: string, text: string): bigint {
  const count = /^\d{1,19}$/.test(text) ? BigInt(text) : undefined;
  if (count === undefined || count > INT64_MAX) throw badValue(flag, text, 'write a whole number from 0');
  return count;
}

/** A whole number between two bounds, both included. */
export function parseInteger(flag: string, text: string, min: number, max: number): number {
  const value = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (!(value >= min && value <= max)) throw badValue(flag, text, `write a whole number from ${min} to ${max}`);
  return value;
}

/** A share between 0 and 1. */
export function parseRatio(flag: string, text: string): number {
  const value = /^(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : NaN;
  if (!(value >= 0 && value <= 1)) throw badValue(flag, text, 'write a number from 0 to 1, such as 0.2');
  return value;
}

/** An amount of memory in bytes: `512m`, `1.5g`, `64KiB`; units count in steps of 1024, whatever their case. */
export function parseSize(flag: string, text: string): bigint {
  const match = /^(\d+\.?\d*|\.\d+) ?(?:([kmgtp])i?b?|b)?$/i.exec(text);
  const bytes = match === null ? NaN : Number(match[1]) * (SIZE_FACTORS[(match[2] ?? '').toLowerCase()] ?? NaN);
  if (!(bytes < Number(INT64_MAX))) {
    throw badValue(flag, text, 'write an amount of memory with unit b, k, m, g, t or p, such as 512m');
  }
  return BigInt(Math.trunc(bytes));
}

/** A number of CPU cores in billionths: `0.5`, `2`. */
export function parseCpus(flag: string, text: string): bigint {
  const match = /^(\d{0,9})(?:\.(\d*))?$/.exec(text);
  const whole = match?.[1] ?? '';
  const decimals = (match?.[2] ?? '').replace(/0+$/, '');
  if (match === null || text === '' || text === '.' || decimals.length > CPU_DECIMALS) {
    throw badValue(flag, text, `write a number of CPU cores with at most ${CPU_DECIMALS} decimals, such as 0.5`);
  }
  return BigInt(`${whole}${decimals.padEnd(CPU_DECIMALS, '0')}`);
}
