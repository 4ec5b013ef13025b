import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../invariant-error.js';
import { Inflights } from './inflights.js';

const NO_LIMIT = Number.POSITIVE_INFINITY;

describe('messages in flight', () => {
  it('are full at their number', () => {
    const inflights = new Inflights(2, NO_LIMIT);
    inflights.add(1n, 10);
    expect(inflights.isFull).toBe(false);
    inflights.add(2n, 10);
    expect(inflights.isFull).toBe(true);
    expect(() => inflights.add(3n, 10)).toThrow(InvariantError);
  });

  it('are full at their bytes, which one message may exceed', () => {
    const inflights = new Inflights(10, 100);
    inflights.add(1n, 99);
    expect(inflights.isFull).toBe(false);
    inflights.add(2n, 1000);
    expect(inflights.isFull).toBe(true);
    inflights.freeUpTo(2n);
    expect(inflights.isFull).toBe(false);
  });

  it('stay when something older is acknowledged', () => {
    const inflights = new Inflights(10, NO_LIMIT);
    inflights.add(5n, 1);
    inflights.freeUpTo(4n);
    expect(inflights.count).toBe(1);
  });

  it('are all gone after a reset', () => {
    const inflights = new Inflights(1, 1);
    inflights.add(5n, 1);
    inflights.reset();
    expect([inflights.count, inflights.isFull]).toEqual([0, false]);
  });

  it('count what a plain list counts, whatever comes', () => {
    const action = fc.record({ add: fc.boolean(), step: fc.bigInt({ min: 0n, max: 4n }), bytes: fc.nat(30) });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        let inflights = new Inflights(6, 60);
        let list: { index: bigint; bytes: number }[] = [];
        let last = 0n;
        let freed = 0n;
        for (const { add, step, bytes } of actions) {
          if (add && !inflights.isFull) {
            last += step;
            inflights.add(last, bytes);
            list.push({ index: last, bytes });
          } else {
            freed += step;
            inflights.freeUpTo(freed);
            list = list.filter(({ index }) => index > freed);
          }
          inflights = inflights.clone();
          const total = list.reduce((sum, one) => sum + one.bytes, 0);
          expect(inflights.count).toBe(list.length);
          expect(inflights.isFull).toBe(list.length === 6 || total >= 60);
        }
      }),
    );
  });
});
