import { randomFillSync } from 'node:crypto';
import type { Random } from '../base/index.js';

/** Numbers that a float keeps exactly: 53 bits. */
const FLOAT_STEPS = 2 ** 53;

/** Bytes drawn at once: one call to the generator costs as much as a hundred ids. */
const POOL_BYTES = 4096;

/** Chance from the operating system, drawn ahead; no byte is given out twice. */
export class CryptoRandom implements Random {
  readonly #pool = Buffer.alloc(POOL_BYTES);
  #used = POOL_BYTES;

  bytes(count: number): Uint8Array {
    if (count > POOL_BYTES) return randomFillSync(new Uint8Array(count));
    const start = this.#take(count);
    const bytes = new Uint8Array(this.#pool.subarray(start, start + count));
    // What may become a key does not stay behind in the pool.
    this.#pool.fill(0, start, start + count);
    return bytes;
  }

  float(): number {
    const word = this.#pool.readBigUInt64LE(this.#take(8));
    return Number(word >> 11n) / FLOAT_STEPS;
  }

  /** Where the next unused bytes are. */
  #take(count: number): number {
    if (this.#used + count > POOL_BYTES) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += count;
    return start;
  }
}
