import { randomBytes } from 'node:crypto';
import type { Random } from '../base/index.js';

/** Numbers that a float keeps exactly: 53 bits. */
const FLOAT_STEPS = 2 ** 53;

/** Chance from the operating system. */
export class CryptoRandom implements Random {
  bytes(count: number): Uint8Array {
    return new Uint8Array(randomBytes(count));
  }

  float(): number {
    const word = randomBytes(8).readBigUInt64LE();
    return Number(word >> 11n) / FLOAT_STEPS;
  }
}
