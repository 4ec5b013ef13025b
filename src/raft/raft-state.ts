import { randomInt, type Random } from '../base/index.js';
import { RaftLog } from './log.js';
import type { CheckedRaftOptions } from './options.js';
import type { RaftLogger } from './raft-logger.js';
import { ReadOnly } from './read-only.js';
import type { RaftStorage } from './storage.js';
import { Tracker } from './tracker/tracker.js';
import { NONE, type HardState, type Message, type RaftId, type ReadState, type Role, type SoftState } from './types.js';

/** What the core needs from outside. */
export interface RaftDeps {
  readonly storage: RaftStorage;
  readonly logger: RaftLogger;
  /** Spreads the election timeouts. */
  readonly random: Random;
}

/** Everything that a member knows; the functions of this folder change it. */
export class RaftState {
  readonly id: RaftId;
  readonly options: CheckedRaftOptions;
  readonly logger: RaftLogger;
  readonly log: RaftLog;
  tracker: Tracker;
  term = 0n;
  vote: RaftId = NONE;
  role: Role = 'follower';
  lead: RaftId = NONE;
  isLearner = false;

  /** Messages to others that may leave at once. */
  messages: Message[] = [];
  /** Votes and acknowledgements, also to itself: they may leave when what they rest on is stable. */
  messagesAfterAppend: Message[] = [];
  readStates: ReadState[] = [];

  /** Who is to become leader (thesis, section 3.10). */
  leadTransferee: RaftId = NONE;
  /** No configuration change may be proposed until the entry here has been applied. */
  pendingConfIndex = 0n;
  /** Bytes of the leader's proposals that have not been applied; never more than there are. */
  uncommittedBytes = 0;
  reads = new ReadOnly();
  /** Reads that came before this leader had committed anything in its term. */
  pendingReads: Message[] = [];

  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** Between `electionTicks` and twice as many less one. */
  randomizedElectionTicks = 0;
  readonly #random: Random;

  constructor(options: CheckedRaftOptions, { storage, logger, random }: RaftDeps) {
    this.id = options.id;
    this.options = options;
    this.logger = logger;
    this.#random = random;
    this.log = new RaftLog(storage, logger, options.committedBytesMax);
    this.tracker = this.newTracker();
  }

  /** A tracker without members. */
  newTracker(): Tracker {
    const { inflightMessagesMax, inflightBytesMax } = this.options;
    return new Tracker({ messagesMax: inflightMessagesMax, bytesMax: inflightBytesMax });
  }

  get hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  get softState(): SoftState {
    return { lead: this.lead, role: this.role };
  }

  /** Whether the member may stand for election: a voter without a snapshot on its way. */
  get isPromotable(): boolean {
    const progress = this.tracker.progress.get(this.id);
    return progress !== undefined && !progress.isLearner && this.log.unstable.snapshot === undefined;
  }

  drawElectionTicks(): void {
    this.randomizedElectionTicks = this.options.electionTicks + randomInt(this.#random, this.options.electionTicks);
  }
}
