import { describe, expect, it } from 'vitest';
import { newId, randomInt } from '../base/index.js';
import { SeededRandom } from './index.js';

describe('SeededRandom', () => {
  it('repeats itself for the same seed and differs for another', () => {
    const ids = (seed: number): string[] => {
      const random = new SeededRandom(seed);
      return Array.from({ length: 5 }, () => newId(random));
    };
    expect(ids(7)).toEqual(ids(7));
    expect(new Set([...ids(7), ...ids(8)]).size).toBe(10);
  });

  it('is xoshiro128**', () => {
    // The authors' reference program, started from this state, prints these.
    const random = new SeededRandom([1, 2, 3, 4]);
    const first = Array.from({ length: 6 }, () => random.uint32());
    expect(first).toEqual([11_520, 0, 5_927_040, 70_819_200, 2_031_721_883, 1_637_235_492]);
  });

  it('spreads floats evenly over [0, 1)', () => {
    const random = new SeededRandom(1);
    const counts = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 100_000; i++) {
      const at = randomInt(random, 10);
      counts[at] = (counts[at] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });

  it('gives as many bytes as asked for', () => {
    for (const count of [0, 1, 3, 4, 5, 17]) expect(new SeededRandom(2).bytes(count)).toHaveLength(count);
  });
});
