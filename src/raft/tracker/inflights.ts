import { assertInvariant } from '../invariant-error.js';

interface Inflight {
  /** The last entry of the message. */
  readonly index: bigint;
  readonly bytes: number;
}

/** The append messages that a follower has not acknowledged: bounded in number, softly in bytes. */
export class Inflights {
  readonly #countMax: number;
  readonly #bytesMax: number;
  #messages: Inflight[] = [];
  /** Messages before this one are acknowledged; they are cut off when they are the greater part. */
  #start = 0;
  #bytes = 0;

  /** `bytesMax` may be exceeded by one message; infinity means no limit. */
  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#messages.length - this.#start;
  }

  /** Whether no more may be sent now. */
  get isFull(): boolean {
    return this.count === this.#countMax || this.#bytes >= this.#bytesMax;
  }

  /** A message whose last entry is `index` leaves; indexes never fall. */
  add(index: bigint, bytes: number): void {
    assertInvariant(!this.isFull, () => 'cannot add into a Full inflights');
    this.#messages.push({ index, bytes });
    this.#bytes += bytes;
  }

  /** Everything up to `index` is acknowledged. */
  freeUpTo(index: bigint): void {
    for (;;) {
      const first = this.#messages[this.#start];
      if (first === undefined || first.index > index) break;
      this.#bytes -= first.bytes;
      this.#start += 1;
    }
    if (this.#start * 2 < this.#messages.length) return;
    this.#messages = this.#messages.slice(this.#start);
    this.#start = 0;
  }

  reset(): void {
    this.#messages = [];
    this.#start = 0;
    this.#bytes = 0;
  }

  /** The same, sharing nothing. */
  clone(): Inflights {
    const clone = new Inflights(this.#countMax, this.#bytesMax);
    clone.#messages = this.#messages.slice(this.#start);
    clone.#bytes = this.#bytes;
    return clone;
  }
}
