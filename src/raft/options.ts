import { Code, SwarmError } from '../base/index.js';
import { isLocalThread, NONE, type RaftId } from './types.js';

/** How reads are confirmed: by asking a quorum, or by trusting that clocks run equally fast. */
export type ReadMode = 'safe' | 'leaseBased';

/** Settings of one member; the first three have no default. */
export interface RaftOptions {
  /** The member's own id; not 0. */
  readonly id: RaftId;
  /** Ticks without a leader until a follower stands for election: from this many to twice as many less one. */
  readonly electionTicks: number;
  /** Ticks between a leader's heartbeats; less than `electionTicks`. */
  readonly heartbeatTicks: number;
  /** The last entry that the state machine has applied already; default 0: everything is given anew. */
  readonly applied?: bigint;
  /** Storage is written by local threads that are told by messages; default false: by whoever handles Ready. */
  readonly asyncStorageWrites?: boolean;
  /** Bytes of entries in one append; 0 means one entry; default no limit. */
  readonly messageBytesMax?: number;
  /** Bytes of committed entries handed out and not yet applied; default `messageBytesMax`; 0 means one entry. */
  readonly committedBytesMax?: number;
  /** Bytes of proposals that are not committed; more are refused; default no limit. */
  readonly uncommittedBytesMax?: number;
  /** Appends on their way to one follower; default 256, as in SwarmKit. */
  readonly inflightMessagesMax?: number;
  /** Bytes on their way to one follower, at least `messageBytesMax`; default no limit. */
  readonly inflightBytesMax?: number;
  /** A leader that hears from no quorum for an election timeout steps down; default false. */
  readonly checkQuorum?: boolean;
  /** Ask whether an election could be won before disturbing anybody (thesis, section 9.6); default false. */
  readonly preVote?: boolean;
  /** Default 'safe'; 'leaseBased' needs `checkQuorum`. */
  readonly readMode?: ReadMode;
  /** Followers refuse proposals instead of passing them to the leader; default false. */
  readonly disableProposalForwarding?: boolean;
  /** The leader does not check a configuration change against the active configuration; default false. */
  readonly disableConfChangeValidation?: boolean;
  /** A leader that is removed or demoted becomes a follower; default false. */
  readonly stepDownOnRemoval?: boolean;
}

/** The same with nothing left open. */
export type CheckedRaftOptions = Required<RaftOptions>;

const INFLIGHT_MESSAGES_MAX = 256;

/** Checks the settings and fills in the defaults. */
export function checkOptions(options: RaftOptions): CheckedRaftOptions {
  const messageBytesMax = options.messageBytesMax ?? Number.POSITIVE_INFINITY;
  const checked: CheckedRaftOptions = {
    applied: 0n,
    asyncStorageWrites: false,
    uncommittedBytesMax: Number.POSITIVE_INFINITY,
    inflightMessagesMax: INFLIGHT_MESSAGES_MAX,
    inflightBytesMax: Number.POSITIVE_INFINITY,
    checkQuorum: false,
    preVote: false,
    readMode: 'safe',
    disableProposalForwarding: false,
    disableConfChangeValidation: false,
    stepDownOnRemoval: false,
    ...options,
    messageBytesMax,
    // With less than one byte no entry could ever be handed out.
    committedBytesMax: Math.max(1, options.committedBytesMax ?? messageBytesMax),
  };
  const problem = problemOf(checked);
  if (problem !== undefined) throw new SwarmError(Code.INVALID_ARGUMENT, problem);
  return checked;
}

function problemOf(options: CheckedRaftOptions): string | undefined {
  const { id, electionTicks, heartbeatTicks, inflightMessagesMax, inflightBytesMax } = options;
  if (id === NONE) return 'id: cannot use none as id';
  if (isLocalThread(id)) return 'id: cannot use local target as id';
  if (id < 0n || BigInt.asUintN(64, id) !== id) return 'id: must fit into 64 bits';
  if (!(heartbeatTicks > 0)) return 'heartbeatTicks: heartbeat tick must be greater than 0';
  if (!(electionTicks > heartbeatTicks)) return 'electionTicks: election tick must be greater than heartbeat tick';
  if (!(inflightMessagesMax > 0)) return 'inflightMessagesMax: max inflight messages must be greater than 0';
  if (inflightBytesMax < options.messageBytesMax) {
    return 'inflightBytesMax: max inflight bytes must be >= max message size';
  }
  if (options.readMode === 'leaseBased' && !options.checkQuorum) {
    return 'readMode: checkQuorum must be enabled when readMode is leaseBased';
  }
  return undefined;
}
