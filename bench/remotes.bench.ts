import { create } from '@bufbuild/protobuf';

import { Remotes } from '../src/agent/index.js';
import { PeerSchema } from '../src/api/index.js';
import { SeededRandom } from '../src/sim/index.js';
import type { Row } from './row.js';

/** Numbers of peers. Source: SwarmKit's RemotesSelect and RemotesObserve. */
const PEERS = [3, 5, 9, 27];
const CALLS = 500_000;

/** Choosing a manager, and recording an experience with one. */
export function run(): Promise<Row[]> {
  return Promise.resolve(PEERS.flatMap(measure));
}

function measure(count: number): Row[] {
  const peers = Array.from({ length: count }, (_, i) => create(PeerSchema, { nodeId: `n${i}`, addr: `n${i}:2377` }));
  const random = new SeededRandom(1);
  const remotes = new Remotes(peers);
  const select = timed(() => remotes.select(random));
  const observe = timed((at) => {
    const peer = peers[at % count];
    if (peer !== undefined) remotes.observe(peer, at % 7);
  });
  return [
    { name: `remotes select, ${count} peers`, value: select, unit: 'ns' },
    { name: `remotes observe, ${count} peers`, value: observe, unit: 'ns' },
  ];
}

function timed(call: (at: number) => void): number {
  for (let at = 0; at < CALLS / 10; at++) call(at);
  const start = performance.now();
  for (let at = 0; at < CALLS; at++) call(at);
  return ((performance.now() - start) / CALLS) * 1e6;
}
