import type { RootCA } from '../api/index.js';
import { NodeSpec_Availability } from '../api/index.js';
import { Code, SwarmError, type Clock, type Disk, type Logger, type Random } from '../base/index.js';
import {
  CertificateClient,
  createCluster,
  loadSecurity,
  type CaConnector,
  type KeyFiles,
  type SecurityConfig,
  type WebCrypto,
} from '../ca/index.js';
import type { NodeOptions } from './options.js';

/** Who this node is, and whether it has just made up a cluster. */
export interface Identity {
  readonly security: SecurityConfig;
  /** Present when this node begins a new cluster: the root with its key, which is nowhere else yet. */
  readonly newRootCa: RootCA | undefined;
}

/** What finding out who one is needs. */
export interface IdentityDeps {
  readonly keyFiles: KeyFiles;
  readonly disk: Disk;
  readonly crypto: WebCrypto;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly connector: CaConnector;
}

/**
 * Loads the node's identity; where there is none, joins by the token or, without an address to join, begins
 * a new cluster.
 */
export async function obtainIdentity(options: NodeOptions, deps: IdentityDeps, signal: AbortSignal): Promise<Identity> {
  const nowMs = deps.clock.nowMs();
  const loaded = await loadSecurity(deps.keyFiles, deps, { nowMs, allowExpired: options.forceNewCluster === true });
  if (loaded.kind === 'loaded') return { security: loaded.security, newRootCa: undefined };
  if (options.joinAddr === undefined) {
    if (options.joinToken !== undefined) {
      throw new SwarmError(
        Code.INVALID_ARGUMENT,
        'joinToken: a token is of use only with joinAddr, the address of a manager',
      );
    }
    const { security, rootCa } = await createCluster({ nowMs, fips: false }, deps);
    deps.log.info({ 'node.id': security.peer.nodeId, 'cluster.id': security.peer.clusterId }, 'began a new cluster');
    return { security, newRootCa: rootCa };
  }
  const client = new CertificateClient({ fips: false }, deps);
  const known = loaded.kind === 'no-certificate' ? loaded.root : undefined;
  const request = {
    token: options.joinToken ?? '',
    availability: options.availability ?? NodeSpec_Availability.ACTIVE,
  };
  return { security: await client.join(request, known, signal), newRootCa: undefined };
}
