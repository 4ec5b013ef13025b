import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { PeerSchema, WeightedPeerSchema, type Peer } from '../api/index.js';
import { Code } from '../base/index.js';
import { SeededRandom } from '../sim/index.js';
import { Remotes } from './remotes.js';

const peer = (name: string): Peer => create(PeerSchema, { nodeId: name, addr: `${name}:2377` });
const [A, B, C] = [peer('a'), peer('b'), peer('c')];

function weightsOf(remotes: Remotes): Record<string, number> {
  return Object.fromEntries(remotes.weights().map((w) => [w.peer?.nodeId ?? '', Number(w.weight)]));
}

function picks(remotes: Remotes, count: number, ...excluded: string[]): Record<string, number> {
  const random = new SeededRandom(7);
  const counts: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const { nodeId } = remotes.select(random, ...excluded);
    counts[nodeId] = (counts[nodeId] ?? 0) + 1;
  }
  return counts;
}

describe('remotes', () => {
  it('begin with half an observation', () => {
    expect(weightsOf(new Remotes([A, B]))).toEqual({ a: 5, b: 5 });
  });

  it('move halfway to each observation, rounded up', () => {
    const remotes = new Remotes([A]);
    const seen = [10, 10, 10, -10, -10, -10].map((weight) => {
      remotes.observe(A, weight);
      return weightsOf(remotes)['a'];
    });
    expect(seen).toEqual([8, 9, 10, 0, -5, -7]);
  });

  it.each([
    [1e9, 256],
    [-1e9, -256],
    [Number.NaN, 0],
    [Number.POSITIVE_INFINITY, 256],
  ])('keep within bounds under observations of %d', (weight, expected) => {
    const remotes = new Remotes();
    for (let i = 0; i < 40; i++) remotes.observe(A, weight);
    // Rounding up leaves negative weights just above their bound.
    expect(Math.abs((weightsOf(remotes)['a'] ?? 0) - expected)).toBeLessThanOrEqual(1);
  });

  it('are chosen in proportion to their weights', () => {
    const remotes = new Remotes();
    remotes.observe(A, 40);
    remotes.observe(B, 20);
    const counts = picks(remotes, 6000);
    expect((counts['a'] ?? 0) / (counts['b'] ?? 1)).toBeCloseTo(2, 0);
  });

  it('are hardly ever chosen without weight, but all alike when none has any', () => {
    const remotes = new Remotes([A]);
    remotes.observe(B, -100);
    expect(picks(remotes, 1000)['b'] ?? 0).toBeLessThan(5);
    const bad = new Remotes();
    for (const p of [A, B, C]) bad.observe(p, -50);
    for (const count of Object.values(picks(bad, 3000))) expect(count).toBeGreaterThan(850);
  });

  it('leave out who is excluded by id or address, and say when nobody is left', () => {
    const remotes = new Remotes([A, B, C]);
    expect(Object.keys(picks(remotes, 50, 'a', 'b:2377'))).toEqual(['c']);
    expect(() => remotes.select(new SeededRandom(1), 'a', 'b', 'c')).toThrow(
      expect.objectContaining({ code: Code.UNAVAILABLE }),
    );
    expect(() => new Remotes().select(new SeededRandom(1))).toThrow('no manager is known');
  });

  it('count an observation of a stranger only where it may add one', () => {
    const remotes = new Remotes([A]);
    remotes.observeIfExists(B, 10);
    remotes.observeIfExists(A, -10);
    expect(weightsOf(remotes)).toEqual({ a: -2 });
    remotes.remove(A, B);
    expect(weightsOf(remotes)).toEqual({});
  });

  it('follow the list that a manager sends, and forget who is not on it', () => {
    const remotes = new Remotes([A, B]);
    const weighted = (p: Peer) => create(WeightedPeerSchema, { peer: p, weight: 10n });
    const nameless = create(WeightedPeerSchema, { peer: { nodeId: 'x' }, weight: 10n });
    remotes.replace([weighted(B), weighted(C), nameless, create(WeightedPeerSchema)]);
    expect(weightsOf(remotes)).toEqual({ b: 8, c: 5 });
  });
});
