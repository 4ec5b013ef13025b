import { create } from '@bufbuild/protobuf';

import { ClusterSchema, type Cluster, type ClusterSpec, type RootCA } from '../../api/index.js';

/** Shown where the cluster sets none. Source: SwarmKit. */
const DEFAULT_ADDRESS_POOL: readonly string[] = ['10.0.0.0/8'];
const DEFAULT_SUBNET_SIZE = 24;
const DEFAULT_VXLAN_PORT = 4789;

const EMPTY = new Uint8Array();

/**
 * The cluster as callers may see it: only what is listed here leaves the manager. Keys never do; nor does
 * the signing certificate, because a client that sends it back without its key would ask for a rotation.
 */
export function redactedCluster(cluster: Cluster): Cluster {
  const ownPool = cluster.defaultAddressPool.length > 0;
  return {
    ...create(ClusterSchema),
    id: cluster.id,
    ...(cluster.meta === undefined ? {} : { meta: cluster.meta }),
    ...(cluster.spec === undefined ? {} : { spec: redactedSpec(cluster.spec) }),
    ...(cluster.rootCa === undefined ? {} : { rootCa: redactedRootCa(cluster.rootCa) }),
    blacklistedCertificates: cluster.blacklistedCertificates,
    defaultAddressPool: ownPool ? cluster.defaultAddressPool : [...DEFAULT_ADDRESS_POOL],
    subnetSize: ownPool ? cluster.subnetSize : DEFAULT_SUBNET_SIZE,
    VXLANUDPPort: cluster.VXLANUDPPort === 0 ? DEFAULT_VXLAN_PORT : cluster.VXLANUDPPort,
  };
}

function redactedSpec(spec: ClusterSpec): ClusterSpec {
  if (spec.caConfig === undefined) return spec;
  return { ...spec, caConfig: { ...spec.caConfig, signingCaCert: EMPTY, signingCaKey: EMPTY } };
}

function redactedRootCa(rootCa: RootCA): RootCA {
  const redacted = { ...rootCa, caKey: EMPTY };
  if (rootCa.rootRotation === undefined) return redacted;
  return { ...redacted, rootRotation: { ...rootCa.rootRotation, caKey: EMPTY } };
}
