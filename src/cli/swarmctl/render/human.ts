import { msFromTimestamp, nsFromDuration } from '../../../api/index.js';

type Timestamp = NonNullable<Parameters<typeof msFromTimestamp>[0]>;
type Duration = Parameters<typeof nsFromDuration>[0];

const SECOND_MS = 1_000;

/** Units of time, largest first, in seconds. */
const AGES: readonly (readonly [unit: string, seconds: number])[] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
];

/** A unit is used from this many on, so that ages stay exact to a few percent: 45 days rather than 1 month. */
const AGE_UNITS_MIN: Readonly<Record<string, number>> = { year: 2, month: 2, week: 2, day: 2 };

const SIZE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** How long ago a moment was: `3 minutes ago`. Empty where it is not known. */
export function ago(timestamp: Timestamp | undefined, nowMs: number): string {
  if (timestamp === undefined) return '';
  const seconds = Math.floor((nowMs - msFromTimestamp(timestamp)) / SECOND_MS);
  // Clocks of managers and of this machine differ a little.
  if (seconds < 1) return 'just now';
  const [unit, size] = AGES.find(([name, length]) => seconds >= length * (AGE_UNITS_MIN[name] ?? 1)) ?? ['second', 1];
  return `${counted(Math.floor(seconds / size), unit)} ago`;
}

/** `1 task`, `2 tasks`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Bytes in the unit that keeps them short: `512 MiB`. */
export function humanSize(bytes: bigint): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < SIZE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(4))} ${SIZE_UNITS[unit]}`;
}

/** Billionths of a CPU core as a number of cores. */
export function humanCpus(nanoCpus: bigint): string {
  return String(Number(nanoCpus) / 1e9);
}

/** A duration as Go prints it: `1m30s`, `500ms`, `2160h0m0s`. */
export function humanDuration(duration: Duration | undefined): string {
  if (duration === undefined) return '';
  const ns = nsFromDuration(duration);
  if (ns < 0n) return `-${positive(-ns)}`;
  return positive(ns);
}

function positive(ns: bigint): string {
  if (ns === 0n) return '0s';
  if (ns < 1_000n) return `${ns}ns`;
  if (ns < 1_000_000n) return `${Number(ns) / 1e3}µs`;
  if (ns < 1_000_000_000n) return `${Number(ns) / 1e6}ms`;
  const minutes = ns / 60_000_000_000n;
  const seconds = `${Number(ns % 60_000_000_000n) / 1e9}s`;
  if (minutes === 0n) return seconds;
  if (minutes < 60n) return `${minutes}m${seconds}`;
  return `${minutes / 60n}h${minutes % 60n}m${seconds}`;
}
