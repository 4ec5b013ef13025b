import { expect, it } from 'vitest';

import { SimClock } from '../../sim/index.js';
import { LogThrottle } from './log-throttle.js';

const NEVER = new AbortController().signal;

it('a throttled reader waits for the next second once it has had its share', async () => {
  const clock = new SimClock();
  const throttle = new LogThrottle(clock, 100);
  await throttle.passed(60, NEVER);
  let passed = false;
  const waiting = throttle.passed(60, NEVER).then(() => (passed = true));
  await clock.advance(900);
  expect(passed).toBe(false);
  await clock.advance(200);
  await waiting;
  await throttle.passed(99, NEVER);
});
