import type { ClusterSpec } from '../../api/index.js';
import { invalidArgument } from './errors.js';
import { validDurationNs, validateNotNegative } from './validate-duration.js';

/** Name of the one cluster object. Source: SwarmKit. */
export const CLUSTER_NAME = 'default';

/** Shortest validity of a node certificate: 1 h. Source: SwarmKit. */
const CERTIFICATE_EXPIRY_MIN_NS = 3_600_000_000_000n;

/** Refuses cluster settings that break a rule, CA rotation aside. */
export function validateClusterSpec(spec: ClusterSpec | undefined): asserts spec is ClusterSpec {
  if (spec === undefined) throw invalidArgument();
  const expiry = spec.caConfig?.nodeCertExpiry;
  if (expiry !== undefined && validDurationNs('ca_config.node_cert_expiry', expiry) < CERTIFICATE_EXPIRY_MIN_NS) {
    throw invalidArgument('minimum certificate expiry time is: 1h0m0s');
  }
  for (const { secret } of spec.acceptancePolicy?.policies ?? []) {
    if (secret !== undefined && secret.alg.toLowerCase() !== 'bcrypt') {
      throw invalidArgument(`hashing algorithm is not supported: ${secret.alg}`);
    }
  }
  validateNotNegative(
    'dispatcher.heartbeat_period',
    spec.dispatcher?.heartbeatPeriod,
    'heartbeat time period cannot be a negative duration',
  );
  if (spec.annotations?.name !== CLUSTER_NAME) throw invalidArgument('modification of cluster name is not allowed');
}
