import type { Peer, WeightedPeer } from '../api/index.js';
import { Code, SwarmError } from '../base/index.js';
import type { Random } from '../base/index.js';

/** Weight of an ordinary good experience; its negative is a bad one. Source: SwarmKit. */
export const OBSERVATION_WEIGHT = 10;

const SMOOTHING_FACTOR = 0.5;
const WEIGHT_MAX = 256;
/** Share that keeps a remote of no weight selectable. Source: SwarmKit. */
const SELECTION_BIAS = 0.001;

interface Remote {
  readonly peer: Peer;
  weight: number;
}

/** The managers that this node knows, weighted by what it experienced with them. */
export class Remotes {
  readonly #remotes = new Map<string, Remote>();

  constructor(peers: readonly Peer[] = []) {
    for (const peer of peers) this.observe(peer, OBSERVATION_WEIGHT);
  }

  /** All remotes with their present weights. */
  weights(): readonly WeightedPeer[] {
    return [...this.#remotes.values()].map(({ peer, weight }) => ({
      $typeName: 'docker.swarmkit.v1.WeightedPeer',
      peer,
      weight: BigInt(weight),
    }));
  }

  /**
   * A remote at random, the likelier the greater its weight; negative weights count as nothing.
   * `excluded` holds node ids and addresses. Unavailable when none is left.
   */
  select(random: Random, ...excluded: readonly string[]): Peer {
    let total = 0;
    let last: Peer | undefined;
    const isExcluded = ({ peer }: Remote): boolean => excluded.includes(peer.nodeId) || excluded.includes(peer.addr);
    for (const remote of this.#remotes.values()) if (!isExcluded(remote)) total += share(remote);
    let rest = random.float() * total;
    for (const remote of this.#remotes.values()) {
      if (isExcluded(remote)) continue;
      last = remote.peer;
      rest -= share(remote);
      if (rest < 0) break;
    }
    if (last === undefined) throw new SwarmError(Code.UNAVAILABLE, 'no manager is known that could be asked');
    return last;
  }

  /** Records an experience, and the peer where it is new: the new weight is halfway between, rounded up. */
  observe(peer: Peer, weight: number): void {
    const key = keyOf(peer);
    const known = this.#remotes.get(key);
    const smoothed = SMOOTHING_FACTOR * clamp(weight) + (1 - SMOOTHING_FACTOR) * (known?.weight ?? 0);
    const next = Math.ceil(clamp(smoothed));
    if (known === undefined) this.#remotes.set(key, { peer, weight: next });
    else known.weight = next;
  }

  /** As {@link observe}, but only for a peer that is known. */
  observeIfExists(peer: Peer, weight: number): void {
    if (this.#remotes.has(keyOf(peer))) this.observe(peer, weight);
  }

  /** Forgets these peers. */
  remove(...peers: readonly Peer[]): void {
    for (const peer of peers) this.#remotes.delete(keyOf(peer));
  }

  /** Takes over the list of a session message: observes those on it, forgets all others. */
  replace(managers: readonly WeightedPeer[]): void {
    const listed = new Set<string>();
    for (const { peer, weight } of managers) {
      if (peer === undefined || peer.addr === '') continue;
      this.observe(peer, Number(weight));
      listed.add(keyOf(peer));
    }
    for (const key of this.#remotes.keys()) if (!listed.has(key)) this.#remotes.delete(key);
  }
}

function share({ weight }: Remote): number {
  return Math.max(weight, 0) + SELECTION_BIAS;
}

function keyOf(peer: Peer): string {
  return `${peer.nodeId} ${peer.addr}`;
}

function clamp(weight: number): number {
  if (Number.isNaN(weight)) return 0;
  return Math.max(Math.min(weight, WEIGHT_MAX), -WEIGHT_MAX);
}
