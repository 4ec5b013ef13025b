import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Code, SwarmError } from '../../base/index.js';
import { type ProposalOutcome, TRANSACTION_BYTES_MAX } from '../../store/index.js';

/** Proposals that may wait for the disk. */
const PENDING_MAX = 65_536;

/** Bytes of proposals that may wait for the disk. */
const PENDING_BYTES_MAX = 256 * 2 ** 20;

/** Entries of one write at the most. */
const BATCH_ENTRIES_MAX = 1_024;

/** Bytes after which a write is full: sealing and checking them must not hold the event loop. */
const BATCH_BYTES_MAX = 2 * 2 ** 20;

/** Wire tag of `InternalRaftRequest.id`: field 1, varint. */
const ID_TAG = 8;

/** A transaction on its way. */
export interface Proposal {
  readonly index: bigint;
  /** An encoded `InternalRaftRequest`. */
  readonly data: Uint8Array;
  readonly outcome: ProposalOutcome;
}

/** What waits for the next write, in log order. */
export class ProposalQueue {
  #waiting: Proposal[] = [];
  #bytes = 0;

  get length(): number {
    return this.#waiting.length;
  }

  /** @throws SwarmError ResourceExhausted when too much waits. */
  push(proposal: Proposal): void {
    if (this.#waiting.length >= PENDING_MAX || this.#bytes + proposal.data.length > PENDING_BYTES_MAX) {
      const text = `the log's disk is too slow: ${this.#waiting.length} transactions wait for it. Try again later`;
      throw new SwarmError(Code.RESOURCE_EXHAUSTED, text);
    }
    this.#waiting.push(proposal);
    this.#bytes += proposal.data.length;
  }

  /** The next write's proposals, at least one if any waits. */
  takeBatch(): readonly Proposal[] {
    let count = 0;
    let bytes = 0;
    while (count < Math.min(this.#waiting.length, BATCH_ENTRIES_MAX) && bytes < BATCH_BYTES_MAX) {
      bytes += this.#waiting[count]?.data.length ?? 0;
      count++;
    }
    this.#bytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  /** Everything that waits. */
  takeAll(): readonly Proposal[] {
    const all = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    return all;
  }
}

/**
 * The encoded `InternalRaftRequest` of encoded actions.
 * @throws SwarmError InvalidArgument when it is too large, in SwarmKit's words.
 */
export function encodeRequest(id: bigint, actions: Uint8Array): Uint8Array {
  const data = new BinaryWriter().uint32(ID_TAG).uint64(id).raw(actions).finish();
  if (data.length <= TRANSACTION_BYTES_MAX) return data;
  throw new SwarmError(Code.INVALID_ARGUMENT, "raft: raft message is too large and can't be sent", {
    details: { bytes: data.length, bytesMax: TRANSACTION_BYTES_MAX },
  });
}
