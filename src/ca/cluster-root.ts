import { create } from '@bufbuild/protobuf';

import { NodeRole, RootCASchema, type PeerIdentity, type RootCA } from '../api/index.js';
import { Code, newId, SwarmError, type Random } from '../base/index.js';
import { peerIdentityOf, parseCertificates } from './certificate.js';
import { createCsr } from './csr.js';
import { generateJoinToken } from './join-token.js';
import type { Kek, KeyFiles } from './key-files.js';
import { generateKey } from './keys.js';
import { NODE_VALIDITY_DEFAULT_MS, RootCa, type CertificateDeps } from './root-ca.js';
import { MANAGER_ROLE } from './roles.js';
import { checkCredentials, SecurityConfig, type Credentials } from './security-config.js';

/** Begins the id of a cluster that admits only nodes in FIPS mode. */
const FIPS_PREFIX = 'FIPS.';

/** Whether the cluster admits only nodes in FIPS mode, as its id says. */
export function isFipsCluster(clusterId: string): boolean {
  return clusterId.startsWith(FIPS_PREFIX);
}

/** The root of a cluster object, with new join tokens. @param caKeyPem absent where another party signs. */
export function createRootCaMessage(
  root: { readonly bundle: Uint8Array; readonly digest: string },
  caKeyPem: string | undefined,
  options: { readonly random: Random; readonly fips: boolean },
): RootCA {
  return create(RootCASchema, {
    caCert: root.bundle,
    caKey: new TextEncoder().encode(caKeyPem ?? ''),
    caCertHash: `sha256:${root.digest}`,
    joinTokens: {
      worker: generateJoinToken(root.digest, options.random, options),
      manager: generateJoinToken(root.digest, options.random, options),
    },
  });
}

/** The same root with a new join token for one role; nodes that have joined notice nothing. */
export function rotateJoinToken(
  rootCa: RootCA,
  role: NodeRole,
  options: { readonly random: Random; readonly fips: boolean },
): RootCA {
  const tokens = rootCa.joinTokens;
  if (tokens === undefined || rootCa.caCertHash === '') {
    throw new SwarmError(Code.FAILED_PRECONDITION, 'the cluster has no root CA yet');
  }
  const token = generateJoinToken(rootCa.caCertHash, options.random, options);
  return {
    ...rootCa,
    joinTokens: role === NodeRole.MANAGER ? { ...tokens, manager: token } : { ...tokens, worker: token },
  };
}

/** A new cluster as its first manager begins it: nothing is in a store yet. */
export interface NewCluster {
  readonly security: SecurityConfig;
  /** For the cluster object. */
  readonly rootCa: RootCA;
}

/** Makes a new root and this node's manager certificate in a new cluster, and writes both to the files. */
export async function createCluster(
  options: { readonly nowMs: number; readonly fips: boolean; readonly kek?: Kek },
  deps: CertificateDeps & { readonly keyFiles: KeyFiles },
): Promise<NewCluster> {
  const { root, keyPem } = await RootCa.create(deps, options.nowMs);
  const clusterId = (options.fips ? FIPS_PREFIX : '') + newId(deps.random);
  const peer: PeerIdentity = { nodeId: newId(deps.random), role: MANAGER_ROLE, clusterId };
  const credentials = await issueLocally(root, peer, { ...deps, nowMs: options.nowMs });
  await deps.keyFiles.writeRoot(root.bundle);
  await deps.keyFiles.write(credentials.pair.certificatePem, credentials.pair.key, options.kek);
  const rootCa = createRootCaMessage(root, keyPem, { random: deps.random, fips: options.fips });
  return { security: new SecurityConfig(root, credentials), rootCa };
}

/** A new key and a certificate for it, signed by a root whose key is here. */
export async function issueLocally(
  root: RootCa,
  peer: PeerIdentity,
  deps: CertificateDeps & { readonly nowMs: number; readonly validityMs?: number },
): Promise<Credentials> {
  const key = await generateKey(deps.crypto);
  const csr = new TextEncoder().encode(await createCsr(deps.crypto, key));
  const validityMs = deps.validityMs ?? NODE_VALIDITY_DEFAULT_MS;
  const certificatePem = await root.sign({ csr, subject: peer, validityMs, nowMs: deps.nowMs });
  const chain = parseCertificates(certificatePem, 'the node certificate');
  if (peerIdentityOf(chain[0])?.nodeId !== peer.nodeId) {
    throw new SwarmError(Code.INTERNAL, 'the new certificate names another node');
  }
  return checkCredentials(root, { certificatePem, chain, key }, { nowMs: deps.nowMs, allowExpired: false });
}
