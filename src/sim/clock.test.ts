import { describe, expect, it } from 'vitest';
import { sleep } from '../base/index.js';
import { SimClock } from './index.js';

const NEVER = new AbortController().signal;

describe('SimClock', () => {
  it('runs timers in the order of due time, equal ones in the order of creation, and no later ones', async () => {
    const clock = new SimClock(1000);
    const ran: string[] = [];
    for (const [name, delay] of [
      ['c', 30],
      ['a', 10],
      ['b1', 20],
      ['b2', 20],
      ['late', 31],
    ] as const) {
      clock.setTimer(delay, () => ran.push(`${name}@${clock.nowMs()}`));
    }
    await clock.advance(30);
    expect(ran).toEqual(['a@1010', 'b1@1020', 'b2@1020', 'c@1030']);
    expect(clock.pendingTimers).toBe(1);
    expect(clock.monotonicMs()).toBe(30);
  });

  it('lets long promise chains settle between two timers', async () => {
    const clock = new SimClock();
    const ran: string[] = [];
    clock.setTimer(1, () => {
      void (async () => {
        for (let i = 0; i < 20_000; i++) await Promise.resolve();
        await new Promise<void>((resolve) => process.nextTick(resolve));
        ran.push('chain');
      })();
    });
    clock.setTimer(2, () => ran.push('next timer'));
    await clock.advance(2);
    expect(ran).toEqual(['chain', 'next timer']);
  });

  it('runs timers that timers set, as far as they fall due', async () => {
    const clock = new SimClock();
    let ticks = 0;
    const loop = (async () => {
      for (; ticks < 10; ticks++) await sleep(clock, 7, NEVER);
    })();
    await clock.advance(69);
    expect(ticks).toBe(9);
    await clock.advance(1);
    await loop;
    expect(ticks).toBe(10);
  });

  it('does not run what was cancelled', async () => {
    const clock = new SimClock();
    const ran: number[] = [];
    const first = clock.setTimer(5, () => ran.push(1));
    const zero = clock.setTimer(0, () => ran.push(0));
    clock.setTimer(5, () => ran.push(2));
    first.cancel();
    first.cancel();
    zero.cancel();
    await clock.advance(5);
    expect(ran).toEqual([2]);
  });

  it('runs timers of delay 0 without an advance', async () => {
    const clock = new SimClock();
    for (let i = 0; i < 100; i++) await sleep(clock, 0, NEVER);
    expect(clock.monotonicMs()).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('runs until a condition holds, or says that it never did', async () => {
    const clock = new SimClock();
    let done = false;
    clock.setTimer(500, () => {
      done = true;
    });
    clock.setTimer(600, () => undefined);
    await clock.runUntil(() => done, 1000);
    expect(clock.monotonicMs()).toBe(500);
    await expect(clock.runUntil(() => false, 1000)).rejects.toThrow('did not hold within 1000 ms');
    expect(clock.monotonicMs()).toBe(1500);
  });
});
