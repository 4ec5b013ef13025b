import { getOption, hasOption, type DescMethod } from '@bufbuild/protobuf';

import { Code, SwarmError } from '../base/index.js';
import { authorization, Role } from './gen/swarmkit/options/authorization_pb.js';
import { readForwardedCall } from './forwarding.js';
import type { CallContext, PeerIdentity, PeerRole } from './rpc.js';

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

/** Who called, as far as the connection proves it. */
export interface Caller {
  /** From a client certificate that was verified; undefined without one. */
  readonly peer: PeerIdentity | undefined;
  /** Why the client certificate that was presented does not count. */
  readonly certificateProblem?: string;
  readonly remoteAddr: string;
}

/** For whom a handler runs. */
export type AdmittedCaller = Pick<CallContext, 'peer' | 'remoteAddr'>;

/**
 * Lets a call in or refuses it: the one gate in front of every handler that is reached from other
 * machines. A manager may speak for the caller whose call it forwards; nobody else may.
 */
export function admit(
  method: DescMethod,
  caller: Caller,
  headers: ReadonlyMap<string, string>,
  view: AuthorizationView,
): AdmittedCaller | SwarmError {
  const forwarded = readForwardedCall(headers);
  const callerProblem =
    caller.certificateProblem ??
    (forwarded === undefined ? undefined : identityProblem(caller.peer, ['swarm-manager'], view));
  if (callerProblem !== undefined) {
    if (!isInsecure(method)) {
      return denied(method, forwarded === undefined ? callerProblem : `forwarding is refused: ${callerProblem}`);
    }
    return admitAs(method, caller.peer, caller.remoteAddr, view);
  }
  if (forwarded === undefined || caller.peer === undefined) {
    return admitAs(method, caller.peer, caller.remoteAddr, view);
  }
  const peer = forwarded.peer && { ...forwarded.peer, forwardedBy: caller.peer.nodeId };
  return admitAs(method, peer, forwarded.remoteAddr ?? caller.remoteAddr, view);
}

function admitAs(
  method: DescMethod,
  peer: PeerIdentity | undefined,
  remoteAddr: string,
  view: AuthorizationView,
): AdmittedCaller | SwarmError {
  const refused = refusal(method, peer, view);
  if (refused !== undefined) return refused;
  // Insecure methods are open to all, but an identity that counts nowhere else does not count there either.
  const counts = identityProblem(peer, ['swarm-manager', 'swarm-worker'], view) === undefined;
  return { peer: counts ? peer : undefined, remoteAddr };
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
  const rule = ruleOf(method);
  if (rule === undefined) return denied(method, 'the method declares no authorization');
  if (rule.insecure) return undefined;
  const problem = identityProblem(peer, rule.roles, view);
  return problem === undefined ? undefined : denied(method, problem);
}

interface Rule {
  readonly insecure: boolean;
  readonly roles: readonly PeerRole[];
}

/** Rules by method: reading an option decodes it anew each time, which every call would pay. */
const RULES = new WeakMap<DescMethod, Rule>();

function ruleOf(method: DescMethod): Rule | undefined {
  const known = RULES.get(method);
  if (known !== undefined || !hasOption(method, authorization)) return known;
  const { insecure, roles } = getOption(method, authorization);
  const rule = { insecure, roles: roles.map((role) => ROLE_NAMES[role]).filter((name) => name !== undefined) };
  RULES.set(method, rule);
  return rule;
}

function isInsecure(method: DescMethod): boolean {
  return ruleOf(method)?.insecure === true;
}

function identityProblem(
  peer: PeerIdentity | undefined,
  roles: readonly PeerRole[],
  view: AuthorizationView,
): string | undefined {
  if (peer === undefined) return 'no client certificate was presented';
  if (peer.clusterId !== view.clusterId) {
    return `the certificate belongs to cluster ${JSON.stringify(peer.clusterId)}, not to this one`;
  }
  if (view.isRevoked(peer.nodeId)) return `node ${peer.nodeId} was removed from the cluster`;
  return roles.includes(peer.role) ? undefined : `the role ${peer.role} may not call it`;
}

function denied(method: DescMethod, reason: string): SwarmError {
  return new SwarmError(
    Code.PERMISSION_DENIED,
    `permission denied for ${method.parent.typeName}.${method.name}: ${reason}`,
  );
}
