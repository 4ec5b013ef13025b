import {
  ConfChangeTransition,
  ConfChangeType,
  EntryType,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MessageType,
  NONE,
  type RaftId,
  type Role,
} from '../types.js';

/** An id as the log lines print it. */
export function hex(id: RaftId): string {
  return id.toString(16);
}

/** Sender or receiver of a message. */
export function targetName(id: RaftId): string {
  if (id === NONE) return 'None';
  if (id === LOCAL_APPEND_THREAD) return 'AppendThread';
  return id === LOCAL_APPLY_THREAD ? 'ApplyThread' : hex(id);
}

/** The name of a message type, as raftpb has it. */
export function messageTypeName(type: MessageType): string {
  return nameOf(MessageType, type);
}

/** The name of an entry type, as raftpb has it. */
export function entryTypeName(type: EntryType): string {
  return nameOf(EntryType, type);
}

/** The name of a configuration change's step, as raftpb has it. */
export function confChangeTypeName(type: ConfChangeType): string {
  return nameOf(ConfChangeType, type);
}

/** The name of a transition, as raftpb has it. */
export function transitionName(transition: ConfChangeTransition): string {
  return nameOf(ConfChangeTransition, transition);
}

/** The type of message with this name. */
export function messageTypeOf(name: string): MessageType | undefined {
  return Object.entries(MessageType).find(([known]) => known === name)?.[1];
}

/** The name of a role, as etcd/raft prints it. */
export const ROLE_NAME: Readonly<Record<Role, string>> = {
  follower: 'StateFollower',
  preCandidate: 'StatePreCandidate',
  candidate: 'StateCandidate',
  leader: 'StateLeader',
};

function nameOf(numbers: Readonly<Record<string, number>>, number: number): string {
  return Object.entries(numbers).find(([, known]) => known === number)?.[0] ?? String(number);
}
