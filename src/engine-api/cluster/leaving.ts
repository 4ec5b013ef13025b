import { RaftMemberStatus_Reachability, type Control, type Node, type RpcClient } from '../../api/index.js';
import type { Logger } from '../../base/index.js';
import { quorumLossText, TEXTS } from './texts.js';

/** How long the cluster is asked about its managers before one leaves. Source: Docker. */
const LEAVE_QUERY_TIMEOUT_MS = 5_000;

/** What a manager is told that leaves without force (engine-api E-352). @param control undefined when it does not answer. */
export async function leaveRefusal(
  manager: { readonly control: RpcClient<typeof Control>; readonly nodeId: string } | undefined,
  deps: { readonly log: Logger },
): Promise<string> {
  if (manager === undefined) return `${TEXTS.managerLeave}${TEXTS.mayLoseConsensus}${TEXTS.restoreHint}`;
  const options = { signal: new AbortController().signal, timeoutMs: LEAVE_QUERY_TIMEOUT_MS };
  try {
    const { nodes } = await manager.control.listNodes({}, options);
    return `${TEXTS.managerLeave}${consequence(nodes, manager.nodeId)}`;
  } catch (error) {
    // A cluster that does not answer cannot be asked what leaving does to it.
    deps.log.warn({ err: error }, 'cannot tell whether leaving costs the quorum');
    return `${TEXTS.managerLeave}${TEXTS.restoreHint}`;
  }
}

function consequence(nodes: readonly Node[], nodeId: string): string {
  const inState = (state: RaftMemberStatus_Reachability): readonly string[] =>
    nodes.filter(({ managerStatus }) => managerStatus?.reachability === state).map(({ id }) => id);
  const reachableIds = inState(RaftMemberStatus_Reachability.REACHABLE);
  const reachable = reachableIds.length;
  const unreachable = inState(RaftMemberStatus_Reachability.UNREACHABLE).length;
  if (!reachableIds.includes(nodeId) || reachable - 2 > unreachable) return TEXTS.restoreHint;
  if (reachable === 1 && unreachable === 0) return TEXTS.lastManager;
  return `${quorumLossText(reachable - 1, reachable + unreachable)}${TEXTS.restoreHint}`;
}
