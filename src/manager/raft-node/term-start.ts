import { create, toBinary } from '@bufbuild/protobuf';
import { type RaftMember, RaftMemberSchema, raftpb } from '../../api/index.js';
import { Code, type Random, SwarmError } from '../../base/index.js';
import type { Membership } from './membership.js';

/** What a member appends when it becomes leader. */
export interface TermStart {
  readonly entries: readonly raftpb.Entry[];
  readonly hardState: raftpb.HardState;
}

/** A random id for a new member: 63 bits, never zero, as SwarmKit's. */
export function newMemberId(random: Random): bigint {
  const view = new DataView(Uint8Array.from(random.bytes(8)).buffer);
  return (view.getBigUint64(0) >> 1n) + 1n;
}

/**
 * The first two terms of a new group of one, entry by entry as stock managers write them: term 1 adds the
 * member, term 2 begins with its election.
 */
export function bootstrap(self: RaftMember): TermStart {
  return {
    entries: [memberEntry(raftpb.ConfChangeType.ConfChangeAddNode, self, 1n, 1n), emptyEntry(2n, 2n)],
    hardState: create(raftpb.HardStateSchema, { term: 2n, vote: self.raftId, commit: 1n }),
  };
}

/** The next term of the only member of a group: it elects itself. A new address is recorded. */
export function nextTerm(
  self: RaftMember,
  membership: Membership,
  lastIndex: bigint,
  before: raftpb.HardState,
): TermStart {
  const term = before.term + 1n;
  const entries = [emptyEntry(term, lastIndex + 1n)];
  if (membership.members.get(self.raftId)?.addr !== self.addr) {
    entries.push(memberEntry(raftpb.ConfChangeType.ConfChangeUpdateNode, self, term, lastIndex + 2n));
  }
  return { entries, hardState: create(raftpb.HardStateSchema, { term, vote: self.raftId, commit: before.commit }) };
}

/** @throws SwarmError FailedPrecondition unless the member is the only one of its group. */
export function checkSoleMember(membership: Membership, memberId: bigint): void {
  if (!membership.members.has(memberId)) {
    const text = 'this manager was removed from its swarm: start it with an empty state directory';
    throw new SwarmError(Code.FAILED_PRECONDITION, text);
  }
  const { size } = membership.members;
  if (size === 1) return;
  const text = `the log belongs to a swarm of ${size} managers, and this one cannot lead alone`;
  throw new SwarmError(Code.FAILED_PRECONDITION, text, { details: { members: size } });
}

function emptyEntry(term: bigint, index: bigint): raftpb.Entry {
  return create(raftpb.EntrySchema, { Type: raftpb.EntryType.EntryNormal, Term: term, Index: index });
}

function memberEntry(type: raftpb.ConfChangeType, member: RaftMember, term: bigint, index: bigint): raftpb.Entry {
  const context = toBinary(RaftMemberSchema, member);
  const change = create(raftpb.ConfChangeSchema, { id: 0n, type, nodeId: member.raftId, context });
  const data = toBinary(raftpb.ConfChangeSchema, change);
  return create(raftpb.EntrySchema, { Type: raftpb.EntryType.EntryConfChange, Term: term, Index: index, Data: data });
}
