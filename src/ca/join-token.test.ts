import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { equalSecrets, formatJoinToken, generateJoinToken, parseJoinToken } from './join-token.js';
import { formatUnlockKey, generateUnlockKey, parseUnlockKey } from './unlock-key.js';
import { testWorld } from './world.test-helper.js';

// Computed with another program: sha256 of a PEM text, and both numbers in base 36.
const DIGEST = '7cc358aa45100f42d57b76e9b235253bfc6fc830b3e45858d2bc473657aae3f7';
const DIGEST_36 = '33y0svi7o89e2roi9w5fachctdkdpg4vz6x9i88hhm0uddu7sn';
const SECRET_36 = '025burfp0j7epb0hqfcuw340g';
const counting = { bytes: (n: number) => Uint8Array.from({ length: n }, (_, i) => i + 1), float: () => 0 };

describe('a join token', () => {
  it('has the stock form', () => {
    expect(generateJoinToken(DIGEST, counting, { fips: false })).toBe(`SWMTKN-1-${DIGEST_36}-${SECRET_36}`);
    expect(generateJoinToken(`sha256:${DIGEST}`, counting, { fips: true })).toBe(
      `SWMTKN-2-1-${DIGEST_36}-${SECRET_36}`,
    );
  });

  it('is read back', () => {
    expect(parseJoinToken(`SWMTKN-1-${DIGEST_36}-${SECRET_36}`)).toEqual({
      version: 1,
      rootDigest: DIGEST,
      secret: SECRET_36,
      fips: false,
    });
    expect(parseJoinToken(`SWMTKN-2-1-${DIGEST_36}-${SECRET_36}`)).toMatchObject({ version: 2, fips: true });
    expect(parseJoinToken(`SWMTKN-2-0-${DIGEST_36}-${SECRET_36}`)).toMatchObject({ version: 2, fips: false });
  });

  it('keeps every digest and secret through text', () => {
    const hex = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((b) => Buffer.from(b).toString('hex'));
    fc.assert(
      fc.property(hex, fc.stringMatching(/^[0-9a-z]{25}$/), fc.boolean(), (rootDigest, secret, fips) => {
        const token = { version: fips ? 2 : 1, rootDigest, secret, fips } as const;
        expect(parseJoinToken(formatJoinToken(token))).toEqual(token);
      }),
    );
  });

  it.each([
    '',
    'invalidtoken',
    `SWMTKN-0-${DIGEST_36}-${SECRET_36}`,
    `SWMTKN-2-${DIGEST_36}-${SECRET_36}`,
    `SWMTKN-2-2-${DIGEST_36}-${SECRET_36}`,
    `SWMTKN-1-0-${DIGEST_36}-${SECRET_36}`,
    `SWMTKN-1-${DIGEST_36}-${SECRET_36.slice(1)}`,
    `SWMTKN-1-${DIGEST_36.slice(1)}-${SECRET_36}`,
    `SWMTKN-1-${DIGEST_36}-${SECRET_36}\n`,
    `SWMTKN-1-${DIGEST_36}-${SECRET_36}-x`,
    `SWMTKN-1-${DIGEST_36.toUpperCase()}-${SECRET_36}`,
    // 2^256, one more than a digest can be.
    `SWMTKN-1-6dp5qcb22im238nr3wvp0ic7q99w035jmy2iw7i6n43d37jtog-${SECRET_36}`,
  ])('refuses %j', (token) => {
    expect(() => parseJoinToken(token)).toThrow('invalid join token');
  });

  it('is not made from a digest that is none', () => {
    expect(() => generateJoinToken('abc', counting, { fips: false })).toThrow('64 hexadecimal digits');
  });
});

describe('equalSecrets', () => {
  it('says what === says, except that nothing equals the empty secret', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => equalSecrets(a, b) === (a === b && a !== '')));
    expect(equalSecrets('abc', 'abc')).toBe(true);
    expect(equalSecrets('abc', 'abcabc')).toBe(false);
    expect(equalSecrets('', '')).toBe(false);
  });
});

describe('an unlock key', () => {
  it('has the stock form and is read back', () => {
    const key = generateUnlockKey(testWorld().random);
    const text = formatUnlockKey(key);
    expect(text).toMatch(/^SWMKEY-1-[A-Za-z0-9+/]{43}$/);
    expect([...parseUnlockKey(text)]).toEqual([...key]);
  });

  it.each([
    '',
    'SWMKEY-1-',
    'SWMKEY-2-AAAA',
    'SWMKEY-1-AAAA',
    `SWMKEY-1-${'A'.repeat(43)}=`,
    `SWMKEY-1-${'?'.repeat(43)}`,
  ])('refuses %j', (text) => {
    expect(() => parseUnlockKey(text)).toThrow('invalid key string');
  });
});
