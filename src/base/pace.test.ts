import { expect, it } from 'vitest';

import type { Clock } from './clock.js';
import { Pace } from './pace.js';

function clockAt(time: { ms: number }): Clock {
  return {
    nowMs: () => time.ms,
    monotonicMs: () => time.ms,
    setTimer: (_delayMs, callback) => {
      queueMicrotask(callback);
      return { cancel: () => undefined };
    },
  };
}

it('asks for a rest once a stretch of time is over, and not again right after it', async () => {
  const time = { ms: 0 };
  const pace = new Pace(clockAt(time), new AbortController().signal);
  const steps = (): boolean[] => Array.from({ length: 100 }, () => pace.isDue());
  expect(steps()).not.toContain(true);
  time.ms = 10;
  expect(steps()).toContain(true);
  await pace.rest();
  expect(steps()).not.toContain(true);
});

it('does not rest when stopped', async () => {
  const stopped = AbortSignal.abort(new Error('over'));
  await expect(new Pace(clockAt({ ms: 0 }), stopped).rest()).rejects.toThrow('over');
});
