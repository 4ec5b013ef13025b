import { describe, expect, it } from 'vitest';

import { runScenario } from './scenario.js';

/** Runs in an ordinary test run, and the one that is replayed. */
const SEEDS = Number(process.env['SIM_SEEDS'] ?? 25);
const REPLAYED = process.env['SIM_SEED'];
const TAIL = process.env['SIM_TAIL'];

const seeds = REPLAYED === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(REPLAYED)];
const options = TAIL === undefined ? {} : { tailLines: Number(TAIL) };

describe('a cluster under a random operator and random faults', () => {
  it.each(seeds)('keeps its promises and settles (seed %i)', async (seed) => {
    const { trace } = await runScenario({ seed, ...options });
    expect(trace.some((line) => line.includes('commit'))).toBe(true);
  });

  it('does the same every time for one seed, and something else for another', async () => {
    const [first, again, other] = [
      await runScenario({ seed: 7001 }),
      await runScenario({ seed: 7001 }),
      await runScenario({ seed: 7002 }),
    ];
    expect(again).toEqual(first);
    expect(other.trace).not.toEqual(first.trace);
  });

  it('settles with twenty workers', async () => {
    const { virtualMs } = await runScenario({ seed: 20_001, workers: 20, happenings: 20, ...options });
    expect(virtualMs).toBeGreaterThan(0);
  });
});
