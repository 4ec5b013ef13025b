import { InvariantError } from '../invariant-error.js';
import { maxIndex, minIndex } from '../types.js';
import type { Inflights } from './inflights.js';

/**
 * How the leader feeds a follower: `probe` sends one message per heartbeat until it knows where the
 * follower's log ends, `replicate` sends ahead of the answers, `snapshot` waits for a snapshot to arrive.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

/** What a progress begins with. */
export interface ProgressStart {
  readonly match: bigint;
  readonly next: bigint;
  readonly inflights: Inflights;
  readonly isLearner: boolean;
  readonly recentActive: boolean;
}

/** What the leader knows about one member's log. */
export class Progress {
  /** The last entry known to be equal in both logs. */
  match: bigint;
  /** The next entry to send; always behind `match`. */
  next: bigint;
  state: ProgressState = 'probe';
  /** The snapshot on its way in the state `snapshot`, otherwise 0. */
  pendingSnapshot = 0n;
  /** Whether anything has come from the member since the last check of the quorum. */
  recentActive: boolean;
  /** Whether appends wait for the next heartbeat's answer. */
  isFlowPaused = false;
  inflights: Inflights;
  isLearner: boolean;
  /** The greatest commit index on its way to the member. */
  #sentCommit = 0n;

  constructor({ match, next, inflights, isLearner, recentActive }: ProgressStart) {
    this.match = match;
    this.next = next;
    this.inflights = inflights;
    this.isLearner = isLearner;
    this.recentActive = recentActive;
  }

  /** Whether no append may be sent now. */
  get isPaused(): boolean {
    return this.state === 'snapshot' || this.isFlowPaused;
  }

  /** Finds out anew where the member's log ends; behind the snapshot if one was on its way. */
  becomeProbe(): void {
    const from = this.state === 'snapshot' ? maxIndex(this.match, this.pendingSnapshot) : this.match;
    this.#become('probe');
    this.next = from + 1n;
    this.#lowerSentCommit();
  }

  becomeReplicate(): void {
    this.#become('replicate');
    this.next = this.match + 1n;
  }

  /** Waits for the snapshot at `index`. */
  becomeSnapshot(index: bigint): void {
    this.#become('snapshot');
    this.pendingSnapshot = index;
    this.next = index + 1n;
    this.#sentCommit = index;
  }

  /** Accounts for an append that carries the next `count` entries. */
  sentEntries(count: number, bytes: number): void {
    if (this.state === 'snapshot') throw new InvariantError('sending append in unhandled state StateSnapshot');
    if (this.state === 'probe') {
      if (count > 0) this.isFlowPaused = true;
      return;
    }
    if (count > 0) {
      this.next += BigInt(count);
      this.inflights.add(this.next - 1n, bytes);
    }
    this.isFlowPaused = this.inflights.isFull;
  }

  sentCommit(commit: bigint): void {
    this.#sentCommit = commit;
  }

  /** Whether sending this commit index can tell the member something new. */
  canBumpCommit(commit: bigint): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1n;
  }

  /** The member acknowledges `index`; false if that is old news. */
  maybeUpdate(index: bigint): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = maxIndex(this.next, index + 1n);
    this.isFlowPaused = false;
    return true;
  }

  /** The member rejects the append behind `rejected` and hints where the logs may agree; false if that is old news. */
  maybeDecreaseTo(rejected: bigint, matchHint: bigint): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false;
      this.next = this.match + 1n;
      this.#lowerSentCommit();
      return true;
    }
    // Members that are not replicated to are asked about one entry at a time.
    if (this.next - 1n !== rejected) return false;
    this.next = maxIndex(minIndex(rejected, matchHint + 1n), this.match + 1n);
    this.#lowerSentCommit();
    this.isFlowPaused = false;
    return true;
  }

  /** A copy; the messages in flight stay shared unless they are given. */
  copy(inflights: Inflights = this.inflights): Progress {
    const { match, next, isLearner, recentActive } = this;
    const copy = new Progress({ match, next, inflights, isLearner, recentActive });
    copy.state = this.state;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.isFlowPaused = this.isFlowPaused;
    copy.#sentCommit = this.#sentCommit;
    return copy;
  }

  #become(state: ProgressState): void {
    this.isFlowPaused = false;
    this.pendingSnapshot = 0n;
    this.state = state;
    this.inflights.reset();
  }

  #lowerSentCommit(): void {
    this.#sentCommit = minIndex(this.#sentCommit, this.next - 1n);
  }
}
