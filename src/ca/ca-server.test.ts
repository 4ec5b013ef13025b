import { create, fromBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import {
  durationFromMs,
  EncryptionKey_Algorithm,
  IssuanceStatus_State,
  IssueNodeCertificateRequestSchema,
  NodeRole,
  NodeSchema,
  NodeSpec_Availability,
  NodeSpec_Membership,
  type NodeCertificateStatusResponse,
} from '../api/index.js';
import { Code } from '../base/index.js';
import { by } from '../store/index.js';
import { parseCertificates, peerIdentityOf } from './certificate.js';
import { rotateJoinToken } from './cluster-root.js';
import { parseCsr } from './csr.js';
import { pemText } from './pem.js';
import { authorizationView, isRevoked, withoutExpired, withRevoked } from './revocation.js';
import { bytes, MANAGER, testCa, WORKER } from './world.test-helper.js';

const { signal } = new AbortController();
const options = { signal };
const { PENDING, RENEW, ISSUED, FAILED, ROTATE } = IssuanceStatus_State;
const DAY = 24 * 3_600_000;

type World = Awaited<ReturnType<typeof testCa>>;

async function join(
  world: World,
  token: string,
): Promise<{ id: string; csr: Uint8Array; status: NodeCertificateStatusResponse }> {
  const { nodeCa } = world.as(undefined);
  const csr = await world.csr();
  const { nodeId } = await nodeCa.issueNodeCertificate({ csr, token }, options);
  return { id: nodeId, csr, status: await nodeCa.nodeCertificateStatus({ nodeId }, options) };
}

function setState(world: World, nodeId: string, state: IssuanceStatus_State): Promise<void> {
  return world.store.update((tx) => {
    const node = tx.get('node', nodeId);
    if (node?.certificate?.status === undefined) throw new Error('no such node');
    tx.update('node', { ...node, certificate: { ...node.certificate, status: { ...node.certificate.status, state } } });
  });
}

describe('a new node', () => {
  it.each([
    ['worker', NodeRole.WORKER, 'swarm-worker'],
    ['manager', NodeRole.MANAGER, 'swarm-manager'],
  ] as const)('with the %s token gets a certificate of that role', async (token, role, ou) => {
    const world = await testCa();
    await world.start();
    const { id, csr, status } = await join(world, world.tokens[token]);
    expect(id).toMatch(/^[0-9a-z]{25}$/);
    expect(status.status).toMatchObject({ state: ISSUED, err: '' });
    expect(status.certificate).toMatchObject({ cn: id, role, csr });
    const [leaf] = parseCertificates(status.certificate?.certificate ?? '', 'x');
    expect(peerIdentityOf(leaf)).toEqual({ nodeId: id, role: ou, clusterId: 'c1' });
    expect(leaf.notAfterMs).toBe(world.clock.nowMs() + 90 * DAY);
    expect(world.node(id)).toMatchObject({
      id,
      role,
      spec: { desiredRole: role, membership: NodeSpec_Membership.ACCEPTED, availability: NodeSpec_Availability.ACTIVE },
      VXLANUDPPort: 4789,
    });
    await world.stop();
  });

  it('has the availability that it asked for, and is answered ACCEPTED before it is signed', async () => {
    const world = await testCa();
    await world.start();
    const request = { csr: await world.csr(), token: world.tokens.worker, availability: NodeSpec_Availability.DRAIN };
    const reply = await world.as(undefined).nodeCa.issueNodeCertificate(request, options);
    expect(reply.nodeMembership).toBe(NodeSpec_Membership.ACCEPTED);
    expect(world.node(reply.nodeId)?.spec?.availability).toBe(NodeSpec_Availability.DRAIN);
    await world.stop();
  });

  it('cannot choose its role itself', async () => {
    const world = await testCa();
    await world.start();
    const request = { csr: await world.csr(), token: world.tokens.worker, role: NodeRole.MANAGER };
    const { nodeId } = await world.as(undefined).nodeCa.issueNodeCertificate(request, options);
    expect(world.node(nodeId)?.role).toBe(NodeRole.WORKER);
    await world.stop();
  });

  it('is refused with the token of managers where there can be only one, and nothing is stored', async () => {
    const world = await testCa({ admitsManagers: false });
    await world.start();
    const request = { csr: await world.csr(), token: world.tokens.manager };
    await expect(world.as(undefined).nodeCa.issueNodeCertificate(request, options)).rejects.toMatchObject({
      code: Code.UNIMPLEMENTED,
      message: 'this cluster cannot have a second manager yet: join with the token for workers',
    });
    expect(world.store.view((tx) => tx.count('node'))).toBe(0);
    await world.stop();
  });

  it.each([
    ['no token', ''],
    ['another token', 'SWMTKN-1-x-y'],
  ])('is refused with %s, and nothing is stored', async (_, token) => {
    const world = await testCa();
    await world.start();
    await expect(
      world.as(undefined).nodeCa.issueNodeCertificate({ csr: await world.csr(), token }, options),
    ).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'A valid join token is necessary to join this cluster',
    });
    expect(world.store.view((tx) => tx.count('node'))).toBe(0);
    await world.stop();
  });

  it('is refused with a token that was rotated away, and let in with the new one', async () => {
    const world = await testCa();
    await world.start();
    await world.updateCluster((cluster) => ({
      ...cluster,
      rootCa: rotateJoinToken(world.rootCa, NodeRole.WORKER, { random: world.random, fips: false }),
    }));
    await expect(join(world, world.tokens.worker)).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    const token = world.store.view((tx) => tx.get('cluster', 'c1'))?.rootCa?.joinTokens?.worker ?? '';
    expect((await join(world, token)).status.status?.state).toBe(ISSUED);
    expect((await join(world, world.tokens.manager)).status.status?.state).toBe(ISSUED);
    await world.stop();
  });

  it.each([
    ['nothing', new Uint8Array(), 'InvalidArgument'],
    ['garbage', bytes('garbage'), 'holds no PEM block'],
    ['a broken request', bytes(pemText('CERTIFICATE REQUEST', bytes('x'))), 'the certificate request is not valid'],
  ])('is refused when its request is %s, and nothing is stored', async (_, csr, message) => {
    const world = await testCa();
    await world.start();
    const { nodeCa } = world.as(undefined);
    await expect(nodeCa.issueNodeCertificate({ csr, token: world.tokens.worker }, options)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining(message),
    });
    expect(world.store.view((tx) => tx.count('node'))).toBe(0);
    await world.stop();
  });

  it('is refused an availability that does not exist', async () => {
    const world = await testCa();
    await world.start();
    // As it comes from the wire: field 4 with the value 9.
    const wire = fromBinary(IssueNodeCertificateRequestSchema, Uint8Array.of(0x20, 9));
    const request = { ...wire, csr: await world.csr(), token: world.tokens.worker };
    await expect(world.as(undefined).nodeCa.issueNodeCertificate(request, options)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
    await world.stop();
  });

  it.each([
    [3, true],
    [4, false],
  ])('gets another id after %i that are taken: %s', async (collisions, admitted) => {
    const world = await testCa();
    await world.start();
    const fixed = new Uint8Array(17).fill(7);
    const { id } = await join(world, world.tokens.worker);
    await world.store.update((tx) => {
      const node = tx.get('node', id);
      if (node === undefined) throw new Error('no node');
      // The id that 17 bytes of 7 give.
      const taken = (BigInt(`0x${'07'.repeat(17)}`) | (1n << 135n)).toString(36).slice(1, 26);
      tx.create('node', { ...node, id: taken });
    });
    const original = world.random.bytes.bind(world.random);
    let ids = 0;
    world.random.bytes = (count) => (count === 17 && ids++ < collisions ? fixed : original(count));
    const second = join(world, world.tokens.worker);
    if (admitted) await expect(second).resolves.toMatchObject({ status: { status: { state: ISSUED } } });
    else await expect(second).rejects.toMatchObject({ code: Code.ALREADY_EXISTS });
    await world.stop();
  });
});

describe('renewal', () => {
  it('keeps the id and takes the role from the store', async () => {
    const world = await testCa();
    await world.start();
    const { id } = await join(world, world.tokens.worker);
    await world.store.update((tx) => {
      const node = tx.get('node', id);
      if (node !== undefined) tx.update('node', { ...node, role: NodeRole.MANAGER });
    });
    const csr = await world.csr();
    const { nodeCa } = world.as({ ...WORKER, nodeId: id });
    const reply = await nodeCa.issueNodeCertificate({ csr }, options);
    expect(reply).toMatchObject({ nodeId: id, nodeMembership: NodeSpec_Membership.ACCEPTED });
    const status = await nodeCa.nodeCertificateStatus({ nodeId: id }, options);
    expect(status.certificate).toMatchObject({ csr, role: NodeRole.MANAGER, status: { state: ISSUED } });
    expect(peerIdentityOf(parseCertificates(status.certificate?.certificate ?? '', 'x')[0])?.role).toBe(
      'swarm-manager',
    );
    await world.stop();
  });

  it('does not need a token, and uses none', async () => {
    const world = await testCa();
    await world.start();
    const { id } = await join(world, world.tokens.worker);
    await world
      .as({ ...WORKER, nodeId: id })
      .nodeCa.issueNodeCertificate({ csr: await world.csr(), token: world.tokens.manager }, options);
    expect(world.store.view((tx) => tx.find('node', by.all()))).toHaveLength(1);
    await world.stop();
  });

  it('is refused to a node that is not there', async () => {
    const world = await testCa();
    await world.start();
    await expect(
      world.as(WORKER).nodeCa.issueNodeCertificate({ csr: await world.csr() }, options),
    ).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: 'node w1 not found when attempting to renew certificate',
    });
    await world.stop();
  });

  it('is refused to a removed node and to one of a foreign cluster: they are strangers', async () => {
    const world = await testCa();
    await world.start();
    const { id } = await join(world, world.tokens.worker);
    const attempt = async (peer: typeof WORKER): Promise<unknown> =>
      world.as(peer).nodeCa.issueNodeCertificate({ csr: await world.csr() }, options);
    await expect(attempt({ ...WORKER, nodeId: id, clusterId: 'c2' })).rejects.toThrow(
      'A valid join token is necessary',
    );
    await world.updateCluster((cluster) => ({
      ...cluster,
      blacklistedCertificates: withRevoked(cluster, world.node(id) ?? create(NodeSchema)),
    }));
    await expect(attempt({ ...WORKER, nodeId: id })).rejects.toThrow('A valid join token is necessary');
    expect(world.node(id)?.certificate?.status?.state).toBe(ISSUED);
    await world.stop();
  });

  it('may follow a failure', async () => {
    const world = await testCa();
    await world.start();
    const { id } = await join(world, world.tokens.worker);
    await setState(world, id, FAILED);
    const { nodeCa } = world.as({ ...WORKER, nodeId: id });
    await nodeCa.issueNodeCertificate({ csr: await world.csr() }, options);
    expect((await nodeCa.nodeCertificateStatus({ nodeId: id }, options)).status?.state).toBe(ISSUED);
    await world.stop();
  });
});

describe('the status of a certificate', () => {
  it('is awaited until it is final', async () => {
    const world = await testCa();
    await world.updateCluster((cluster) => ({ ...cluster, rootCa: { ...world.rootCa, caKey: new Uint8Array() } }));
    await world.start();
    const { nodeCa } = world.as(undefined);
    const { nodeId } = await nodeCa.issueNodeCertificate(
      { csr: await world.csr(), token: world.tokens.worker },
      options,
    );
    let answer: NodeCertificateStatusResponse | undefined;
    const waiting = nodeCa.nodeCertificateStatus({ nodeId }, options).then((reply) => (answer = reply));
    await world.clock.advance(60_000);
    expect(answer).toBeUndefined();
    // The key appears, as when the cluster's root is replaced.
    await world.updateCluster((cluster) => ({ ...cluster, rootCa: world.rootCa }));
    await waiting;
    expect(answer?.status?.state).toBe(ISSUED);
    await world.stop();
  });

  it.each([ISSUED, FAILED, ROTATE])('is answered at once in the final state %i', async (state) => {
    const world = await testCa();
    await world.start();
    const { id } = await join(world, world.tokens.worker);
    await setState(world, id, state);
    const status = await world.as(undefined).nodeCa.nodeCertificateStatus({ nodeId: id }, options);
    expect(status.status?.state).toBe(state);
    await world.stop();
  });

  it('ends with the call', async () => {
    const world = await testCa();
    await world.start();
    const { id } = await join(world, world.tokens.worker);
    await world.updateCluster((cluster) => ({ ...cluster, rootCa: { ...world.rootCa, caKey: new Uint8Array() } }));
    await world.clock.settle();
    await setState(world, id, RENEW);
    const call = new AbortController();
    const waiting = world.as(undefined).nodeCa.nodeCertificateStatus({ nodeId: id }, { signal: call.signal });
    call.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    await world.stop();
  });

  it.each([
    ['', Code.INVALID_ARGUMENT, 'InvalidArgument'],
    ['nobody', Code.NOT_FOUND, 'NotFound'],
  ])('of %j is refused', async (nodeId, code, message) => {
    const world = await testCa();
    await world.start();
    await expect(world.as(undefined).nodeCa.nodeCertificateStatus({ nodeId }, options)).rejects.toMatchObject({
      code,
      message,
    });
    await world.stop();
  });

  it('is NotFound when the node is removed, and Aborted when the CA stops, while a call waits', async () => {
    const world = await testCa();
    await world.updateCluster((cluster) => ({ ...cluster, rootCa: { ...world.rootCa, caKey: new Uint8Array() } }));
    await world.start();
    const { nodeCa } = world.as(undefined);
    const ids = await Promise.all(
      [0, 1].map(
        async () =>
          (await nodeCa.issueNodeCertificate({ csr: await world.csr(), token: world.tokens.worker }, options)).nodeId,
      ),
    );
    const [first, second] = ids.map((nodeId) =>
      nodeCa.nodeCertificateStatus({ nodeId }, options).catch((e: unknown) => e),
    );
    await world.store.update((tx) => tx.remove('node', ids[0] ?? ''));
    expect(await first).toMatchObject({ code: Code.NOT_FOUND });
    await world.stop();
    expect(await second).toMatchObject({ code: Code.ABORTED, message: 'CA signer is stopped' });
  });
});

describe('signing', () => {
  it('begins with what waited before the CA ran', async () => {
    const world = await testCa();
    const node = (id: string, state: IssuanceStatus_State, membership: NodeSpec_Membership, csr: Uint8Array) =>
      create(NodeSchema, { id, spec: { membership }, certificate: { cn: id, csr, status: { state } } });
    const csr = await world.csr();
    await world.store.update((tx) => {
      tx.create('node', node('a', PENDING, NodeSpec_Membership.ACCEPTED, csr));
      tx.create('node', node('b', RENEW, NodeSpec_Membership.PENDING, csr));
      tx.create('node', node('c', PENDING, NodeSpec_Membership.PENDING, csr));
      tx.create('node', node('d', ROTATE, NodeSpec_Membership.ACCEPTED, csr));
      tx.create('node', node('e', PENDING, NodeSpec_Membership.ACCEPTED, bytes('garbage')));
    });
    await world.start();
    await world.clock.settle();
    const states = ['a', 'b', 'c', 'd', 'e'].map((id) => world.node(id)?.certificate?.status?.state);
    expect(states).toEqual([ISSUED, ISSUED, PENDING, ROTATE, FAILED]);
    expect(world.node('e')?.certificate?.status?.err).toContain('holds no PEM block');
    await world.stop();
  });

  it('takes many at once', async () => {
    const world = await testCa();
    await world.start();
    const joined = await Promise.all(Array.from({ length: 40 }, () => join(world, world.tokens.worker)));
    expect(new Set(joined.map(({ id }) => id)).size).toBe(40);
    expect(joined.every(({ status }) => status.status?.state === ISSUED)).toBe(true);
    await world.stop();
  });

  it('is tried again after a while when it failed for a reason that passes', async () => {
    const world = await testCa();
    await world.start();
    let failures = 1;
    const update = world.store.update.bind(world.store);
    const { id } = await join(world, world.tokens.worker);
    const { nodeCa } = world.as({ ...WORKER, nodeId: id });
    await nodeCa.issueNodeCertificate({ csr: await world.csr() }, options);
    await world.clock.settle();
    await world.updateCluster((cluster) => ({ ...cluster, rootCa: { ...world.rootCa, caKey: new Uint8Array() } }));
    await world.clock.settle();
    await setState(world, id, RENEW);
    await world.clock.settle();
    expect(world.log.lines.filter((line) => line.includes('will retry')).length).toBe(1);
    await world.clock.advance(10_000);
    expect(world.log.lines.filter((line) => line.includes('will retry')).length).toBe(2);
    world.store.update = (change) => (failures-- > 0 ? Promise.reject(new Error('no quorum')) : update(change));
    await update((tx) => {
      const cluster = tx.get('cluster', 'c1');
      if (cluster !== undefined) tx.update('cluster', { ...cluster, rootCa: world.rootCa });
    });
    await world.clock.settle();
    expect(world.node(id)?.certificate?.status?.state).toBe(RENEW);
    await world.clock.advance(10_000);
    expect(world.node(id)?.certificate?.status?.state).toBe(ISSUED);
    await world.stop();
  });

  it('never answers an older request once there is a newer one', async () => {
    const world = await testCa();
    await world.start();
    const { id } = await join(world, world.tokens.worker);
    const { nodeCa } = world.as({ ...WORKER, nodeId: id });
    const csrs = await Promise.all([world.csr(), world.csr(), world.csr()]);
    await Promise.all(csrs.map((csr) => nodeCa.issueNodeCertificate({ csr }, options)));
    const { certificate } = await nodeCa.nodeCertificateStatus({ nodeId: id }, options);
    const { spki } = await parseCsr(world.crypto, certificate?.csr ?? new Uint8Array());
    expect(Buffer.compare(parseCertificates(certificate?.certificate ?? '', 'x')[0].spki, spki)).toBe(0);
    await world.stop();
  });

  it('follows the validity that the cluster is given later', async () => {
    const world = await testCa();
    await world.start();
    await world.updateCluster((cluster) => {
      if (cluster.spec?.caConfig === undefined) throw new Error('no spec');
      const caConfig = { ...cluster.spec.caConfig, nodeCertExpiry: durationFromMs(2 * 3_600_000) };
      return { ...cluster, spec: { ...cluster.spec, caConfig } };
    });
    const { status } = await join(world, world.tokens.worker);
    expect(parseCertificates(status.certificate?.certificate ?? '', 'x')[0].notAfterMs).toBe(
      world.clock.nowMs() + 2 * 3_600_000,
    );
    await world.stop();
  });

  it('goes on with the old root when the cluster holds one that cannot be used', async () => {
    const world = await testCa();
    await world.start();
    await world.updateCluster((cluster) => ({ ...cluster, rootCa: { ...world.rootCa, caKey: bytes('garbage') } }));
    await world.clock.settle();
    expect(world.log.lines).toContain('invalid Root CA object in cluster');
    expect((await join(world, world.tokens.worker)).status.status?.state).toBe(ISSUED);
    await world.stop();
  });
});

describe('a CA that is not ready', () => {
  it('says so while it does not run', async () => {
    const world = await testCa();
    const { nodeCa, ca } = world.as(undefined);
    const stopped = { code: Code.ABORTED, message: 'CA signer is stopped' };
    await expect(nodeCa.issueNodeCertificate({ csr: bytes('x') }, options)).rejects.toMatchObject(stopped);
    await expect(nodeCa.nodeCertificateStatus({ nodeId: 'x' }, options)).rejects.toMatchObject(stopped);
    expect((await ca.getRootCACertificate({}, options)).certificate).toEqual(world.root.bundle);
  });

  it('says so while there is no cluster, and is ready once there is one', async () => {
    const world = await testCa({ withCluster: false });
    await world.start();
    const { nodeCa, ca } = world.as(undefined);
    const starting = { code: Code.ABORTED, message: 'CA signer is still starting' };
    await expect(nodeCa.issueNodeCertificate({ csr: bytes('x') }, options)).rejects.toMatchObject(starting);
    await expect(ca.getRootCACertificate({}, options)).rejects.toMatchObject(starting);
    await expect(ca.getUnlockKey({}, options)).rejects.toMatchObject(starting);
    await world.store.update((tx) => tx.create('cluster', world.cluster));
    expect((await join(world, world.tokens.manager)).status.status?.state).toBe(ISSUED);
    await world.stop();
  });

  it('lets nobody in where the cluster has no tokens', async () => {
    const world = await testCa();
    const { joinTokens: _, ...rootCa } = world.rootCa;
    await world.updateCluster((cluster) => ({ ...cluster, rootCa }));
    await world.start();
    await expect(join(world, '')).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    await world.stop();
  });
});

describe('what anybody may read', () => {
  it('is the root, exact to the byte', async () => {
    const world = await testCa();
    expect((await world.as(undefined).ca.getRootCACertificate({}, options)).certificate).toEqual(world.rootCa.caCert);
  });

  it('is the unlock key only where managers are locked, with the version of the cluster', async () => {
    const world = await testCa();
    const key = bytes('kek');
    await world.updateCluster((cluster) => ({
      ...cluster,
      unlockKeys: [
        {
          $typeName: 'docker.swarmkit.v1.EncryptionKey',
          subsystem: 'swarm-manager',
          algorithm: EncryptionKey_Algorithm.AES_128_GCM,
          key,
          lamportTime: 0n,
        },
      ],
    }));
    const { ca } = world.as(MANAGER);
    expect((await ca.getUnlockKey({}, options)).unlockKey).toHaveLength(0);
    await world.updateCluster((cluster) => {
      if (cluster.spec === undefined) throw new Error('no spec');
      const encryptionConfig = { $typeName: 'docker.swarmkit.v1.EncryptionConfig', autoLockManagers: true } as const;
      return { ...cluster, spec: { ...cluster.spec, encryptionConfig } };
    });
    const reply = await ca.getUnlockKey({}, options);
    expect(reply.unlockKey).toEqual(key);
    expect(reply.version).toEqual(world.store.view((tx) => tx.get('cluster', 'c1'))?.meta?.version);
  });
});

describe('revoked nodes', () => {
  it('are known by id until 7 days after their certificates end', async () => {
    const world = await testCa();
    await world.start();
    const { id } = await join(world, world.tokens.worker);
    await world.stop();
    const node = world.node(id) ?? create(NodeSchema);
    const cluster = { ...world.cluster, blacklistedCertificates: withRevoked(world.cluster, node) };
    expect(isRevoked(cluster, id)).toBe(true);
    expect(isRevoked(cluster, 'other')).toBe(false);
    expect(isRevoked(cluster, 'constructor')).toBe(false);
    expect(isRevoked(undefined, id)).toBe(false);
    const endMs = world.clock.nowMs() + 90 * DAY;
    expect(withoutExpired(cluster, endMs + 7 * DAY)).toBe(cluster.blacklistedCertificates);
    expect(withoutExpired(cluster, endMs + 7 * DAY + 1)).toEqual({});
  });

  it('stay when the end of the certificate is not known', async () => {
    const { cluster } = await testCa();
    const bare = create(NodeSchema, { id: 'x' });
    const broken = create(NodeSchema, { id: 'y', certificate: { certificate: bytes('garbage') } });
    const revoked = { ...cluster, blacklistedCertificates: withRevoked(cluster, bare) };
    const both = { ...revoked, blacklistedCertificates: withRevoked(revoked, broken) };
    expect(Object.keys(withoutExpired(both, Number.MAX_SAFE_INTEGER)).sort()).toEqual(['x', 'y']);
  });

  it('are judged by the committed state', async () => {
    const world = await testCa();
    const view = authorizationView(world.store, 'c1');
    expect(view.clusterId).toBe('c1');
    expect(view.isRevoked('w1')).toBe(false);
    await world.updateCluster((cluster) => ({
      ...cluster,
      blacklistedCertificates: withRevoked(cluster, create(NodeSchema, { id: 'w1' })),
    }));
    expect(view.isRevoked('w1')).toBe(true);
  });
});
