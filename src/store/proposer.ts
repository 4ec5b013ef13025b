import type { SwarmError } from '../base/index.js';

/** What becomes of a proposal. Called synchronously, in log order, exactly one of the two, once. */
export interface ProposalOutcome {
  /** The entry is durable (on a quorum) and has this index. */
  committed(index: bigint): void;
  /** The entry will not count: leadership was lost, or the log failed. All later ones are lost too. */
  lost(error: SwarmError): void;
}

/**
 * The way of a transaction into the replicated log. Proposals are pipelined: many may be on their way
 * and share one flush; they commit in the order in which they were proposed.
 */
export interface Proposer {
  /**
   * Index of the newest entry in the log, committed or not. The store stamps it on the objects of the
   * next transaction as their version, as SwarmKit does with the last committed index.
   */
  headIndex(): bigint;
  /**
   * Proposes one transaction.
   * @param actions encoded `action` fields of an `InternalRaftRequest` (the caller adds the id).
   * @throws SwarmError FailedPrecondition when not the leader (nothing was proposed, no outcome will be
   *   called); InvalidArgument when larger than 1.5 MiB.
   */
  propose(actions: Uint8Array, outcome: ProposalOutcome): void;
}
