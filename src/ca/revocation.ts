import { create } from '@bufbuild/protobuf';

import {
  BlacklistedCertificateSchema,
  msFromTimestamp,
  timestampFromMs,
  type AuthorizationView,
  type Cluster,
  type Node,
} from '../api/index.js';
import { isSwarmError } from '../base/index.js';
import type { Store } from '../store/index.js';
import { parseCertificates } from './certificate.js';

/** How long a removed node stays on the list after its certificate ended. Source: SwarmKit. */
const GRACE_MS = 7 * 24 * 3_600_000;

type Revocations = Cluster['blacklistedCertificates'];

/** Whether the node was removed, so that its certificate counts no more. */
export function isRevoked(cluster: Cluster | undefined, nodeId: string): boolean {
  return cluster !== undefined && Object.hasOwn(cluster.blacklistedCertificates, nodeId);
}

/** What servers judge callers by, always from the committed state. */
export function authorizationView(store: Store, clusterId: string): AuthorizationView {
  return {
    clusterId,
    isRevoked: (nodeId) =>
      isRevoked(
        store.view((tx) => tx.get('cluster', clusterId)),
        nodeId,
      ),
  };
}

/** The list with a node that is being removed; without an end when its certificate is not known. */
export function withRevoked(cluster: Cluster, node: Node): Revocations {
  const endMs = certificateEndMs(node);
  const entry = create(BlacklistedCertificateSchema, endMs === undefined ? {} : { expiry: timestampFromMs(endMs) });
  return { ...cluster.blacklistedCertificates, [node.id]: entry };
}

/** The list without those whose certificates ended more than 7 days ago; the same object when nothing is due. */
export function withoutExpired(cluster: Cluster, nowMs: number): Revocations {
  const all = Object.entries(cluster.blacklistedCertificates);
  const kept = all.filter(([, { expiry }]) => expiry === undefined || msFromTimestamp(expiry) >= nowMs - GRACE_MS);
  return kept.length === all.length ? cluster.blacklistedCertificates : Object.fromEntries(kept);
}

function certificateEndMs(node: Node): number | undefined {
  const pem = node.certificate?.certificate;
  if (pem === undefined || pem.length === 0) return undefined;
  try {
    return parseCertificates(pem, 'the node certificate')[0].notAfterMs;
  } catch (error) {
    if (!isSwarmError(error)) throw error;
    return undefined;
  }
}
