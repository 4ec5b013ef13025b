import { describe, expect, it } from 'vitest';

import {
  bindService,
  CA,
  EncryptionKey_Algorithm,
  IssuanceStatus_State,
  NodeCA,
  NodeRole,
  NodeSpec_Availability,
  type BoundService,
  type ServiceHandlers,
} from '../api/index.js';
import { Code, SILENT_LOGGER, SwarmError } from '../base/index.js';
import { networkConnector } from './ca-connector.js';
import { CertificateClient } from './certificate-client.js';
import { createCluster, isFipsCluster, issueLocally } from './cluster-root.js';
import { generateJoinToken } from './join-token.js';
import { keyPem } from './keys.js';
import { RootCa } from './root-ca.js';
import { loadSecurity } from './security-config.js';
import { bytes, testCa, testWorld, text } from './world.test-helper.js';

const { signal } = new AbortController();

/** A machine of its own, with a client that asks the managers in turn. */
function newNode(
  ca: Awaited<ReturnType<typeof testCa>>,
  addrs: readonly string[] = ['m1:2377'],
  unlockKey?: Uint8Array,
) {
  const { deps, disk, keyFiles, random } = testWorld(99);
  const observed: string[] = [];
  let tries = 0;
  const pick = (): string => addrs[Math.min(tries++, addrs.length - 1)] ?? '';
  const connector = networkConnector(ca.network, pick, (addr, ok) => void observed.push(`${addr} ${ok}`));
  const files = keyFiles(unlockKey);
  const client = new CertificateClient(
    { fips: false },
    { ...deps, connector, keyFiles: files, clock: ca.clock, log: SILENT_LOGGER },
  );
  const reload = () => loadSecurity(files, deps, { nowMs: ca.clock.nowMs(), allowExpired: false });
  return {
    client,
    files,
    disk,
    deps,
    random,
    observed,
    reload,
    get tries() {
      return tries;
    },
  };
}

/** Lets virtual time pass until the promise has settled; what it took. */
async function settled<T>(
  ca: Awaited<ReturnType<typeof testCa>>,
  promise: Promise<T>,
): Promise<{ value?: T; error?: unknown; ms: number }> {
  const startMs = ca.clock.nowMs();
  let outcome: { value?: T; error?: unknown } | undefined;
  void promise.then(
    (value) => (outcome = { value }),
    (error: unknown) => (outcome = { error }),
  );
  await ca.clock.runUntil(() => outcome !== undefined, 600_000);
  return { ...outcome, ms: ca.clock.nowMs() - startMs };
}

function managerServices(handlers: {
  ca?: ServiceHandlers<typeof CA>;
  nodeCa?: ServiceHandlers<typeof NodeCA>;
}): readonly BoundService[] {
  return [bindService(CA, handlers.ca ?? {}), bindService(NodeCA, handlers.nodeCa ?? {})];
}

describe('joining', () => {
  it.each([
    ['worker', 'swarm-worker'],
    ['manager', 'swarm-manager'],
  ] as const)('as %s gives an identity that is found again in the files', async (token, role) => {
    const ca = await testCa();
    await ca.start();
    const node = newNode(ca);
    const request = { token: ca.tokens[token], availability: NodeSpec_Availability.PAUSE };
    const { value: security, ms } = await settled(ca, node.client.join(request, undefined, signal));
    expect(ms).toBe(0);
    expect(security?.peer).toMatchObject({ role, clusterId: 'c1' });
    expect(ca.node(security?.peer.nodeId ?? '')?.spec?.availability).toBe(NodeSpec_Availability.PAUSE);
    const loaded = await node.reload();
    expect(loaded.kind === 'loaded' && loaded.security.current()).toEqual(security?.current());
    expect(ca.network.open).toBe(0);
    await ca.stop();
  });

  it('trusts the root only by its digest, then the manager only by the root', async () => {
    const ca = await testCa();
    await ca.start();
    const node = newNode(ca);
    await node.client.join({ token: ca.tokens.manager }, undefined, signal);
    expect(ca.network.dialed.map(({ credentials }) => credentials.kind)).toEqual(['unverified', 'root', 'mutual']);
    expect(ca.network.dialed[1]?.credentials).toEqual({ kind: 'root', rootPem: ca.root.bundlePem });
    expect(node.observed).toEqual(['m1:2377 true', 'm1:2377 true', 'm1:2377 true']);
    await ca.stop();
  });

  it('skips the root where it is known from an earlier attempt', async () => {
    const ca = await testCa();
    await ca.start();
    await newNode(ca).client.join({ token: ca.tokens.worker }, ca.root, signal);
    expect(ca.network.dialed.map(({ credentials }) => credentials.kind)).toEqual(['root']);
    await ca.stop();
  });

  it('refuses a root that is not the one of the token, at once', async () => {
    const ca = await testCa();
    await ca.start();
    const node = newNode(ca);
    const digest = 'a'.repeat(64);
    const token = generateJoinToken(digest, ca.random, { fips: false });
    const { error, ms } = await settled(ca, node.client.join({ token }, undefined, signal));
    expect(error).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: `remote CA does not match fingerprint. Expected: ${digest}`,
    });
    expect(ms).toBe(0);
    expect((await node.reload()).kind).toBe('no-root');
    await ca.stop();
  });

  it('refuses a root with another one smuggled in', async () => {
    const ca = await testCa();
    const other = await createCluster(
      { nowMs: ca.clock.nowMs(), fips: false },
      { ...ca.deps, keyFiles: newNode(ca).files },
    );
    const certificate = bytes(ca.root.bundlePem + other.security.rootCa.bundlePem);
    ca.network.servers.set('m1:2377', managerServices({ ca: { getRootCACertificate: async () => ({ certificate }) } }));
    const { error } = await settled(ca, newNode(ca).client.downloadRoot(ca.tokens.worker, signal));
    expect(error).toMatchObject({ message: expect.stringContaining('does not match fingerprint') });
  });

  it('trusts on first use without a token, and is then not let in', async () => {
    const ca = await testCa();
    await ca.start();
    const node = newNode(ca);
    const root = await node.client.downloadRoot('', signal);
    expect(root.digest).toBe(ca.root.digest);
    expect(text((await node.files.readRoot()) ?? new Uint8Array())).toBe(ca.root.bundlePem);
    const { error, ms } = await settled(ca, node.client.join({ token: '' }, root, signal));
    expect(error).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'A valid join token is necessary to join this cluster',
    });
    expect(ms).toBe(0);
    await ca.stop();
  });

  it.each(['nonsense', 'SWMTKN-1-x-y'])('refuses the token %j before it asks anybody', async (token) => {
    const ca = await testCa();
    await expect(newNode(ca).client.join({ token }, undefined, signal)).rejects.toThrow('invalid join token');
    expect(ca.network.dialed).toEqual([]);
  });

  it('refuses a cluster that wants FIPS', async () => {
    const ca = await testCa();
    const token = generateJoinToken(ca.root.digest, ca.random, { fips: true });
    await expect(newNode(ca).client.join({ token }, undefined, signal)).rejects.toThrow('cluster requires FIPS');
  });

  it('asks another manager, five times in all, two seconds apart', async () => {
    const ca = await testCa();
    const node = newNode(ca, ['dead:1']);
    const { error, ms } = await settled(ca, node.client.join({ token: ca.tokens.worker }, undefined, signal));
    expect(error).toMatchObject({ code: Code.UNAVAILABLE });
    expect(ms).toBe(8_000);
    expect(node.observed).toEqual(Array.from({ length: 5 }, () => 'dead:1 false'));
    await ca.start();
    const second = newNode(ca, ['dead:1', 'dead:2', 'm1:2377']);
    const { value } = await settled(ca, second.client.join({ token: ca.tokens.worker }, undefined, signal));
    expect(value?.peer.role).toBe('swarm-worker');
    await ca.stop();
  });

  it('waits for a manager that is still starting', async () => {
    const ca = await testCa();
    const node = newNode(ca);
    const joining = settled(ca, node.client.join({ token: ca.tokens.worker }, undefined, signal));
    await ca.start();
    expect((await joining).value?.peer.role).toBe('swarm-worker');
    await ca.stop();
  });

  it('gives up on a manager that does not answer within five seconds', async () => {
    const ca = await testCa();
    const silent = managerServices({
      ca: {
        getRootCACertificate: (_, context) =>
          new Promise((__, reject) =>
            context.signal.addEventListener('abort', () => reject(context.signal.reason as Error)),
          ),
      },
    });
    ca.network.servers.set('silent', silent);
    const { error, ms } = await settled(ca, newNode(ca, ['silent']).client.downloadRoot(ca.tokens.worker, signal));
    expect(error).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    expect(ms).toBe(5 * 5_000 + 4 * 2_000);
    expect(ca.network.open).toBe(0);
  });

  it('stops at once when told to, and leaves nothing behind', async () => {
    const ca = await testCa();
    const stop = new AbortController();
    const joining = newNode(ca, ['dead:1']).client.join({ token: ca.tokens.worker }, undefined, stop.signal);
    await ca.clock.settle();
    stop.abort(new Error('stopped'));
    await expect(joining).rejects.toThrow('stopped');
    expect(ca.clock.pendingTimers).toBe(0);
    expect(ca.network.open).toBe(0);
  });
});

describe('waiting for the certificate', () => {
  it('goes on, ever more slowly, until it is signed', async () => {
    const ca = await testCa();
    await ca.updateCluster((cluster) => ({ ...cluster, rootCa: { ...ca.rootCa, caKey: new Uint8Array() } }));
    await ca.start();
    const node = newNode(ca);
    const joining = node.client.join({ token: ca.tokens.worker }, undefined, signal);
    await ca.clock.advance(120_000);
    expect(ca.network.open).toBe(1);
    expect(node.tries).toBe(2);
    await ca.updateCluster((cluster) => ({ ...cluster, rootCa: ca.rootCa }));
    const { value, ms } = await settled(ca, joining);
    expect(value?.peer.role).toBe('swarm-worker');
    expect(ms).toBeLessThan(31_000);
    await ca.stop();
  });

  it('is not misled by an answer about an earlier request', async () => {
    const ca = await testCa();
    await ca.start();
    const joined = (await settled(ca, newNode(ca).client.join({ token: ca.tokens.worker }, undefined, signal))).value;
    const stale = ca.node(joined?.peer.nodeId ?? '')?.certificate;
    const [, nodeCa] = ca.server.services();
    const real = nodeCa?.handlers as Required<ServiceHandlers<typeof NodeCA>>;
    let answers = 0;
    const services = managerServices({
      nodeCa: {
        issueNodeCertificate: real.issueNodeCertificate,
        nodeCertificateStatus: async (request, context) =>
          answers++ < 3 && stale?.status !== undefined
            ? { status: stale.status, certificate: stale }
            : real.nodeCertificateStatus(request, context),
      },
    });
    ca.network.servers.set('m1:2377', services);
    const { value } = await settled(ca, newNode(ca).client.join({ token: ca.tokens.worker }, ca.root, signal));
    expect(answers).toBe(4);
    expect(value?.peer.nodeId).not.toBe(joined?.peer.nodeId);
    await ca.stop();
  });

  it('goes over to another manager where the connection breaks', async () => {
    const ca = await testCa();
    await ca.start();
    const [, nodeCa] = ca.server.services();
    const real = nodeCa?.handlers as Required<ServiceHandlers<typeof NodeCA>>;
    const broken = managerServices({
      nodeCa: {
        issueNodeCertificate: real.issueNodeCertificate,
        nodeCertificateStatus: () => Promise.reject(new SwarmError(Code.UNAVAILABLE, 'broken')),
      },
    });
    ca.network.servers.set('broken', broken);
    const node = newNode(ca, ['broken', 'm1:2377']);
    const { value } = await settled(ca, node.client.join({ token: ca.tokens.worker }, ca.root, signal));
    expect(value?.peer.role).toBe('swarm-worker');
    expect(node.observed).toEqual(['broken false', 'm1:2377 true']);
    await ca.stop();
  });

  it('ends with the refusal of the CA', async () => {
    const ca = await testCa();
    const services = managerServices({
      nodeCa: {
        issueNodeCertificate: async ({ csr }) => {
          seen = csr;
          return { nodeId: 'n' };
        },
        nodeCertificateStatus: async () => {
          const status = { state: IssuanceStatus_State.FAILED, err: 'no good' };
          return { status, certificate: { csr: seen, status } };
        },
      },
    });
    let seen: Uint8Array = new Uint8Array();
    ca.network.servers.set('m1:2377', services);
    const { error, ms } = await settled(ca, newNode(ca).client.join({ token: ca.tokens.worker }, ca.root, signal));
    expect(error).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: 'the CA refused to issue a certificate: no good',
    });
    expect(ms).toBe(0);
  });

  it('asks anew when the node was removed in the meantime', async () => {
    const ca = await testCa();
    await ca.updateCluster((cluster) => ({ ...cluster, rootCa: { ...ca.rootCa, caKey: new Uint8Array() } }));
    await ca.start();
    const joining = newNode(ca).client.join({ token: ca.tokens.worker }, undefined, signal);
    await ca.clock.settle();
    await ca.store.update((tx) => {
      for (const { id } of tx.find('node', { kind: 'all' })) tx.remove('node', id);
    });
    await ca.clock.settle();
    await ca.updateCluster((cluster) => ({ ...cluster, rootCa: ca.rootCa }));
    const { value, ms } = await settled(ca, joining);
    expect(ca.node(value?.peer.nodeId ?? '')).toBeDefined();
    expect(ms).toBe(2_000);
    await ca.stop();
  });

  it.each([
    ['of another root', 'foreign', 'is not signed by a trusted root'],
    ['for another key', 'mismatch', 'is for another key'],
  ])('does not accept a certificate %s', async (_, kind, message) => {
    const ca = await testCa();
    const other = await createCluster(
      { nowMs: ca.clock.nowMs(), fips: false },
      { ...ca.deps, keyFiles: newNode(ca).files },
    );
    let seen: Uint8Array = new Uint8Array();
    const foreignRoot = other.security.rootCa;
    const services = managerServices({
      nodeCa: {
        issueNodeCertificate: async ({ csr }) => ((seen = csr), { nodeId: 'n' }),
        nodeCertificateStatus: async () => {
          const status = { state: IssuanceStatus_State.ISSUED };
          if (kind === 'mismatch') {
            const { pair } = await issueLocally(
              ca.root,
              { nodeId: 'n', role: 'swarm-worker', clusterId: 'c1' },
              { ...ca.deps, nowMs: ca.clock.nowMs() },
            );
            return { status, certificate: { csr: seen, certificate: bytes(pair.certificatePem) } };
          }
          const signer = await foreignSigner();
          const pem = await signer.sign({
            csr: seen,
            subject: other.security.peer,
            validityMs: 3_600_000,
            nowMs: ca.clock.nowMs(),
          });
          return { status, certificate: { csr: seen, certificate: bytes(pem) } };
        },
      },
    });
    const foreignSigner = () => RootCa.fromApi(ca.deps, other.rootCa, ca.clock.nowMs());
    expect(foreignRoot.canSign).toBe(true);
    ca.network.servers.set('m1:2377', services);
    const node = newNode(ca);
    const { error } = await settled(ca, node.client.join({ token: ca.tokens.worker }, ca.root, signal));
    expect(error).toMatchObject({ message: expect.stringContaining(message) });
    expect((await node.reload()).kind).toBe('no-root');
    await expect(node.files.read()).rejects.toMatchObject({ code: Code.NOT_FOUND });
  });
});

describe('renewing', () => {
  it('keeps the identity, takes over the new role, and tells who listens', async () => {
    const ca = await testCa();
    await ca.start();
    const node = newNode(ca);
    const security = await node.client.join({ token: ca.tokens.worker }, undefined, signal);
    const before = security.current();
    await ca.store.update((tx) => {
      const present = tx.get('node', security.peer.nodeId);
      if (present !== undefined) tx.update('node', { ...present, role: NodeRole.MANAGER });
    });
    let changes = 0;
    using _ = security.subscribe(() => void changes++);
    await node.client.renew(security, signal);
    expect(changes).toBe(1);
    expect(security.peer).toEqual({ ...before.peer, role: 'swarm-manager' });
    expect(security.current().privateKeyPem).not.toBe(before.privateKeyPem);
    const loaded = await node.reload();
    expect(loaded.kind === 'loaded' && loaded.security.current()).toEqual(security.current());
    await ca.stop();
  });

  it('leaves everything as it was when it fails', async () => {
    const ca = await testCa();
    await ca.start();
    const node = newNode(ca);
    const security = await node.client.join({ token: ca.tokens.worker }, undefined, signal);
    const before = security.current();
    await ca.store.update((tx) => tx.remove('node', security.peer.nodeId));
    const { error, ms } = await settled(ca, node.client.renew(security, signal));
    expect(error).toMatchObject({ code: Code.NOT_FOUND });
    expect(ms).toBe(8_000);
    expect(security.current()).toBe(before);
    expect((await node.files.read()).certificatePem).toBe(before.certificatePem);
    await ca.stop();
  });
});

describe('the unlock key', () => {
  async function lockedCa() {
    const ca = await testCa();
    const kek = bytes('0123456789abcdef0123456789abcdef');
    await ca.updateCluster((cluster) => {
      if (cluster.spec === undefined) throw new Error('no spec');
      return {
        ...cluster,
        spec: {
          ...cluster.spec,
          encryptionConfig: { $typeName: 'docker.swarmkit.v1.EncryptionConfig', autoLockManagers: true },
        },
        unlockKeys: [
          {
            $typeName: 'docker.swarmkit.v1.EncryptionKey',
            subsystem: 'swarm-manager',
            algorithm: EncryptionKey_Algorithm.AES_128_GCM,
            key: kek,
            lamportTime: 0n,
          },
        ],
      };
    });
    await ca.start();
    return { ca, kek };
  }

  it('encrypts a manager from its first moment', async () => {
    const { ca, kek } = await lockedCa();
    const node = newNode(ca);
    const security = await node.client.join({ token: ca.tokens.manager }, undefined, signal);
    const file = text(await node.disk.readFile('/c/swarm-node.key'));
    expect(file).toContain('-----BEGIN ENCRYPTED PRIVATE KEY-----');
    expect(security.current().privateKeyPem).toContain('-----BEGIN PRIVATE KEY-----');
    expect(node.files.kek).toEqual({
      key: kek,
      version: ca.store.view((tx) => tx.get('cluster', 'c1'))?.meta?.version?.index,
    });
    await ca.stop();
  });

  it('is not for workers, and is dropped by a manager that becomes one', async () => {
    const { ca } = await lockedCa();
    const node = newNode(ca);
    const security = await node.client.join({ token: ca.tokens.manager }, undefined, signal);
    await ca.store.update((tx) => {
      const present = tx.get('node', security.peer.nodeId);
      if (present !== undefined) tx.update('node', { ...present, role: NodeRole.WORKER });
    });
    await node.client.renew(security, signal);
    expect(text(await node.disk.readFile('/c/swarm-node.key'))).toContain('-----BEGIN PRIVATE KEY-----');
    await ca.stop();
  });

  it('is not expected of managers that do not know it', async () => {
    const ca = await testCa();
    await ca.start();
    const [, nodeCa] = ca.server.services();
    ca.network.servers.set('old', nodeCa === undefined ? [] : [nodeCa]);
    const { value } = await settled(
      ca,
      newNode(ca, ['old']).client.join({ token: ca.tokens.manager }, ca.root, signal),
    );
    expect(value?.peer.role).toBe('swarm-manager');
    await ca.stop();
  });
});

describe('a new cluster', () => {
  it('has a manager with a certificate of its own root, and tokens for others', async () => {
    const world = testWorld();
    const files = world.keyFiles();
    const { security, rootCa } = await createCluster(
      { nowMs: world.clock.nowMs(), fips: false },
      { ...world.deps, keyFiles: files },
    );
    expect(security.peer.role).toBe('swarm-manager');
    expect(isFipsCluster(security.peer.clusterId)).toBe(false);
    expect(text(rootCa.caCert)).toBe(security.current().rootPem);
    expect(rootCa.joinTokens?.worker).toMatch(/^SWMTKN-1-/);
    expect(text(rootCa.caKey)).toContain('PRIVATE KEY');
    const loaded = await loadSecurity(world.keyFiles(), world.deps, {
      nowMs: world.clock.nowMs(),
      allowExpired: false,
    });
    expect(loaded.kind === 'loaded' && loaded.security.current()).toEqual(security.current());
    // The root's key is for the replicated store only.
    expect((await world.disk.list('/c')).map(({ name }) => name)).toEqual([
      'swarm-node.crt',
      'swarm-node.key',
      'swarm-root-ca.crt',
    ]);
    expect(keyPem(security.credentials.pair.key)).not.toBe(text(rootCa.caKey));
  });

  it('says in its id and tokens that it wants FIPS', async () => {
    const world = testWorld();
    const { security, rootCa } = await createCluster(
      { nowMs: world.clock.nowMs(), fips: true },
      { ...world.deps, keyFiles: world.keyFiles() },
    );
    expect(isFipsCluster(security.peer.clusterId)).toBe(true);
    expect(rootCa.joinTokens?.manager).toMatch(/^SWMTKN-2-1-/);
  });
});
