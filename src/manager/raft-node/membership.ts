import { create, fromBinary } from '@bufbuild/protobuf';
import {
  type ClusterSnapshot,
  ClusterSnapshotSchema,
  raftpb,
  type RaftMember,
  RaftMemberSchema,
} from '../../api/index.js';

/** The members of the Raft group by id, and the ids that must never come back. */
export interface Membership {
  readonly members: ReadonlyMap<bigint, RaftMember>;
  readonly removed: ReadonlySet<bigint>;
}

/** Nobody yet. */
export const NO_MEMBERS: Membership = { members: new Map(), removed: new Set() };

/** The membership after the data of a configuration change entry. A removed id stays removed. */
export function afterConfChange(before: Membership, data: Uint8Array): Membership {
  const change = fromBinary(raftpb.ConfChangeSchema, data);
  const members = new Map(before.members);
  switch (change.type) {
    case raftpb.ConfChangeType.ConfChangeAddNode:
    case raftpb.ConfChangeType.ConfChangeUpdateNode:
      if (before.removed.has(change.nodeId)) return before;
      members.set(change.nodeId, fromBinary(RaftMemberSchema, change.context));
      return { ...before, members };
    case raftpb.ConfChangeType.ConfChangeRemoveNode:
      members.delete(change.nodeId);
      return { members, removed: new Set(before.removed).add(change.nodeId) };
    default:
      return before;
  }
}

/** The membership as a snapshot holds it, sorted by id. */
export function toClusterSnapshot({ members, removed }: Membership): ClusterSnapshot {
  return create(ClusterSnapshotSchema, {
    members: [...members.values()].sort((a, b) => compare(a.raftId, b.raftId)),
    removed: [...removed].sort(compare),
  });
}

/** The membership that a snapshot holds. */
export function fromClusterSnapshot(snapshot: ClusterSnapshot | undefined): Membership {
  const members = new Map((snapshot?.members ?? []).map((member) => [member.raftId, member]));
  return { members, removed: new Set(snapshot?.removed) };
}

/** Ids of the voters, sorted. */
export function voters({ members }: Membership): bigint[] {
  return [...members.keys()].sort(compare);
}

function compare(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
