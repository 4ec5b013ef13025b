import { describe, expect, it } from 'vitest';

import { SimClock } from '../../sim/index.js';
import { Slices } from './slices.js';

const NEVER = new AbortController().signal;

describe('Slices', () => {
  it('are over once their time is used up, looked at every 64 steps', async () => {
    const clock = new SimClock();
    const slices = new Slices(clock, 5);
    await clock.advance(5);
    const over = Array.from({ length: 128 }, () => slices.isOver());
    expect(over.flatMap((isOver, at) => (isOver ? [at] : []))).toEqual([63, 127]);
    await slices.next(NEVER);
    expect(slices.isOver(64)).toBe(false);
    await clock.advance(4);
    expect(slices.isOver(1000)).toBe(false);
    await clock.advance(1);
    expect(slices.isOver(64)).toBe(true);
  });

  it('stop with the signal', async () => {
    const slices = new Slices(new SimClock(), 5);
    await expect(slices.next(AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  });
});
