import { describe, expect, it } from 'vitest';
import { EventLoopDelay, renderReadings } from './metrics.js';

describe('renderReadings', () => {
  it('writes each name once, then its series', async () => {
    const nodes = { name: 'swarm_manager_nodes', help: 'The number of nodes' };
    const text = await renderReadings([
      { ...nodes, labels: { state: 'ready' }, value: 2 },
      { ...nodes, labels: { state: 'down' }, value: 0 },
      { name: 'swarm_manager_leader', help: 'Leads', labels: {}, value: 1 },
    ]);
    expect(text).toBe(
      [
        '# HELP swarm_manager_nodes The number of nodes',
        '# TYPE swarm_manager_nodes gauge',
        'swarm_manager_nodes{state="ready"} 2',
        'swarm_manager_nodes{state="down"} 0',
        '',
        '# HELP swarm_manager_leader Leads',
        '# TYPE swarm_manager_leader gauge',
        'swarm_manager_leader 1',
        '',
      ].join('\n'),
    );
  });
});

describe('EventLoopDelay', () => {
  it('gives numbers, and starts anew after each look', () => {
    using delay = new EventLoopDelay();
    for (const value of [...Object.values(delay.read()), ...Object.values(delay.read())]) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(Number.isFinite(value)).toBe(true);
    }
  });
});
