import { NodeRole, type PeerRole } from '../api/index.js';
import { Code, SwarmError } from '../base/index.js';

/** Organizational unit of a manager's certificate, and the TLS name under which managers are called. */
export const MANAGER_ROLE = 'swarm-manager' satisfies PeerRole;

/** Organizational unit of a worker's certificate. */
const WORKER_ROLE = 'swarm-worker' satisfies PeerRole;

/** Common name of roots; also a TLS name of every manager, used where a certificate is asked for. */
export const CA_ROLE = 'swarm-ca';

/** The name of a role in certificates. InvalidArgument for a number that is no role. */
export function roleName(role: NodeRole): PeerRole {
  switch (role) {
    case NodeRole.MANAGER:
      return MANAGER_ROLE;
    case NodeRole.WORKER:
      return WORKER_ROLE;
    default:
      throw new SwarmError(Code.INVALID_ARGUMENT, `failed to parse api role: ${String(role)}`);
  }
}

/** The role of a name in certificates; undefined when it is none. Case does not matter, as in SwarmKit. */
export function parseRoleName(name: string): PeerRole | undefined {
  const lower = name.toLowerCase();
  return lower === MANAGER_ROLE || lower === WORKER_ROLE ? lower : undefined;
}

/** The role number of a name in certificates. */
export function nodeRole(role: PeerRole): NodeRole {
  return role === MANAGER_ROLE ? NodeRole.MANAGER : NodeRole.WORKER;
}
