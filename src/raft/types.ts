/** A member's raft id; 0 means nobody. */
export type RaftId = bigint;

/** Nobody: the raft id that no member may have. */
export const NONE: RaftId = 0n;

/** The local thread that makes entries durable, as the target of MsgStorageAppend. */
export const LOCAL_APPEND_THREAD: RaftId = 2n ** 64n - 1n;

/** The local thread that applies committed entries, as the target of MsgStorageApply. */
export const LOCAL_APPLY_THREAD: RaftId = 2n ** 64n - 2n;

/** The numbers of raftpb.EntryType. */
export const EntryType = { EntryNormal: 0, EntryConfChange: 1, EntryConfChangeV2: 2 } as const;
/** One of the numbers of raftpb.EntryType. */
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

/** The numbers of raftpb.MessageType. */
export const MessageType = {
  MsgHup: 0,
  MsgBeat: 1,
  MsgProp: 2,
  MsgApp: 3,
  MsgAppResp: 4,
  MsgVote: 5,
  MsgVoteResp: 6,
  MsgSnap: 7,
  MsgHeartbeat: 8,
  MsgHeartbeatResp: 9,
  MsgUnreachable: 10,
  MsgSnapStatus: 11,
  MsgCheckQuorum: 12,
  MsgTransferLeader: 13,
  MsgTimeoutNow: 14,
  MsgReadIndex: 15,
  MsgReadIndexResp: 16,
  MsgPreVote: 17,
  MsgPreVoteResp: 18,
  MsgStorageAppend: 19,
  MsgStorageAppendResp: 20,
  MsgStorageApply: 21,
  MsgStorageApplyResp: 22,
  MsgForgetLeader: 23,
} as const;
/** One of the numbers of raftpb.MessageType. */
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** One record of the log; immutable and shared once it has been made. */
export interface Entry {
  readonly Term: bigint;
  readonly Index: bigint;
  readonly Type: EntryType;
  readonly Data: Uint8Array;
}

/** Term and index, which together name an entry of any log. */
export interface EntryId {
  readonly term: bigint;
  readonly index: bigint;
}

/** Who takes part in decisions, as it is stored in snapshots. */
export interface ConfState {
  readonly voters: readonly RaftId[];
  readonly learners: readonly RaftId[];
  /** The voters of the outgoing half of a joint configuration; empty when it is not joint. */
  readonly votersOutgoing: readonly RaftId[];
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly RaftId[];
  readonly autoLeave: boolean;
}

/** What a snapshot replaces: every entry up to `index`. */
export interface SnapshotMetadata {
  readonly confState: ConfState;
  readonly index: bigint;
  readonly term: bigint;
}

/** The state machine's state after `metadata.index`. */
export interface Snapshot {
  readonly data: Uint8Array;
  readonly metadata: SnapshotMetadata;
}

/** What must be durable before an answer that rests on it leaves the machine. */
export interface HardState {
  readonly term: bigint;
  readonly vote: RaftId;
  readonly commit: bigint;
}

/** Message between members, or between the core and its local threads; field names as in raftpb.Message. */
export interface Message {
  readonly type: MessageType;
  readonly to: RaftId;
  readonly from: RaftId;
  /** 0 for a local message. */
  readonly term: bigint;
  /** The term of the entry at `index`. */
  readonly logTerm: bigint;
  readonly index: bigint;
  readonly entries: readonly Entry[];
  readonly commit: bigint;
  readonly vote: RaftId;
  readonly snapshot: Snapshot | undefined;
  readonly reject: boolean;
  readonly rejectHint: bigint;
  readonly context: Uint8Array;
  /** Messages to deliver once a local thread has done the work. */
  readonly responses: readonly Message[];
}

/** The numbers of raftpb.ConfChangeType. */
export const ConfChangeType = {
  ConfChangeAddNode: 0,
  ConfChangeRemoveNode: 1,
  ConfChangeUpdateNode: 2,
  ConfChangeAddLearnerNode: 3,
} as const;
/** One of the numbers of raftpb.ConfChangeType. */
export type ConfChangeType = (typeof ConfChangeType)[keyof typeof ConfChangeType];

/** The numbers of raftpb.ConfChangeTransition. */
export const ConfChangeTransition = {
  /** One change is made at once, several through a joint configuration that is left automatically. */
  ConfChangeTransitionAuto: 0,
  /** Joint in any case, left automatically. */
  ConfChangeTransitionJointImplicit: 1,
  /** Joint in any case, left when an empty change is proposed. */
  ConfChangeTransitionJointExplicit: 2,
} as const;
/** One of the numbers of raftpb.ConfChangeTransition. */
export type ConfChangeTransition = (typeof ConfChangeTransition)[keyof typeof ConfChangeTransition];

/** One step of a configuration change. */
export interface ConfChangeSingle {
  readonly type: ConfChangeType;
  readonly nodeId: RaftId;
}

/** A configuration change in the first form: always one step. */
export interface ConfChange extends ConfChangeSingle {
  readonly id: bigint;
  readonly context: Uint8Array;
}

/** A configuration change in the second form; without steps and with the automatic transition it leaves a joint one. */
export interface ConfChangeV2 {
  readonly transition: ConfChangeTransition;
  readonly changes: readonly ConfChangeSingle[];
  readonly context: Uint8Array;
}

/** What a member is doing in its term. */
export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

/** What need not be durable: for information. */
export interface SoftState {
  readonly lead: RaftId;
  readonly role: Role;
}

/** Once everything up to `index` is applied, the read with this context sees all that was acknowledged before it. */
export interface ReadState {
  readonly index: bigint;
  readonly requestCtx: Uint8Array;
}

/** No bytes, shared. */
export const NO_BYTES = new Uint8Array(0);

/** The configuration without members. */
export const EMPTY_CONF_STATE: ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};

/** The snapshot of a log that begins at its beginning. */
export const EMPTY_SNAPSHOT: Snapshot = {
  data: NO_BYTES,
  metadata: { confState: EMPTY_CONF_STATE, index: 0n, term: 0n },
};

const NO_ENTRIES: readonly Entry[] = [];
const NO_MESSAGES: readonly Message[] = [];

/** A message with these fields; all others have the value that the wire leaves out. */
export function message(type: MessageType, fields: Partial<Omit<Message, 'type'>>): Message {
  return {
    type,
    to: fields.to ?? NONE,
    from: fields.from ?? NONE,
    term: fields.term ?? 0n,
    logTerm: fields.logTerm ?? 0n,
    index: fields.index ?? 0n,
    entries: fields.entries ?? NO_ENTRIES,
    commit: fields.commit ?? 0n,
    vote: fields.vote ?? NONE,
    snapshot: fields.snapshot,
    reject: fields.reject ?? false,
    rejectHint: fields.rejectHint ?? 0n,
    context: fields.context ?? NO_BYTES,
    responses: fields.responses ?? NO_MESSAGES,
  };
}

/** An entry that has no place in a log yet. */
export function unplacedEntry(Data: Uint8Array, Type: EntryType = EntryType.EntryNormal): Entry {
  return { Term: 0n, Index: 0n, Type, Data };
}

/** Whether nothing of this state would have to be written. */
export function isEmptyHardState({ term, vote, commit }: HardState): boolean {
  return term === 0n && vote === NONE && commit === 0n;
}

/** Whether the two states are the same. */
export function sameHardState(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.vote === b.vote && a.commit === b.commit;
}

/** Whether a message to or from this id stays within the machine. */
export function isLocalThread(id: RaftId): boolean {
  return id === LOCAL_APPEND_THREAD || id === LOCAL_APPLY_THREAD;
}

const LOCAL_TYPES: ReadonlySet<MessageType> = new Set([
  MessageType.MsgHup,
  MessageType.MsgBeat,
  MessageType.MsgUnreachable,
  MessageType.MsgSnapStatus,
  MessageType.MsgCheckQuorum,
  MessageType.MsgStorageAppend,
  MessageType.MsgStorageAppendResp,
  MessageType.MsgStorageApply,
  MessageType.MsgStorageApplyResp,
]);

const RESPONSE_TYPES: ReadonlySet<MessageType> = new Set([
  MessageType.MsgAppResp,
  MessageType.MsgVoteResp,
  MessageType.MsgHeartbeatResp,
  MessageType.MsgUnreachable,
  MessageType.MsgReadIndexResp,
  MessageType.MsgPreVoteResp,
  MessageType.MsgStorageAppendResp,
  MessageType.MsgStorageApplyResp,
]);

/** Whether such a message may not come from another member. */
export function isLocalType(type: MessageType): boolean {
  return LOCAL_TYPES.has(type);
}

/** Whether such a message answers another one. */
export function isResponseType(type: MessageType): boolean {
  return RESPONSE_TYPES.has(type);
}

/** The greater of two log positions. */
export function maxIndex(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** The smaller of two log positions. */
export function minIndex(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** Ids in ascending order, so that no order of arrival escapes. */
export function sortedIds(ids: Iterable<RaftId>): RaftId[] {
  return [...ids].sort(compareIndexes);
}

/** Ascending order of ids and log positions. */
export function compareIndexes(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
