import { describe, expect, it } from 'vitest';

import { runScenario } from './scenario.js';

const TAIL = process.env['SIM_TAIL'];
const FROM = Number(process.env['SIM_SEED'] ?? 1);
const COUNT = process.env['SIM_SEED'] === undefined ? Number(process.env['SIM_SEEDS'] ?? 20) : 1;

describe('a cluster under random operators and faults', () => {
  it.each(Array.from({ length: COUNT }, (_, i) => FROM + i))('keeps all its promises (seed %i)', async (seed) => {
    const t = performance.now();
    const result = await runScenario({ seed, ...(TAIL === undefined ? {} : { tailLines: Number(TAIL) }) });
    if (process.env['SIM_VERBOSE']) console.log(result.trace.join('\n'));
    console.log(seed, Math.round(result.virtualMs), Math.round(performance.now() - t));
    expect(result.trace.length).toBeGreaterThan(0);
  });
});
