import { jointCommitted, type Joint } from './quorum/joint.js';
import { maxIndex, NO_BYTES, type Message, type RaftId } from './types.js';

/** A read that waits until a quorum has confirmed the leader after it came. */
export interface PendingRead {
  readonly request: Message;
  /** The commit index when the read came. */
  readonly index: bigint;
}

const CONTEXT_BYTES = 8;

/**
 * Reads that wait for heartbeats to be answered. Each heartbeat carries how many reads have come so far; an
 * answer confirms all of these, so one round serves every read that came before it.
 */
export class ReadOnly {
  readonly #acks = new Map<RaftId, bigint>();
  #unconfirmed: PendingRead[] = [];
  #confirmed = 0n;

  add(request: Message, index: bigint): void {
    this.#unconfirmed.push({ request, index });
  }

  /** What a heartbeat must carry to confirm all reads so far; nothing when none waits. */
  heartbeatContext(): Uint8Array {
    if (this.#unconfirmed.length === 0) return NO_BYTES;
    const context = new Uint8Array(CONTEXT_BYTES);
    new DataView(context.buffer).setBigUint64(0, this.#asked, true);
    return context;
  }

  /** A member has answered the heartbeat that carried this. */
  receiveAck(from: RaftId, context: Uint8Array): void {
    if (context.length < CONTEXT_BYTES) return;
    const count = new DataView(context.buffer, context.byteOffset).getBigUint64(0, true);
    // More than has been asked can only be made up; it would confirm reads that are still to come.
    if (count > this.#asked) return;
    this.#acks.set(from, maxIndex(this.#acks.get(from) ?? 0n, count));
  }

  /** Takes out the reads that a quorum has confirmed. */
  takeConfirmed(voters: Joint): PendingRead[] {
    const confirmed = jointCommitted(voters, (id) => this.#acks.get(id));
    const count = Number(confirmed - this.#confirmed);
    if (count <= 0 || count > this.#unconfirmed.length) return [];
    this.#confirmed = confirmed;
    return this.#unconfirmed.splice(0, count);
  }

  /** How many reads have come so far. */
  get #asked(): bigint {
    return this.#confirmed + BigInt(this.#unconfirmed.length);
  }
}
