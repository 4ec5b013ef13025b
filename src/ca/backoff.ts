import type { Random } from '../base/index.js';

/** How waiting times grow. */
export interface BackoffOptions {
  readonly baseMs: number;
  readonly factorMs: number;
  readonly maxMs: number;
}

/** Doublings after which every bound has long been reached. */
const DOUBLINGS_MAX = 30;

/**
 * Whole milliseconds to wait after so many failures in a row: uniformly random below `base + factor * 2^(failures-1)`
 * or `max`, so that many nodes do not come back together; nothing without a failure.
 */
export function backoffMs(failures: number, options: BackoffOptions, random: Random): number {
  if (failures <= 0) return 0;
  const bound = options.baseMs + options.factorMs * 2 ** Math.min(failures - 1, DOUBLINGS_MAX);
  return Math.floor(random.float() * Math.min(bound, options.maxMs));
}
