import { create } from '@bufbuild/protobuf';
import { beforeAll, describe, expect, it } from 'vitest';

import { CAConfigSchema, RootCASchema, type RootCA } from '../../api/index.js';
import { Code } from '../../base/index.js';
import { NOW_MS, bytes, failure, type Init } from './test-fixture.js';
import { testCertificate, type TestCertificate } from './test-certificates.js';
import { desiredRootCa } from './root-ca.js';

type ConfigInit = Init<typeof CAConfigSchema>;
type RootInit = Init<typeof RootCASchema>;

const YEAR_MS = 365 * 24 * 3_600_000;
const NONE = new Uint8Array();

let present: TestCertificate;
let next: TestCertificate;

beforeAll(async () => {
  present = await testCertificate();
  next = await testCertificate();
});

const root = (changes: RootInit = {}): RootCA =>
  create(RootCASchema, { caCert: present.certificate, caKey: present.key, lastForcedRotation: 3n, ...changes });
const decide = (config: ConfigInit, rootCa: RootCA = root()): RootCA =>
  desiredRootCa(create(CAConfigSchema, { forceRotate: 3n, ...config }), rootCa, NOW_MS);
const refused = (config: ConfigInit, rootCa?: RootCA) => failure((async () => decide(config, rootCa))());
const invalid = (message: string) => ({ code: Code.INVALID_ARGUMENT, message });
const unimplemented = { code: Code.UNIMPLEMENTED, message: 'rotating the root CA is not supported yet' };
const noExternal = (which: string) =>
  invalid(`there must be at least one valid, reachable external CA corresponding to the ${which} CA certificate`);

describe('the desired root CA', () => {
  it('stays as it is where nothing is asked for', () => {
    const rootCa = root();
    expect(decide({}, rootCa)).toBe(rootCa);
    const fresh = root({ lastForcedRotation: 0n });
    expect(desiredRootCa(undefined, fresh, NOW_MS)).toBe(fresh);
  });

  it('needs a certificate with a key', async () => {
    expect(await refused({ signingCaKey: next.key })).toEqual(
      invalid('if a signing CA key is provided, the signing CA cert must also be provided'),
    );
  });

  it('must be one certificate that can be read', async () => {
    expect(await refused({ signingCaCert: bytes('nonsense'), signingCaKey: next.key })).toEqual(
      invalid('could not parse the desired CA certificate'),
    );
    const both = Buffer.concat([next.certificate, bytes('\n'), present.certificate]);
    expect(await refused({ signingCaCert: both, signingCaKey: next.key })).toEqual(
      invalid('the desired CA certificate cannot contain multiple certificates'),
    );
  });

  it('must match its key', async () => {
    for (const signingCaKey of [present.key, bytes('nonsense')]) {
      expect(await refused({ signingCaCert: next.certificate, signingCaKey })).toEqual(
        invalid('the desired CA key does not match the desired CA certificate'),
      );
    }
  });

  it('must be valid for another year', async () => {
    const soon = await testCertificate({ expiryMs: NOW_MS + YEAR_MS - 1000 });
    expect(await refused({ signingCaCert: soon.certificate, signingCaKey: soon.key })).toEqual(
      invalid('CA certificate expires too soon'),
    );
    const enough = await testCertificate({ expiryMs: NOW_MS + YEAR_MS });
    expect(await refused({ signingCaCert: enough.certificate, signingCaKey: enough.key })).toEqual(unimplemented);
  });

  it('must have another key than the present root', async () => {
    const same = await testCertificate({ keys: present.keys, expiryMs: NOW_MS + 5 * YEAR_MS });
    expect(await refused({ signingCaCert: same.certificate, signingCaKey: same.key })).toEqual(
      invalid('Cannot update to a cert with an identical key'),
    );
  });

  it('ends a running rotation when it is the present root', () => {
    const rotating = root({ rootRotation: { caCert: next.certificate, caKey: next.key } });
    const padded = Buffer.concat([bytes('\n\n'), present.certificate]);
    const decided = decide({ signingCaCert: padded, signingCaKey: present.key, forceRotate: 4n }, rotating);
    expect(decided.rootRotation).toBeUndefined();
    expect(decided.caKey).toEqual(present.key);
    expect(decided.lastForcedRotation).toBe(4n);
  });

  it('gives the key to a root that had none', () => {
    const external = root({ caKey: NONE });
    expect(decide({ signingCaCert: present.certificate, signingCaKey: present.key }, external).caKey).toEqual(
      present.key,
    );
  });

  it('keeps a rotation to the same root, with the key given', () => {
    const rotating = root({ rootRotation: { caCert: next.certificate, crossSignedCaCert: bytes('cross') } });
    const decided = decide({ signingCaCert: next.certificate, signingCaKey: next.key }, rotating);
    expect(decided.rootRotation).toMatchObject({ caKey: next.key, crossSignedCaCert: bytes('cross') });
    expect(decided.caKey).toEqual(present.key);
  });

  it('cannot be another one yet', async () => {
    expect(await refused({ forceRotate: 4n })).toEqual(unimplemented);
    expect(await refused({ signingCaCert: next.certificate, signingCaKey: next.key })).toEqual(unimplemented);
  });

  it('needs an external CA wherever a key is missing', async () => {
    const external = root({ caKey: NONE });
    expect(await refused({}, external)).toEqual(noExternal('current'));
    expect(await refused({ signingCaCert: next.certificate, signingCaKey: next.key }, external)).toEqual(
      noExternal('current'),
    );
    expect(await refused({ signingCaCert: next.certificate })).toEqual(noExternal('desired'));
    const rotating = root({ rootRotation: { caCert: next.certificate } });
    expect(await refused({}, rotating)).toEqual(noExternal('next'));
  });

  it.each([
    ['http://ca.example.com', 'current'],
    ['not a URL', 'current'],
  ])('does not count the external CA %s', async (url, which) => {
    expect(await refused({ externalCas: [{ url }] }, root({ caKey: NONE }))).toEqual(noExternal(which));
  });

  it('does not count an external CA for another root, and cannot try one for the right root yet', async () => {
    const url = 'https://ca.example.com:8443';
    const external = root({ caKey: NONE });
    expect(await refused({ externalCas: [{ url, caCert: next.certificate }] }, external)).toEqual(
      noExternal('current'),
    );
    expect(await refused({ externalCas: [{ url }] }, external)).toEqual({
      code: Code.UNIMPLEMENTED,
      message: 'external CAs are not supported yet',
    });
  });

  it('accepts external CAs that are not needed', () => {
    expect(() => decide({ externalCas: [{ url: 'https://ca.example.com' }] })).not.toThrow();
  });
});
