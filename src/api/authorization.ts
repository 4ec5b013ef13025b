import { getOption, hasOption, type DescMethod } from '@bufbuild/protobuf';

import { Code, SwarmError } from '../base/index.js';
import { authorization, Role } from './gen/swarmkit/options/authorization_pb.js';
import type { PeerIdentity, PeerRole } from './rpc.js';

const ROLE_NAMES: Readonly<Record<Role, PeerRole | undefined>> = {
  [Role.UNSPECIFIED]: undefined,
  [Role.WORKER]: 'swarm-worker',
  [Role.MANAGER]: 'swarm-manager',
};

/** What the server must know to judge a caller. */
export interface AuthorizationView {
  /** The cluster that this manager belongs to. */
  readonly clusterId: string;
  /** Whether the node was removed and its certificate revoked. */
  isRevoked(nodeId: string): boolean;
}

/**
 * Whether the caller may use the method, by the roles that the .proto declares: returns the refusal, or
 * undefined to let it pass. The only place where roles are judged.
 */
export function refusal(
  method: DescMethod,
  peer: PeerIdentity | undefined,
  view: AuthorizationView,
): SwarmError | undefined {
  if (!hasOption(method, authorization)) {
    return denied(method, 'the method declares no authorization');
  }
  const rule = getOption(method, authorization);
  if (rule.insecure) return undefined;
  if (peer === undefined) return denied(method, 'no client certificate was presented');
  if (peer.clusterId !== view.clusterId) {
    return denied(method, `the certificate belongs to cluster ${JSON.stringify(peer.clusterId)}, not to this one`);
  }
  if (view.isRevoked(peer.nodeId)) return denied(method, `node ${peer.nodeId} was removed from the cluster`);
  if (!rule.roles.some((role) => ROLE_NAMES[role] === peer.role)) {
    return denied(method, `the role ${peer.role} may not call it`);
  }
  return undefined;
}

function denied(method: DescMethod, reason: string): SwarmError {
  return new SwarmError(
    Code.PERMISSION_DENIED,
    `permission denied for ${method.parent.typeName}.${method.name}: ${reason}`,
  );
}
