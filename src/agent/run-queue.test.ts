import { describe, expect, it } from 'vitest';

import { SimClock } from '../sim/index.js';
import { RetryQueue, RunQueue } from './run-queue.js';

describe('the run queue', () => {
  it('runs steps in order, never inside the call that pushed them', async () => {
    const queue = new RunQueue(new SimClock());
    const ran: number[] = [];
    queue.push(() => {
      ran.push(1);
      queue.push(() => ran.push(3));
    });
    queue.push(() => ran.push(2));
    expect(ran).toEqual([]);
    await Promise.resolve();
    expect(ran).toEqual([1, 2, 3]);
  });

  it('lets the event loop breathe during long work, whichever way it comes', async () => {
    const clock = new SimClock();
    const queue = new RunQueue(clock);
    let ran = 0;
    for (let i = 0; i < 1000; i++) queue.push(() => ran++);
    await clock.settle();
    expect(ran).toBe(200);
    const chain = async (): Promise<void> => {
      for (let i = 0; i < 1000; i++) {
        await Promise.resolve();
        queue.push(() => ran++);
      }
    };
    await chain();
    expect(ran).toBe(200);
    await clock.advance(1);
    expect(ran).toBe(2000);
  });
});

describe('the retry queue', () => {
  it('shares one timer among all that wait', async () => {
    const clock = new SimClock();
    const queue = new RetryQueue(clock, 1000);
    const ran: string[] = [];
    for (let i = 0; i < 10_000; i++) queue.add(() => ran.push(`first@${clock.monotonicMs()}`));
    await clock.advance(400);
    queue.add(() => ran.push(`second@${clock.monotonicMs()}`));
    const takeBack = queue.add(() => ran.push('never'));
    takeBack();
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(2000);
    expect([ran.length, ran[0], ran.at(-1)]).toEqual([10_001, 'first@1000', 'second@1400']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('forgets everything when cleared', async () => {
    const clock = new SimClock();
    const queue = new RetryQueue(clock, 1000);
    let ran = 0;
    queue.add(() => ran++);
    queue.clear();
    expect(clock.pendingTimers).toBe(0);
    queue.add(() => ran++);
    await clock.advance(1000);
    expect(ran).toBe(1);
  });
});
