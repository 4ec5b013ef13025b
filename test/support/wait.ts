import { setTimeout as delay } from 'node:timers/promises';

/** How long a condition may take to hold unless a test says otherwise. */
const TIMEOUT_MS = 30_000;
/** Pause between two looks at a condition. */
const PERIOD_MS = 50;

/** Bounds of a wait. */
export interface WaitOptions {
  readonly timeoutMs?: number;
  readonly periodMs?: number;
}

/**
 * Looks again and again until the probe returns something other than undefined or false; a probe that throws
 * counts as not yet. Fails after a time, saying what was waited for and what was seen last.
 */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  { timeoutMs = TIMEOUT_MS, periodMs = PERIOD_MS }: WaitOptions = {},
): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    let seen: unknown;
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
      seen = value;
    } catch (error) {
      seen = error;
    }
    if (Date.now() >= end) {
      const last = seen instanceof Error ? seen.message : String(seen);
      throw new Error(`waited ${timeoutMs} ms for ${what}; last: ${last}`, { cause: seen });
    }
    await delay(periodMs);
  }
}

/** The promise's value, or a failure that says what took too long. */
export async function within<T>(timeoutMs: number, what: string, promise: Promise<T>): Promise<T> {
  const late = new AbortController();
  try {
    return await Promise.race([
      promise,
      delay(timeoutMs, undefined, { signal: late.signal }).then(() => {
        throw new Error(`${what} took longer than ${timeoutMs} ms`);
      }),
    ]);
  } finally {
    late.abort();
  }
}
