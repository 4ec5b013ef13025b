import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { HealthConfigSchema, durationFromMs } from '../../api/index.js';
import { HEALTH_UNKNOWN, afterProbe, healthCheckOf, nextProbeInMs, unhealthyExit } from './health.js';
import type { Health, HealthCheck } from './health.js';

const CHECK: HealthCheck = {
  command: ['true'],
  intervalMs: 1000,
  timeoutMs: 500,
  startPeriodMs: 5000,
  startIntervalMs: 100,
  retries: 2,
};

function probes(check: HealthCheck, ...results: readonly (readonly [boolean, number])[]): Health {
  return results.reduce((health, [success, atMs]) => afterProbe(health, check, success, atMs), HEALTH_UNKNOWN);
}

describe('a health check', () => {
  it('has the defaults of the Docker Engine', () => {
    expect(healthCheckOf(create(HealthConfigSchema, { test: ['CMD', 'curl', '-f', 'x'] }))).toEqual({
      command: ['curl', '-f', 'x'],
      intervalMs: 30_000,
      timeoutMs: 30_000,
      startPeriodMs: 0,
      startIntervalMs: 5000,
      retries: 3,
    });
  });

  it('runs a shell line through the shell', () => {
    const config = create(HealthConfigSchema, {
      test: ['CMD-SHELL', 'test -f /x || exit 1'],
      interval: durationFromMs(200),
      retries: 7,
    });
    expect(healthCheckOf(config)).toMatchObject({
      command: ['/bin/sh', '-c', 'test -f /x || exit 1'],
      intervalMs: 200,
      retries: 7,
    });
  });

  it('is absent for NONE, for an empty test and for no spec', () => {
    expect(healthCheckOf(undefined)).toBeUndefined();
    expect(healthCheckOf(create(HealthConfigSchema))).toBeUndefined();
    expect(healthCheckOf(create(HealthConfigSchema, { test: ['NONE'] }))).toBeUndefined();
  });

  it('refuses kinds that nobody knows and commands that are not there', () => {
    expect(() => healthCheckOf(create(HealthConfigSchema, { test: ['PING'] }))).toThrow('healthcheck.test');
    expect(() => healthCheckOf(create(HealthConfigSchema, { test: ['CMD'] }))).toThrow('CMD needs a command');
  });
});

describe('health', () => {
  it('is good after one success and bad after enough failures in a row', () => {
    expect(probes(CHECK, [true, 100]).status).toBe('healthy');
    expect(probes(CHECK, [true, 100], [false, 6000]).status).toBe('healthy');
    expect(probes(CHECK, [true, 100], [false, 6000], [true, 7000], [false, 8000]).status).toBe('healthy');
    expect(probes(CHECK, [true, 100], [false, 6000], [false, 7000]).status).toBe('unhealthy');
  });

  it('does not count failures within the start period until a probe has succeeded', () => {
    expect(probes(CHECK, [false, 100], [false, 200], [false, 4999])).toEqual(HEALTH_UNKNOWN);
    expect(probes(CHECK, [false, 5000], [false, 6000]).status).toBe('unhealthy');
    expect(probes(CHECK, [true, 100], [false, 200], [false, 300]).status).toBe('unhealthy');
  });

  it('is probed more often while the start period lasts', () => {
    expect(nextProbeInMs(HEALTH_UNKNOWN, CHECK, 0)).toBe(100);
    expect(nextProbeInMs(HEALTH_UNKNOWN, CHECK, 5000)).toBe(1000);
    expect(nextProbeInMs({ status: 'healthy', failingStreak: 0 }, CHECK, 0)).toBe(1000);
  });

  it('gives the reason that Docker gives', () => {
    expect(unhealthyExit(143).message).toBe('task: non-zero exit (143): dockerexec: unhealthy container');
  });
});
