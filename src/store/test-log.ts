import { fromBinary } from '@bufbuild/protobuf';

import { InternalRaftRequestSchema, type InternalRaftRequest } from '../api/index.js';
import { Code, SwarmError, type Clock } from '../base/index.js';
import type { ProposalOutcome, Proposer } from './proposer.js';

/** A clock that stands at 1,000 seconds. */
export function fakeClock(): Clock {
  return {
    nowMs: () => 1_000_000,
    monotonicMs: () => 0,
    setTimer: () => ({ cancel: () => undefined }),
  };
}

/** A log whose entries commit, or are lost, when the test says so. */
export class FakeLog implements Proposer {
  waiting: { readonly bytes: Uint8Array; readonly outcome: ProposalOutcome; readonly index: bigint }[] = [];
  refusal: SwarmError | undefined;
  #head = 10n;

  headIndex(): bigint {
    return this.#head;
  }

  propose(bytes: Uint8Array, outcome: ProposalOutcome): void {
    if (this.refusal !== undefined) throw this.refusal;
    this.#head += 1n;
    this.waiting.push({ bytes, outcome, index: this.#head });
  }

  /** Commits the oldest entry and returns it, decoded. */
  commit(): { readonly request: InternalRaftRequest; readonly index: bigint } {
    const entry = this.waiting.shift();
    if (entry === undefined) throw new Error('nothing to commit');
    entry.outcome.committed(entry.index);
    return { request: fromBinary(InternalRaftRequestSchema, entry.bytes), index: entry.index };
  }

  /** Loses all entries, in the order of the log. */
  lose(): void {
    const lost = this.waiting;
    this.waiting = [];
    for (const entry of lost) entry.outcome.lost(new SwarmError(Code.UNAVAILABLE, 'leadership was lost'));
  }
}
