import { msFromDuration } from '../../api/index.js';
import type { HealthConfig } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import { ExitError } from './controller.js';

/** Timing that counts where a health check leaves it out or zero. Source: the Docker Engine. */
export const HEALTH_DEFAULTS = {
  intervalMs: 30_000,
  timeoutMs: 30_000,
  startPeriodMs: 0,
  startIntervalMs: 5_000,
  retries: 3,
} as const;

/** Why an unhealthy task fails, as Docker's clients see it. Source: engine-api E-407. */
const UNHEALTHY = 'dockerexec: unhealthy container';

/** A health check with every default filled in. */
export interface HealthCheck {
  /** What to run, as an argument list. */
  readonly command: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** For so long after the start failures do not count. */
  readonly startPeriodMs: number;
  /** Between two probes while the start period lasts and none has succeeded. */
  readonly startIntervalMs: number;
  /** Failures in a row that make a task unhealthy. */
  readonly retries: number;
}

/**
 * The check that a spec asks for: `CMD` runs its arguments, `CMD-SHELL` a shell line. Undefined for none.
 * @throws SwarmError InvalidArgument for another kind of test.
 */
export function healthCheckOf(config: HealthConfig | undefined): HealthCheck | undefined {
  const [kind, ...rest] = config?.test ?? [];
  if (config === undefined || kind === undefined || kind === 'NONE') return undefined;
  if (kind !== 'CMD' && kind !== 'CMD-SHELL') {
    throw new SwarmError(
      Code.INVALID_ARGUMENT,
      `healthcheck.test: unknown kind ${JSON.stringify(kind)}, expected NONE, CMD or CMD-SHELL`,
    );
  }
  if (rest.length === 0) throw new SwarmError(Code.INVALID_ARGUMENT, `healthcheck.test: ${kind} needs a command`);
  return {
    command: kind === 'CMD' ? rest : ['/bin/sh', '-c', rest.join(' ')],
    intervalMs: msFromDuration(config.interval) || HEALTH_DEFAULTS.intervalMs,
    timeoutMs: msFromDuration(config.timeout) || HEALTH_DEFAULTS.timeoutMs,
    startPeriodMs: msFromDuration(config.startPeriod) || HEALTH_DEFAULTS.startPeriodMs,
    startIntervalMs: msFromDuration(config.startInterval) || HEALTH_DEFAULTS.startIntervalMs,
    retries: config.retries > 0 ? config.retries : HEALTH_DEFAULTS.retries,
  };
}

/** What the probes so far have shown. */
export interface Health {
  readonly status: 'starting' | 'healthy' | 'unhealthy';
  /** Failures in a row that count. */
  readonly failingStreak: number;
}

/** Before the first probe. */
export const HEALTH_UNKNOWN: Health = { status: 'starting', failingStreak: 0 };

/** The health after a probe that began `sinceStartMs` after the task did. */
export function afterProbe(health: Health, check: HealthCheck, success: boolean, sinceStartMs: number): Health {
  if (success) return { status: 'healthy', failingStreak: 0 };
  if (health.status === 'starting' && sinceStartMs < check.startPeriodMs) return health;
  const failingStreak = health.failingStreak + 1;
  return { status: failingStreak >= check.retries ? 'unhealthy' : health.status, failingStreak };
}

/** How long to wait before the next probe, `sinceStartMs` after the task began. */
export function nextProbeInMs(health: Health, check: HealthCheck, sinceStartMs: number): number {
  const early = sinceStartMs < check.startPeriodMs && health.status === 'starting';
  return early ? check.startIntervalMs : check.intervalMs;
}

/** How a task ends that was stopped because its health check failed. */
export function unhealthyExit(exitCode: number): ExitError {
  return new ExitError(exitCode, UNHEALTHY);
}
