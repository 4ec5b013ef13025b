import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { MaybeEncryptedRecord_Algorithm, MaybeEncryptedRecordSchema } from '../../api/index.js';
import { Code } from '../../base/index.js';
import { AesGcm } from '../../platform/index.js';
import { SeededRandom } from '../../sim/index.js';
import { AuthenticatedCipher, DEK_BYTES, PlainCipher } from './cipher.js';

const PLAIN = new TextEncoder().encode('a secret of the cluster');
const deps = { aead: new AesGcm(), random: new SeededRandom(1) };
const dek = (fill: number): Uint8Array => new Uint8Array(DEK_BYTES).fill(fill);

describe('PlainCipher', () => {
  it('puts the bytes into an envelope that says so', () => {
    const envelope = new PlainCipher().seal(PLAIN);
    expect(fromBinary(MaybeEncryptedRecordSchema, envelope)).toMatchObject({
      algorithm: MaybeEncryptedRecord_Algorithm.NONE,
      data: PLAIN,
    });
    expect(new PlainCipher().open(envelope)).toEqual(PLAIN);
  });

  it('does not open what is encrypted', () => {
    const envelope = new AuthenticatedCipher({ dek: dek(1) }, deps).seal(PLAIN);
    expect(() => new PlainCipher().open(envelope)).toThrow(expect.objectContaining({ code: Code.FAILED_PRECONDITION }));
  });
});

describe('AuthenticatedCipher', () => {
  const cipher = new AuthenticatedCipher({ dek: dek(1) }, deps);

  it('opens what it sealed, never sealing the same way twice', () => {
    const envelopes = [cipher.seal(PLAIN), cipher.seal(PLAIN)] as const;
    for (const envelope of envelopes) expect(Buffer.from(cipher.open(envelope))).toEqual(Buffer.from(PLAIN));
    expect(envelopes[0]).not.toEqual(envelopes[1]);
    expect(Buffer.from(envelopes[0]).includes(Buffer.from(PLAIN))).toBe(false);
  });

  it('writes the envelope that every reader of the message understands', () => {
    for (const bytes of [0, 1, 127, 128, 70_000]) {
      const envelope = cipher.seal(new Uint8Array(bytes).fill(7));
      expect(toBinary(MaybeEncryptedRecordSchema, fromBinary(MaybeEncryptedRecordSchema, envelope))).toEqual(envelope);
    }
  });

  it('opens with an older key, and seals with the present one', () => {
    const rotated = new AuthenticatedCipher({ dek: dek(2), olderDeks: [dek(1)] }, deps);
    expect(Buffer.from(rotated.open(cipher.seal(PLAIN)))).toEqual(Buffer.from(PLAIN));
    const refused = expect.objectContaining({ code: Code.FAILED_PRECONDITION });
    expect(() => cipher.open(rotated.seal(PLAIN))).toThrow(refused);
  });

  it('refuses what was changed at any byte', () => {
    const { data, nonce, algorithm } = fromBinary(MaybeEncryptedRecordSchema, cipher.seal(PLAIN));
    for (let at = 0; at < data.length + nonce.length; at++) {
      const changed = { algorithm, data: data.slice(), nonce: nonce.slice() };
      const target = at < data.length ? changed.data : changed.nonce;
      const place = at < data.length ? at : at - data.length;
      target[place] = (target[place] ?? 0) ^ 1;
      const envelope = toBinary(MaybeEncryptedRecordSchema, create(MaybeEncryptedRecordSchema, changed));
      expect(() => cipher.open(envelope)).toThrow(expect.objectContaining({ code: Code.FAILED_PRECONDITION }));
    }
  });

  it('refuses plain envelopes and what is none', () => {
    expect(() => cipher.open(new PlainCipher().seal(PLAIN))).toThrow('another algorithm');
    expect(() => cipher.open(new Uint8Array([0xff, 0xff]))).toThrow(expect.objectContaining({ code: Code.DATA_LOSS }));
    const short = create(MaybeEncryptedRecordSchema, { algorithm: MaybeEncryptedRecord_Algorithm.AES_256_GCM });
    expect(() => cipher.open(toBinary(MaybeEncryptedRecordSchema, short))).toThrow('the key of this node');
  });

  it('takes only keys of 32 bytes', () => {
    const refused = expect.objectContaining({
      code: Code.INVALID_ARGUMENT,
      message: 'dek: must have 32 bytes, has 16',
    });
    expect(() => new AuthenticatedCipher({ dek: new Uint8Array(16) }, deps)).toThrow(refused);
  });
});
