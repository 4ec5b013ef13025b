import { create } from '@bufbuild/protobuf';

import { EncryptionKeySchema, EncryptionKey_Algorithm, type Cluster, type EncryptionKey } from '../../api/index.js';
import type { Random } from '../../base/index.js';

/** Who uses the keys on the nodes: the gossip between engines, and the encryption of overlay networks. */
export const KEY_SUBSYSTEMS = ['networking:gossip', 'networking:ipsec'] as const;

/** Keys per subsystem: the previous, the present and the next. With any other number engines do not start their network. */
export const KEYS_PER_SUBSYSTEM = 3;

/** Length of a key: AES-128. */
const KEY_BYTES = 16;

/** The clock starts below this, so that clusters made anew do not repeat the times of their predecessor. */
const CLOCK_START_LIMIT = 2 ** 16;

/** The part of the cluster object that holds the keys. */
export type KeyRing = Pick<Cluster, 'networkBootstrapKeys' | 'encryptionKeyLamportClock'>;

/** Fills up or cuts each subsystem to exactly three keys; the same ring where nothing is amiss. */
export function completeKeys(ring: KeyRing, random: Random): KeyRing {
  const amiss = KEY_SUBSYSTEMS.some((subsystem) => {
    const keys = keysOf(ring, subsystem);
    return keys.length !== KEYS_PER_SUBSYSTEM || new Set(keys.map((key) => key.lamportTime)).size !== keys.length;
  });
  return amiss ? renew(ring, 0, random) : ring;
}

/** Drops the oldest key of each subsystem and adds a new one. */
export function rotateKeys(ring: KeyRing, random: Random): KeyRing {
  return renew(ring, 1, random);
}

function renew(ring: KeyRing, newKeysMin: number, random: Random): KeyRing {
  const isOurs = (key: EncryptionKey): boolean => KEY_SUBSYSTEMS.some((subsystem) => subsystem === key.subsystem);
  const networkBootstrapKeys = ring.networkBootstrapKeys.filter((key) => !isOurs(key));
  let clock = clockOf(ring, random);
  for (const subsystem of KEY_SUBSYSTEMS) {
    const usable = distinct(keysOf(ring, subsystem).filter((key) => key.key.length === KEY_BYTES));
    const kept = usable.slice(-(KEYS_PER_SUBSYSTEM - newKeysMin));
    networkBootstrapKeys.push(...kept);
    for (let missing = KEYS_PER_SUBSYSTEM - kept.length; missing > 0; missing--) {
      networkBootstrapKeys.push(newKey(subsystem, ++clock, random));
    }
  }
  return { networkBootstrapKeys, encryptionKeyLamportClock: clock };
}

/** The keys of a subsystem, oldest first. */
function keysOf(ring: KeyRing, subsystem: string): EncryptionKey[] {
  return ring.networkBootstrapKeys
    .filter((key) => key.subsystem === subsystem)
    .sort((left, right) => Number(left.lamportTime - right.lamportTime));
}

function distinct(keys: readonly EncryptionKey[]): EncryptionKey[] {
  return [...new Map(keys.map((key) => [key.lamportTime, key])).values()];
}

/** The clock never goes behind a key that was given out, whatever is stored. */
function clockOf(ring: KeyRing, random: Random): bigint {
  const latest = ring.networkBootstrapKeys.reduce(
    (max, { lamportTime }) => (lamportTime > max ? lamportTime : max),
    ring.encryptionKeyLamportClock,
  );
  return latest > 0n ? latest : BigInt(Math.floor(random.float() * CLOCK_START_LIMIT));
}

function newKey(subsystem: string, lamportTime: bigint, random: Random): EncryptionKey {
  return create(EncryptionKeySchema, {
    subsystem,
    algorithm: EncryptionKey_Algorithm.AES_128_GCM,
    key: random.bytes(KEY_BYTES),
    lamportTime,
  });
}
