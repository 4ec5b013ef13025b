import { createHash, X509Certificate } from 'node:crypto';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { ClusterSchema, durationFromMs, NodeRole, RootCASchema, type PeerIdentity } from '../api/index.js';
import { Code } from '../base/index.js';
import { WEB_CRYPTO } from '../platform/crypto.js';
import { parseCertificates, peerIdentityOf } from './certificate.js';
import { createRootCaMessage, issueLocally, rotateJoinToken } from './cluster-root.js';
import { createCsr } from './csr.js';
import { parseJoinToken } from './join-token.js';
import { generateKey, keyPem } from './keys.js';
import { nodeValidityMs, RootCa } from './root-ca.js';
import { tlsProblemOf } from './tls-problem.js';
import { bytes, HAS_OPENSSL, MANAGER, newRoot, openssl, testWorld, text, WORKER } from './world.test-helper.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

async function leafFor(subject: PeerIdentity, validityMs = 90 * DAY) {
  const world = testWorld();
  const { root, keyPem: rootKey } = await newRoot(world);
  const key = await generateKey(world.crypto);
  const csr = bytes(await createCsr(world.crypto, key));
  const pem = await root.sign({ csr, subject, validityMs, nowMs: world.clock.nowMs() });
  return { world, root, rootKey, key, csr, pem, x509: new X509Certificate(pem) };
}

describe('a new root', () => {
  it('is P-256, named swarm-ca, a CA of limited depth, for 20 years from an hour ago', async () => {
    const world = testWorld();
    const { root } = await newRoot(world);
    const x509 = new X509Certificate(root.bundlePem);
    expect(x509.subject).toBe('CN=swarm-ca');
    expect(x509.issuer).toBe('CN=swarm-ca');
    expect(x509.verify(x509.publicKey)).toBe(true);
    expect(x509.ca).toBe(true);
    expect(x509.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    const [parsed] = parseCertificates(root.bundlePem, 'x');
    expect(parsed.pathLength).toBe(1);
    expect(parsed.notBeforeMs).toBe(world.clock.nowMs() - HOUR);
    expect(parsed.notAfterMs - parsed.notBeforeMs).toBe(20 * 365 * DAY);
    expect(root.bundlePem).toMatch(/^-----BEGIN CERTIFICATE-----\n[\s\S]*-----END CERTIFICATE-----\n$/);
  });

  it('has the digest of its exact bytes', async () => {
    const { root } = await newRoot(testWorld());
    expect(root.digest).toBe(createHash('sha256').update(root.bundle).digest('hex'));
  });
});

describe('a node certificate', () => {
  it('says who the node is, whatever the request says', async () => {
    const { pem, x509, key } = await leafFor(MANAGER);
    expect(x509.subject).toBe('O=c1\nOU=swarm-manager\nCN=m1');
    expect(x509.subjectAltName).toBe('DNS:swarm-manager, DNS:m1, DNS:swarm-ca');
    expect(x509.issuer).toBe('CN=swarm-ca');
    expect(x509.ca).toBe(false);
    expect(x509.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(x509.publicKey.export({ type: 'spki', format: 'der' })).toEqual(Buffer.from(key.spki));
    expect(peerIdentityOf(parseCertificates(pem, 'x')[0])).toEqual(MANAGER);
  });

  it('does not let workers answer for the CA', async () => {
    const { x509 } = await leafFor(WORKER);
    expect(x509.subjectAltName).toBe('DNS:swarm-worker, DNS:w1');
  });

  it('is backdated by an hour and valid for what the cluster says after that', async () => {
    const { world, pem } = await leafFor(WORKER, 2 * HOUR);
    const [leaf] = parseCertificates(pem, 'x');
    expect(leaf.notBeforeMs).toBe(world.clock.nowMs() - HOUR);
    expect(leaf.notAfterMs).toBe(world.clock.nowMs() + 2 * HOUR);
  });

  it('names its issuer by key too, and has a long serial number of its own', async () => {
    const { root, pem, csr, world } = await leafFor(WORKER);
    const again = await root.sign({ csr, subject: WORKER, validityMs: DAY, nowMs: world.clock.nowMs() });
    const [a, b] = [new X509Certificate(pem), new X509Certificate(again)];
    expect(a.serialNumber).not.toBe(b.serialNumber);
    expect(a.serialNumber).toHaveLength(40);
    expect(a.checkIssued(new X509Certificate(root.bundlePem))).toBe(true);
  });

  it('follows the cluster in its validity, within the bounds', () => {
    const withExpiry = (ms?: number) =>
      create(ClusterSchema, { spec: { caConfig: ms === undefined ? {} : { nodeCertExpiry: durationFromMs(ms) } } });
    expect(nodeValidityMs(create(ClusterSchema, {}))).toBe(90 * DAY);
    expect(nodeValidityMs(withExpiry())).toBe(90 * DAY);
    expect(nodeValidityMs(withExpiry(HOUR))).toBe(HOUR);
    expect(nodeValidityMs(withExpiry(HOUR - 1))).toBe(90 * DAY);
  });

  it('is not made without the key', async () => {
    const { world, root, csr } = await leafFor(WORKER);
    const blind = await RootCa.load(world.deps, { bundle: root.bundle }, world.clock.nowMs());
    expect(blind.canSign).toBe(false);
    await expect(
      blind.sign({ csr, subject: WORKER, validityMs: DAY, nowMs: world.clock.nowMs() }),
    ).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: 'no valid signer found',
    });
  });
});

describe('verifying a node certificate', () => {
  it('names who signed it', async () => {
    const { world, root, pem } = await leafFor(WORKER);
    const issuer = await root.verify(pem, world.clock.nowMs());
    expect(issuer).toEqual(root.issuer);
    expect(Buffer.from(issuer.publicKey)).toEqual(
      new X509Certificate(root.bundlePem).publicKey.export({ type: 'spki', format: 'der' }),
    );
  });

  it.each([
    ['expired', 91 * DAY, 'certificate (1 - w1) not valid after Tue, 31 Mar 2020 00:00:00 UTC, and it is currently'],
    ['not-yet-valid', -DAY, 'certificate (1 - w1) not valid before'],
  ] as const)('calls it %s outside its time', async (problem, offset, message) => {
    const { world, root, pem } = await leafFor(WORKER);
    const error = await root.verify(pem, world.clock.nowMs() + offset).catch((e: unknown) => e);
    expect(tlsProblemOf(error)).toBe(problem);
    expect(error).toMatchObject({ message: expect.stringContaining(message) });
  });

  it('accepts an expired one where asked to', async () => {
    const { world, root, pem } = await leafFor(WORKER);
    await expect(root.verify(pem, world.clock.nowMs() + 91 * DAY, { allowExpired: true })).resolves.toEqual(
      root.issuer,
    );
  });

  it('calls it foreign when another root of the same name signed it', async () => {
    const { pem } = await leafFor(WORKER);
    const world = testWorld(2);
    const { root } = await newRoot(world);
    expect(tlsProblemOf(await root.verify(pem, world.clock.nowMs()).catch((e: unknown) => e))).toBe('foreign');
  });

  it('does not take a leaf for a CA', async () => {
    const { world, root, pem, key } = await leafFor(WORKER);
    const bundle = bytes(pem);
    await expect(RootCa.load(world.deps, { bundle }, world.clock.nowMs())).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
    const signing = { certificate: bundle, key: bytes(keyPem(key)) };
    const asSigner = await RootCa.load(world.deps, { bundle: root.bundle, signing }, world.clock.nowMs());
    const { pem: forged } = await issueLocally(
      asSigner,
      { ...MANAGER, nodeId: 'evil' },
      { ...world.deps, nowMs: world.clock.nowMs() },
    )
      .then(({ pair }) => ({ pem: pair.certificatePem }))
      .catch(() => ({ pem: undefined }));
    expect(forged).toBeUndefined();
  });

  it('refuses a chain in the wrong order', async () => {
    const { world, root, pem } = await leafFor(WORKER);
    const error = await root.verify(root.bundlePem + pem, world.clock.nowMs()).catch((e: unknown) => e);
    expect(error).toMatchObject({ message: expect.stringContaining('certificates do not form a chain') });
  });
});

describe('loading a root', () => {
  it.each([
    ['nothing', '', 'the root CA bundle holds no certificate'],
    ['a key', '-----BEGIN PRIVATE KEY-----\nAAEC\n-----END PRIVATE KEY-----\n', 'holds a PRIVATE KEY'],
    [
      'garbage',
      '-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n',
      'holds a certificate that cannot be used',
    ],
  ])('refuses %s', async (_, pem, message) => {
    const { deps, clock } = testWorld();
    await expect(RootCa.load(deps, { bundle: bytes(pem) }, clock.nowMs())).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining(message),
    });
  });

  it('refuses a key of another root', async () => {
    const world = testWorld();
    const [a, b] = [await newRoot(world), await newRoot(world)];
    const material = { bundle: a.root.bundle, signing: { certificate: a.root.bundle, key: bytes(b.keyPem) } };
    await expect(RootCa.load(world.deps, material, world.clock.nowMs())).rejects.toThrow('certificate key mismatch');
  });

  it('refuses a root past its end', async () => {
    const world = testWorld();
    const { root } = await newRoot(world);
    const error = await RootCa.load(world.deps, { bundle: root.bundle }, world.clock.nowMs() + 21 * 365 * DAY).catch(
      (e: unknown) => e,
    );
    expect(tlsProblemOf(error)).toBe('expired');
  });

  it('finds again what a cluster object holds, and trusts each root of a bundle', async () => {
    const world = testWorld();
    const [a, b] = [await newRoot(world), await newRoot(world)];
    const message = createRootCaMessage(a.root, a.keyPem, { random: world.random, fips: false });
    const loaded = await RootCa.fromApi(world.deps, message, world.clock.nowMs());
    expect(loaded.canSign).toBe(true);
    expect(message.caCertHash).toBe(`sha256:${loaded.digest}`);
    const both = await RootCa.load(
      world.deps,
      { bundle: bytes(a.root.bundlePem + b.root.bundlePem) },
      world.clock.nowMs(),
    );
    for (const { root } of [a, b]) {
      const { pair } = await issueLocally(root, WORKER, { ...world.deps, nowMs: world.clock.nowMs() });
      await expect(both.verify(pair.certificatePem, world.clock.nowMs())).resolves.toEqual(root.issuer);
    }
  });

  it('loads without a key where another party signs', async () => {
    const world = testWorld();
    const { root } = await newRoot(world);
    const loaded = await RootCa.fromApi(world.deps, create(RootCASchema, { caCert: root.bundle }), world.clock.nowMs());
    expect(loaded.canSign).toBe(false);
  });
});

describe('join tokens of a cluster', () => {
  it('carry the digest of the root and differ', async () => {
    const world = testWorld();
    const { root, keyPem: key } = await newRoot(world);
    const message = createRootCaMessage(root, key, { random: world.random, fips: true });
    const [worker, manager] = [message.joinTokens?.worker ?? '', message.joinTokens?.manager ?? ''];
    expect(parseJoinToken(worker)).toMatchObject({ rootDigest: root.digest, fips: true });
    expect(parseJoinToken(manager)).toMatchObject({ rootDigest: root.digest, fips: true });
    expect(worker).not.toBe(manager);
  });

  it('rotate one by one', async () => {
    const world = testWorld();
    const { root, keyPem: key } = await newRoot(world);
    const before = createRootCaMessage(root, key, { random: world.random, fips: false });
    const after = rotateJoinToken(before, NodeRole.WORKER, { random: world.random, fips: false });
    expect(after.joinTokens?.manager).toBe(before.joinTokens?.manager);
    expect(after.joinTokens?.worker).not.toBe(before.joinTokens?.worker);
    expect(parseJoinToken(after.joinTokens?.worker ?? '').rootDigest).toBe(root.digest);
    expect(rotateJoinToken(before, NodeRole.MANAGER, { random: world.random, fips: false }).joinTokens?.worker).toBe(
      before.joinTokens?.worker,
    );
    expect(() =>
      rotateJoinToken(create(RootCASchema, {}), NodeRole.WORKER, { random: world.random, fips: false }),
    ).toThrow('no root CA yet');
  });
});

describe.skipIf(!HAS_OPENSSL)('beside openssl', () => {
  it('a chain of ours verifies, with the extensions that SwarmKit sets', async () => {
    const { root, pem, world } = await leafFor(MANAGER);
    const at = ['-attime', String(world.clock.nowMs() / 1000)];
    const args = ['verify', '-x509_strict', '-purpose', 'sslserver', ...at, '-CAfile', '@root.pem', '@leaf.pem'];
    expect(openssl(args, { 'root.pem': root.bundlePem, 'leaf.pem': pem })).toContain('leaf.pem: OK');
    const shown = openssl(['x509', '-in', '@leaf.pem', '-noout', '-text'], { 'leaf.pem': pem });
    expect(shown).toMatch(/Key Usage: critical\s+Digital Signature, Key Encipherment\n/);
    expect(shown).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(shown).toContain('Subject Key Identifier');
    const ski = /Subject Key Identifier:\s*([0-9A-F:]+)/.exec(
      openssl(['x509', '-in', '@r', '-noout', '-text'], { r: root.bundlePem }),
    );
    expect(shown).toMatch(new RegExp(`Authority Key Identifier:\\s*(keyid:)?${ski?.[1]}`));
    expect(openssl(['x509', '-in', '@r', '-noout', '-text'], { r: root.bundlePem })).toMatch(
      /Key Usage: critical\s+Certificate Sign, CRL Sign\n/,
    );
  });

  it('a root of other making signs too: another curve, more names, SEC 1 key', async () => {
    const key = openssl(['ecparam', '-name', 'secp384r1', '-genkey', '-noout']);
    const args = ['req', '-x509', '-new', '-key', '@k', '-days', '400', '-sha384', '-subj', '/C=DE/O=Acme/CN=swarm-ca'];
    const bundle = bytes(openssl(args, { k: key }));
    const deps = { ...testWorld().deps, crypto: WEB_CRYPTO };
    const nowMs = Date.now();
    const root = await RootCa.load(deps, { bundle, signing: { certificate: bundle, key: bytes(key) } }, nowMs);
    const { pair } = await issueLocally(root, WORKER, { ...deps, nowMs });
    expect(openssl(['verify', '-CAfile', '@r', '@l'], { r: bundle, l: pair.certificatePem })).toContain(': OK');
  });
});

describe('over real TLS', () => {
  async function handshake(trusted: 'own' | 'other', servername: string): Promise<string> {
    const deps = { ...testWorld().deps, crypto: WEB_CRYPTO };
    const nowMs = Date.now();
    const [{ root }, other] = [await RootCa.create(deps, nowMs), await RootCa.create(deps, nowMs)];
    const server = await issueLocally(root, MANAGER, { ...deps, nowMs });
    const client = await issueLocally(trusted === 'own' ? root : other.root, WORKER, { ...deps, nowMs });
    const listener = createServer(
      {
        cert: server.pair.certificatePem,
        key: keyPem(server.pair.key),
        ca: root.bundlePem,
        requestCert: true,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.2',
      },
      (socket: TLSSocket) => {
        const { subject } = socket.getPeerCertificate();
        socket.end([socket.authorized, subject.CN, subject.OU, subject.O].join(' '));
      },
    );
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as { port: number };
    try {
      return await new Promise<string>((resolve, reject) => {
        const socket = connect({
          port,
          host: '127.0.0.1',
          servername,
          ca: root.bundlePem,
          cert: client.pair.certificatePem,
          key: keyPem(client.pair.key),
        });
        let answer = '';
        socket.on('data', (data: Buffer) => (answer += text(data)));
        socket.on('end', () => resolve(answer));
        socket.on('error', reject);
      });
    } finally {
      listener.close();
    }
  }

  it.each(['swarm-manager', 'swarm-ca', 'm1'])('a manager is known as %s, and knows its worker', async (name) => {
    expect(await handshake('own', name)).toBe('true w1 swarm-worker c1');
  });

  it('a certificate of a foreign cluster is seen as such', async () => {
    expect(await handshake('other', 'swarm-manager')).toMatch(/^false w1/);
  });

  it('a manager is not taken for another name', async () => {
    await expect(handshake('own', 'swarm-worker')).rejects.toThrow('altnames');
  });
});
