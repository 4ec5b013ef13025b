import type { CallContext, PeerIdentity, PeerRole } from './rpc.js';

/** Metadata by which a manager passes on whose call it forwards. Source: SwarmKit. */
const FORWARDED = 'forwarded_cert';
const NODE_ID = 'forwarded_cert_cn';
const ROLE = 'forwarded_cert_ou';
const CLUSTER_ID = 'forwarded_cert_org';
const REMOTE_ADDR = 'remote_addr';

const PEER_ROLES: readonly PeerRole[] = ['swarm-manager', 'swarm-worker'];

/** Whose call a manager says it forwards. */
export interface ForwardedCall {
  /** Undefined where the original caller had no certificate. */
  readonly peer: Omit<PeerIdentity, 'forwardedBy'> | undefined;
  /** Address of the original caller; undefined where it was not passed on. */
  readonly remoteAddr: string | undefined;
}

/** The role among the organizational units of a certificate. */
export function roleOf(organizationalUnits: readonly string[]): PeerRole | undefined {
  return PEER_ROLES.find((role) => organizationalUnits.includes(role));
}

/** What the metadata says of forwarding; undefined for a call that is not forwarded. Proves nothing by itself. */
export function readForwardedCall(headers: ReadonlyMap<string, string>): ForwardedCall | undefined {
  if (headers.get(FORWARDED) !== 'true') return undefined;
  const nodeId = headers.get(NODE_ID) ?? '';
  const clusterId = headers.get(CLUSTER_ID) ?? '';
  // A certificate may have several units: they come as several values, joined by HTTP.
  const role = roleOf((headers.get(ROLE) ?? '').split(/, */));
  return {
    peer: nodeId === '' || clusterId === '' || role === undefined ? undefined : { nodeId, role, clusterId },
    remoteAddr: headers.get(REMOTE_ADDR),
  };
}

/** The metadata with which a manager forwards a call that it received: the original's, and who called. */
export function forwardedHeaders(context: CallContext): ReadonlyMap<string, string> {
  const { peer } = context;
  return new Map([
    ...context.headers,
    [FORWARDED, 'true'],
    // Blank values matter: without them it would look as if this manager called for itself.
    [NODE_ID, peer?.nodeId ?? ''],
    [ROLE, peer?.role ?? ''],
    [CLUSTER_ID, peer?.clusterId ?? ''],
    [REMOTE_ADDR, context.remoteAddr],
  ]);
}
