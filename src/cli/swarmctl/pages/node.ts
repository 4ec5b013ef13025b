import {
  NodeRole,
  NodeSpec_Availability,
  NodeSpec_Membership,
  NodeStatus_State,
  RaftMemberStatus_Reachability,
  type Node,
} from '../../../api/index.js';
import { ago } from '../render/human.js';
import { entry, pairs, section, type PageLine } from '../render/page.js';
import { compareTexts } from './task-order.js';
import { amountLines } from './service.js';

/** The page about a node. */
export function nodePage(node: Node, nowMs: number): readonly PageLine[] {
  const { spec, description, status, managerStatus } = node;
  return [
    ...entry(0, 'ID', node.id),
    ...entry(0, 'Name', spec?.annotations?.name),
    ...entry(0, 'Hostname', description?.hostname),
    ...section(0, 'Node labels', pairs(1, spec?.annotations?.labels ?? {})),
    ...entry(0, 'Role', NodeRole[node.role]?.toLowerCase()),
    ...(node.role === spec?.desiredRole
      ? []
      : entry(0, 'Desired role', NodeRole[spec?.desiredRole ?? 0]?.toLowerCase())),
    ...entry(0, 'Membership', NodeSpec_Membership[spec?.membership ?? 0]),
    ...entry(0, 'Joined', ago(node.meta?.createdAt, nowMs)),
    ...section(0, 'Status', [
      ...entry(1, 'State', NodeStatus_State[status?.state ?? 0]),
      ...entry(1, 'Message', status?.message),
      ...entry(1, 'Availability', NodeSpec_Availability[spec?.availability ?? 0]),
      ...entry(1, 'Address', status?.addr),
    ]),
    ...section(
      0,
      'Manager status',
      managerStatus === undefined
        ? []
        : [
            ...entry(1, 'Address', managerStatus.addr),
            ...entry(1, 'Raft status', RaftMemberStatus_Reachability[managerStatus.reachability]),
            ...entry(1, 'Leader', managerStatus.leader ? 'yes' : 'no'),
          ],
    ),
    ...section(0, 'Platform', [
      ...entry(1, 'Operating system', description?.platform?.os),
      ...entry(1, 'Architecture', description?.platform?.architecture),
    ]),
    ...section(0, 'Resources', amountLines(description?.resources)),
    ...section(0, 'Plugins', pluginLines(node)),
    ...entry(0, 'Engine version', description?.engine?.engineVersion),
    ...section(0, 'Engine labels', pairs(1, description?.engine?.labels ?? {})),
  ];
}

/** `REACHABLE *` for the leader; empty for a worker. */
export function managerStatusText({ managerStatus, spec }: Node): string {
  if (managerStatus === undefined) return spec?.desiredRole === NodeRole.MANAGER ? 'UNKNOWN' : '';
  const reachability = RaftMemberStatus_Reachability[managerStatus.reachability] ?? '';
  return managerStatus.leader ? `${reachability} *` : reachability;
}

function pluginLines({ description }: Node): readonly PageLine[] {
  const namesByType = new Map<string, string[]>();
  for (const { type, name } of description?.engine?.plugins ?? []) {
    namesByType.set(type, [...(namesByType.get(type) ?? []), name]);
  }
  return [...namesByType]
    .sort(([a], [b]) => compareTexts(a, b))
    .flatMap(([type, names]) => entry(1, type, names.join(', ')));
}
