import { describe, expect, it } from 'vitest';

import { Code } from '../base/index.js';
import { WEB_CRYPTO } from '../platform/crypto.js';
import { SIM_CRYPTO } from '../sim/crypto.js';
import { createCsr, parseCsr } from './csr.js';
import { decryptKey, encryptKey } from './encrypted-key.js';
import { generateKey, keyPem, parsePrivateKey } from './keys.js';
import { parseOnePem, pemText } from './pem.js';
import { tlsProblemOf } from './tls-problem.js';
import { bytes, HAS_OPENSSL, openssl, testWorld } from './world.test-helper.js';

const EC = ['-newkey', 'ec', '-pkeyopt'];

function opensslCsr(...key: readonly string[]): Uint8Array {
  return bytes(openssl(['req', '-new', ...key, '-nodes', '-subj', '/', '-keyout', '@key.pem']));
}

describe.each([
  ['the platform', WEB_CRYPTO],
  ['the simulation', SIM_CRYPTO],
])('with the cryptography of %s', (_, crypto) => {
  it('a new key signs a request that is accepted', async () => {
    const key = await generateKey(crypto);
    const request = await parseCsr(crypto, bytes(await createCsr(crypto, key)));
    expect(request).toEqual({ kind: { kind: 'ec', curve: 'P-256' }, spki: key.spki });
  });

  it('a key survives its text', async () => {
    const key = await generateKey(crypto);
    const again = await parsePrivateKey(crypto, keyPem(key), 'x');
    expect(again.spki).toEqual(key.spki);
    expect(again.kind).toEqual(key.kind);
  });

  it('a key survives encryption, and only with the right key', async () => {
    const { random } = testWorld();
    const { pkcs8 } = await generateKey(crypto);
    const kek = random.bytes(32);
    const encrypted = await encryptKey({ crypto, random }, pkcs8, kek);
    expect(Buffer.from(await decryptKey(crypto, encrypted, kek))).toEqual(Buffer.from(pkcs8));
    for (let i = 0; i < 20; i++) {
      const error = await decryptKey(crypto, encrypted, random.bytes(32)).catch((e: unknown) => e);
      expect(tlsProblemOf(error)).toBe('locked');
      expect(error).toMatchObject({ message: 'node is locked, and needs a valid unlock key' });
    }
  });
});

describe('an encrypted key that is damaged', () => {
  it.each([
    ['empty', new Uint8Array()],
    ['garbage', bytes('garbage')],
    ['a plain key', undefined],
  ])('is called so: %s', async (_, data) => {
    const der = data ?? (await generateKey(SIM_CRYPTO)).pkcs8;
    expect(tlsProblemOf(await decryptKey(SIM_CRYPTO, der, bytes('k')).catch((e: unknown) => e))).toBe('damaged');
  });
});

describe('a certificate request', () => {
  const refused = async (csr: Uint8Array): Promise<unknown> => parseCsr(SIM_CRYPTO, csr).catch((e: unknown) => e);

  it.each([
    ['no PEM', bytes('hello'), 'holds no PEM block'],
    ['another block', bytes(pemText('CERTIFICATE', bytes('x'))), 'it is a CERTIFICATE'],
    ['garbage inside', bytes(pemText('CERTIFICATE REQUEST', bytes('garbage'))), 'the certificate request is not valid'],
    ['nothing inside', bytes(pemText('CERTIFICATE REQUEST', new Uint8Array())), 'the certificate request is not valid'],
    ['too much', new Uint8Array(70_000), 'it is larger than'],
  ])('is refused with %s', async (_, csr, message) => {
    expect(await refused(csr)).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining(message),
    });
  });

  it('is refused when its signature is changed', async () => {
    const { der } = parseOnePem(await createCsr(SIM_CRYPTO, await generateKey(SIM_CRYPTO)), 'x');
    const changed = Uint8Array.from(der);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    expect(await refused(bytes(pemText('CERTIFICATE REQUEST', changed)))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
  });

  it('is never accepted nor a crash with any byte changed', async () => {
    const { der } = parseOnePem(await createCsr(SIM_CRYPTO, await generateKey(SIM_CRYPTO)), 'x');
    for (let at = 0; at < der.length; at += 3) {
      const changed = Uint8Array.from(der);
      changed[at] = (changed[at] ?? 0) ^ 0x55;
      expect(await refused(bytes(pemText('CERTIFICATE REQUEST', changed)))).toMatchObject({
        code: Code.INVALID_ARGUMENT,
      });
    }
  });
});

describe.skipIf(!HAS_OPENSSL)('beside openssl', () => {
  it.each([
    ['P-256', [...EC, 'ec_paramgen_curve:P-256'], { kind: 'ec', curve: 'P-256' }],
    ['P-384', [...EC, 'ec_paramgen_curve:P-384'], { kind: 'ec', curve: 'P-384' }],
    ['P-521', [...EC, 'ec_paramgen_curve:P-521'], { kind: 'ec', curve: 'P-521' }],
    ['RSA 2048', ['-newkey', 'rsa:2048'], { kind: 'rsa', bits: 2048 }],
    ['RSA 3072', ['-newkey', 'rsa:3072'], { kind: 'rsa', bits: 3072 }],
  ])('a request with %s and an empty subject is accepted', async (_, args, kind) => {
    expect((await parseCsr(WEB_CRYPTO, opensslCsr(...args))).kind).toEqual(kind);
  });

  it.each([
    ['RSA 1024', ['-newkey', 'rsa:1024'], 'unsupported RSA key parameters: 1024 bits'],
    ['another curve', [...EC, 'ec_paramgen_curve:secp256k1'], 'unsupported ECDSA key parameters'],
    ['Ed25519', ['-newkey', 'ed25519'], 'unknown or unsupported certificate public key algorithm'],
  ])('a request with %s is refused', async (_, args, message) => {
    await expect(parseCsr(WEB_CRYPTO, opensslCsr(...args))).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining(message),
    });
  });

  it('our request is one to openssl too, with nothing in it but the key', async () => {
    const csr = await createCsr(WEB_CRYPTO, await generateKey(WEB_CRYPTO));
    const shown = openssl(['req', '-in', '@r.pem', '-verify', '-noout', '-text'], { 'r.pem': csr });
    expect(shown).toMatch(/Subject: *\n/);
    expect(shown).toMatch(/Attributes:\s+\(none\)/);
    expect(shown).not.toContain('X509v3');
  });

  it.each([
    ['SEC 1', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout'], 'EC PRIVATE KEY'],
    ['SEC 1 after its parameters', ['ecparam', '-name', 'secp384r1', '-genkey'], 'EC PARAMETERS'],
    ['PKCS#1', ['genrsa', '-traditional', '2048'], 'RSA PRIVATE KEY'],
    ['PKCS#8', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'], 'PRIVATE KEY'],
  ])('keys in %s are read', async (_, args, begins) => {
    const pem = openssl(args);
    expect(pem).toContain(`-----BEGIN ${begins}-----`);
    const key = await parsePrivateKey(WEB_CRYPTO, pem, 'x');
    const spki = openssl(['pkey', '-in', '@k.pem', '-pubout'], { 'k.pem': pem });
    expect(pemText('PUBLIC KEY', key.spki)).toBe(spki);
  });

  it('each reads the keys that the other encrypted', async () => {
    const kek = 'abcdefghijklmnopqrstuvwxyz012345';
    const { pkcs8 } = await generateKey(WEB_CRYPTO);
    const ours = pemText('ENCRYPTED PRIVATE KEY', await encryptKey(testWorld().deps, pkcs8, bytes(kek)));
    const plain = openssl(['pkcs8', '-in', '@k.pem', '-passin', `pass:${kek}`], { 'k.pem': ours });
    expect(Buffer.from(parseOnePem(plain, 'x').der)).toEqual(Buffer.from(pkcs8));
    for (const options of [
      ['-v2prf', 'hmacWithSHA1'],
      ['-v2prf', 'hmacWithSHA256'],
    ]) {
      const args = ['pkcs8', '-topk8', '-v2', 'aes-256-cbc', ...options, '-in', '@k.pem', '-passout', `pass:${kek}`];
      const theirs = parseOnePem(openssl(args, { 'k.pem': pemText('PRIVATE KEY', pkcs8) }), 'x');
      expect(Buffer.from(await decryptKey(WEB_CRYPTO, theirs.der, bytes(kek)))).toEqual(Buffer.from(pkcs8));
    }
  });
});

describe('a private key that cannot be used', () => {
  it.each([
    ['none', 'hello', 'x holds no private key'],
    ['garbage', pemText('PRIVATE KEY', bytes('garbage')), 'x: malformed private key'],
    ['an encrypted one', pemText('ENCRYPTED PRIVATE KEY', bytes('g')), 'keys of the form ENCRYPTED PRIVATE KEY'],
  ])('is refused: %s', async (_, pem, message) => {
    await expect(parsePrivateKey(SIM_CRYPTO, pem, 'x')).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining(message),
    });
  });
});
