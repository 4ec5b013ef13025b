import { equals } from '@bufbuild/protobuf';

import {
  EncryptionKeySchema,
  WeightedPeerSchema,
  type Cluster,
  type EncryptionKey,
  type WeightedPeer,
} from '../../api/index.js';

/** The managers of the cluster as agents are to know them. */
export interface ManagersSource {
  /** All managers with their weights. */
  current(): readonly WeightedPeer[];
  /** Calls back after every change until disposed. */
  subscribe(listener: () => void): Disposable;
}

/** What every session message carries, the same for every node. */
export interface SessionFacts {
  readonly managers: readonly WeightedPeer[];
  readonly networkBootstrapKeys: readonly EncryptionKey[];
  readonly rootCa: Uint8Array;
}

/**
 * The facts after a change; the old object when nothing changed that agents are told. A list without
 * managers is never taken over: an agent forgets every manager that a message does not name.
 */
export function nextFacts(old: SessionFacts, next: SessionFacts): SessionFacts {
  const managers = next.managers.length === 0 ? old.managers : next.managers;
  const same =
    sameList(old.managers, managers, (left, right) => equals(WeightedPeerSchema, left, right)) &&
    sameList(old.networkBootstrapKeys, next.networkBootstrapKeys, (left, right) =>
      equals(EncryptionKeySchema, left, right),
    ) &&
    sameBytes(old.rootCa, next.rootCa);
  return same ? old : { ...next, managers };
}

/** The facts as they are now. The cluster's root counts; the manager's own only where it names none. */
export function currentFacts(
  cluster: Cluster | undefined,
  managers: readonly WeightedPeer[],
  ownRoot: () => Uint8Array,
): SessionFacts {
  const clusterRoot = cluster?.rootCa?.caCert;
  return {
    managers,
    networkBootstrapKeys: cluster?.networkBootstrapKeys ?? [],
    rootCa: clusterRoot !== undefined && clusterRoot.length > 0 ? clusterRoot : ownRoot(),
  };
}

function sameList<T>(left: readonly T[], right: readonly T[], same: (left: T, right: T) => boolean): boolean {
  if (left === right) return true;
  return left.length === right.length && left.every((item, at) => same(item, right[at] as T));
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
