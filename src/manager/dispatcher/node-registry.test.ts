import { describe, expect, it } from 'vitest';

import { SeededRandom } from '../../sim/index.js';
import { NodeRegistry } from './node-registry.js';
import { dispatcherSettings, type DispatcherOptions } from './options.js';

const DAY_MS = 24 * 3600 * 1000;

function registryWith(options: Partial<DispatcherOptions> = {}): NodeRegistry {
  return new NodeRegistry(dispatcherSettings({ nodeId: 'manager', ...options }), new SeededRandom(1));
}

/** Without the random part, so that times are exact. */
const EXACT = { heartbeatEpsilonMs: 0 };

describe('NodeRegistry', () => {
  it('answers heartbeats with periods of 4.5 s to 5.5 s that differ', () => {
    const registry = registryWith();
    const session = registry.open('node', 0);
    const periods = Array.from({ length: 200 }, () => registry.beat('node', session.sessionId, 0));
    expect(Math.min(...periods)).toBeGreaterThanOrEqual(4500);
    expect(Math.max(...periods)).toBeLessThanOrEqual(5500);
    expect(Math.max(...periods) - Math.min(...periods)).toBeGreaterThan(500);
  });

  it('follows the cluster in its period, and takes zero, negative and absent as the default', () => {
    const registry = registryWith(EXACT);
    const { sessionId } = registry.open('node', 0);
    registry.setPeriod(20_000);
    expect(registry.beat('node', sessionId, 0)).toBe(20_000);
    for (const period of [0, -1, undefined]) {
      registry.setPeriod(period);
      expect(registry.beat('node', sessionId, 0)).toBe(5_000);
    }
  });

  it('never chooses a period of zero or less, however short the nominal one', () => {
    const registry = registryWith();
    const { sessionId } = registry.open('node', 0);
    registry.setPeriod(100);
    for (let i = 0; i < 100; i++) expect(registry.beat('node', sessionId, 0)).toBeGreaterThanOrEqual(90);
  });

  it('expires a node three periods after its last sign of life and not before', () => {
    const registry = registryWith(EXACT);
    const { sessionId } = registry.open('node', 0);
    registry.beat('node', sessionId, 4_000);
    expect(registry.takeExpired(18_999)).toEqual([]);
    expect(registry.takeExpired(19_000)).toEqual([{ nodeId: 'node', unknown: false }]);
    expect(() => registry.session('node', sessionId)).toThrow('node not registered');
    expect(registry.takeExpired(DAY_MS)).toEqual([]);
  });

  it('gives nodes of unknown state six periods', () => {
    const registry = registryWith(EXACT);
    registry.addUnknown('node', 0);
    expect(registry.takeExpired(29_999)).toEqual([]);
    expect(registry.takeExpired(30_000)).toEqual([{ nodeId: 'node', unknown: true }]);
  });

  it('refuses the fourth registration in a row with less than 8 s between them', () => {
    const registry = registryWith();
    for (const nowMs of [0, 7_000, 14_000]) expect(registry.admit('node', nowMs)).toBeUndefined();
    expect(registry.admit('node', 21_000)?.message).toBe('node node exceeded rate limit count of registrations');
    expect(registry.admit('other', 21_000)).toBeUndefined();
  });

  it('admits again after 8 s without a registration', () => {
    const registry = registryWith();
    for (const nowMs of [0, 1, 2]) expect(registry.admit('node', nowMs)).toBeUndefined();
    expect(registry.admit('node', 8_001)).toBeDefined();
    expect(registry.admit('node', 8_002)).toBeUndefined();
  });

  it('expects a node from the moment it is admitted, so that one that vanishes at once is found', () => {
    const registry = registryWith(EXACT);
    registry.admit('node', 0);
    expect(registry.takeExpired(15_000)).toEqual([{ nodeId: 'node', unknown: false }]);
  });

  it('tells unknown nodes from wrong sessions', () => {
    const registry = registryWith();
    expect(() => registry.session('node', 'x')).toThrow('node not registered');
    const { sessionId } = registry.open('node', 0);
    expect(() => registry.session('node', 'x')).toThrow('session invalid');
    expect(() => registry.session('node', '')).toThrow('session invalid');
    expect(registry.session('node', sessionId).sessionId).toBe(sessionId);
    registry.addUnknown('silent', 0);
    expect(() => registry.session('silent', '')).toThrow('session invalid');
  });

  it('ends the earlier session of a node that registers again', () => {
    const registry = registryWith();
    const first = registry.open('node', 0);
    using stream = first.open('session', new AbortController().signal);
    const second = registry.open('node', 1);
    expect(stream.signal.aborted).toBe(true);
    expect(String(stream.signal.reason)).toContain('session invalid');
    expect(second.sessionId).not.toBe(first.sessionId);
    expect(() => registry.beat('node', first.sessionId, 2)).toThrow('session invalid');
    expect(() => first.open('assignments', new AbortController().signal)).toThrow('session invalid');
  });

  it('gives up the tasks of a node 24 hours after it went down, unless it came back', () => {
    const registry = registryWith(EXACT);
    registry.open('gone', 0);
    registry.addDown('back', 0);
    expect(registry.takeExpired(15_000)).toHaveLength(1);
    registry.open('back', 16_000);
    expect(registry.takeOrphaned(15_000 + DAY_MS - 1)).toEqual([]);
    expect(registry.takeOrphaned(15_000 + DAY_MS)).toEqual(['gone']);
  });

  it('wakes for whatever comes first', () => {
    const registry = registryWith(EXACT);
    expect(registry.wakeAtMs).toBeUndefined();
    registry.addDown('down', 0);
    expect(registry.wakeAtMs).toBe(DAY_MS);
    registry.open('node', 0);
    expect(registry.wakeAtMs).toBe(15_000);
    registry.remove('node');
    registry.remove('down');
    expect(registry.wakeAtMs).toBeUndefined();
  });

  it('keeps one stream of a kind: the newer one takes the place of the older', () => {
    const session = registryWith().open('node', 0);
    const never = new AbortController().signal;
    const older = session.open('assignments', never);
    using other = session.open('session', never);
    using newer = session.open('assignments', never);
    expect(older.signal.aborted).toBe(true);
    older[Symbol.dispose]();
    expect([other.signal.aborted, newer.signal.aborted]).toEqual([false, false]);
    session.notify('assignments');
  });

  it('checks its options', () => {
    expect(() => dispatcherSettings({ nodeId: '' })).toThrow('nodeId must not be empty');
    expect(() => dispatcherSettings({ nodeId: 'm', heartbeatPeriodMs: 0 })).toThrow('heartbeatPeriodMs');
    expect(() => dispatcherSettings({ nodeId: 'm', graceMultiplier: Number.NaN })).toThrow('graceMultiplier');
    expect(dispatcherSettings({ nodeId: 'm' })).toMatchObject({ heartbeatPeriodMs: 5000, graceMultiplier: 3 });
  });
});
