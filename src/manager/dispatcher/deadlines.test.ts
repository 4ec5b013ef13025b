import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Deadlines } from './deadlines.js';

describe('Deadlines', () => {
  it('has nothing to wake for while it is empty', () => {
    const deadlines = new Deadlines();
    expect(deadlines.wakeAtMs).toBeUndefined();
    expect(deadlines.takeDue(1e12)).toEqual([]);
    deadlines.set('a', 5);
    expect(deadlines.delete('a')).toBe(true);
    expect(deadlines.delete('a')).toBe(false);
    expect(deadlines.wakeAtMs).toBeUndefined();
  });

  it('takes each id out once, at its deadline and not before', () => {
    const deadlines = new Deadlines();
    deadlines.set('a', 10);
    deadlines.set('b', 20);
    expect(deadlines.takeDue(9)).toEqual([]);
    expect(deadlines.takeDue(10)).toEqual(['a']);
    expect(deadlines.takeDue(19)).toEqual([]);
    expect(deadlines.wakeAtMs).toBe(20);
    expect(deadlines.takeDue(1000)).toEqual(['b']);
    expect(deadlines.size).toBe(0);
  });

  it('forgets a deadline that was pushed back', () => {
    const deadlines = new Deadlines();
    deadlines.set('a', 10);
    deadlines.set('a', 30);
    expect(deadlines.takeDue(10)).toEqual([]);
    expect(deadlines.wakeAtMs).toBe(30);
    expect(deadlines.has('a')).toBe(true);
  });

  it('never sleeps past a deadline and finds exactly what a plain search finds', () => {
    const step = fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd'), inMs: fc.nat(50), passMs: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const deadlines = new Deadlines();
        const plain = new Map<string, number>();
        let nowMs = 0;
        for (const { id, inMs, passMs } of steps) {
          deadlines.set(id, nowMs + inMs);
          plain.set(id, nowMs + inMs);
          expect(deadlines.wakeAtMs).toBeLessThanOrEqual(Math.min(...plain.values()));
          nowMs += passMs;
          const due = [...plain].filter(([, atMs]) => atMs <= nowMs).map(([due]) => due);
          expect([...deadlines.takeDue(nowMs)].sort()).toEqual(due.sort());
          for (const each of due) plain.delete(each);
        }
      }),
    );
  });
});
