import type { Random } from '../base/index.js';

/**
 * Chance from a seed: xoshiro128** (Blackman and Vigna, 2018), its state filled by splitmix32. The same
 * seed gives the same sequence on every machine. Not for secrets.
 */
export class SeededRandom implements Random {
  readonly #state: Uint32Array;

  /** @param seed one number, or the generator's whole state. */
  constructor(seed: number | readonly [number, number, number, number]) {
    if (typeof seed === 'number') {
      const next = splitmix32(seed);
      this.#state = Uint32Array.from([next(), next(), next(), next()]);
    } else this.#state = Uint32Array.from(seed);
  }

  /** The next 32 bits. */
  uint32(): number {
    const s = this.#state;
    const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = s;
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    const n2 = s2 ^ s0;
    const n3 = s3 ^ s1;
    s[1] = s1 ^ n2;
    s[0] = s0 ^ n3;
    s[2] = n2 ^ (s1 << 9);
    s[3] = rotateLeft(n3, 11);
    return result;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; at += 4) {
      const word = this.uint32();
      for (let i = 0; i < 4 && at + i < count; i++) bytes[at + i] = (word >>> (8 * i)) & 0xff;
    }
    return bytes;
  }

  float(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** A generator of its own for one part, so that parts do not disturb each other's sequence. */
  fork(): SeededRandom {
    return new SeededRandom(this.uint32());
  }
}

function splitmix32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
}

function rotateLeft(value: number, bits: number): number {
  return ((value << bits) | (value >>> (32 - bits))) >>> 0;
}
