import { describe, expect, it } from 'vitest';

import {
  durationFromMs,
  timestampFromMs,
  type Cluster,
  type ClusterSpecSchema,
  type KeyRotation,
} from '../../api/index.js';
import { Code } from '../../base/index.js';
import { CALL, NOW_MS, bytes, cluster, failure, fixture, type Fixture, type Init } from './test-fixture.js';

type SpecInit = Init<typeof ClusterSpecSchema>;

const named = { annotations: { name: 'default' } };
const locked = { ...named, encryptionConfig: { autoLockManagers: true } };

async function withCluster(fields: Parameters<typeof cluster>[0] = {}): Promise<Fixture> {
  const f = fixture();
  await f.put('cluster', cluster(fields));
  return f;
}

function update(f: Fixture, spec: SpecInit, rotation?: Partial<Omit<KeyRotation, '$typeName'>>) {
  const clusterVersion = f.get('cluster', 'c1')!.meta!.version!;
  return f.control.updateCluster(
    { clusterId: 'c1', clusterVersion, spec, ...(rotation === undefined ? {} : { rotation }) },
    CALL,
  );
}

const stored = (f: Fixture): Cluster => f.get('cluster', 'c1')!;

describe('cluster settings', () => {
  it.each<readonly [string, SpecInit, string]>([
    [
      'certificates valid for less than an hour',
      { ...named, caConfig: { nodeCertExpiry: durationFromMs(3_599_999) } },
      'minimum certificate expiry time is: 1h0m0s',
    ],
    [
      'an acceptance secret that is not hashed with bcrypt',
      { ...named, acceptancePolicy: { policies: [{ secret: { alg: 'md5' } }] } },
      'hashing algorithm is not supported: md5',
    ],
    [
      'a negative heartbeat period',
      { ...named, dispatcher: { heartbeatPeriod: durationFromMs(-1) } },
      'heartbeat time period cannot be a negative duration',
    ],
    ['another name', { annotations: { name: 'other' } }, 'modification of cluster name is not allowed'],
    ['no name', {}, 'modification of cluster name is not allowed'],
    [
      'a signing key without certificate',
      { ...named, caConfig: { signingCaKey: bytes('key') } },
      'if a signing CA key is provided, the signing CA cert must also be provided',
    ],
  ])('with %s are refused, and nothing changes', async (_, spec, message) => {
    const f = await withCluster();
    const before = f.store.save();
    expect(await failure(update(f, spec, { workerJoinToken: true }))).toEqual({
      code: Code.INVALID_ARGUMENT,
      message,
    });
    expect(f.store.save()).toEqual(before);
  });

  it('are replaced as a whole', async () => {
    const f = await withCluster();
    const spec = {
      ...named,
      caConfig: { nodeCertExpiry: durationFromMs(3_600_000) },
      acceptancePolicy: { policies: [{ secret: { alg: 'BCrypt' } }] },
      dispatcher: { heartbeatPeriod: durationFromMs(0) },
      orchestration: { taskHistoryRetentionLimit: 9n },
    };
    const { cluster: reply } = await update(f, spec);
    expect(stored(f).spec).toMatchObject(spec);
    expect(reply?.spec).toMatchObject(spec);
    expect(reply?.meta).toEqual(stored(f).meta);
    await update(f, named);
    expect(stored(f).spec?.orchestration).toBeUndefined();
  });

  it('need id, version and spec, and a version that is the present one', async () => {
    const f = await withCluster();
    const clusterVersion = stored(f).meta!.version!;
    const invalid = { code: Code.INVALID_ARGUMENT, message: 'invalid argument' };
    const { updateCluster } = f.control;
    expect(await failure(updateCluster({ clusterVersion, spec: named }, CALL))).toEqual(invalid);
    expect(await failure(updateCluster({ clusterId: 'c1', spec: named }, CALL))).toEqual(invalid);
    expect(await failure(updateCluster({ clusterId: 'c1', clusterVersion }, CALL))).toEqual(invalid);
    expect(await failure(updateCluster({ clusterId: 'c2', clusterVersion, spec: named }, CALL))).toEqual({
      code: Code.NOT_FOUND,
      message: 'cluster c2 not found',
    });
    await update(f, named);
    const stale = updateCluster(
      { clusterId: 'c1', clusterVersion, spec: named, rotation: { workerJoinToken: true } },
      CALL,
    );
    expect(await failure(stale)).toEqual({ code: Code.UNKNOWN, message: 'update out of sequence' });
    expect(stored(f).rootCa?.joinTokens?.worker).toBe('w');
  });

  it('drop refused certificates that expired long ago', async () => {
    const f = await withCluster({
      blacklistedCertificates: { old: { expiry: timestampFromMs(NOW_MS - 8 * 86_400_000) }, kept: {} },
    });
    await update(f, named);
    expect(Object.keys(stored(f).blacklistedCertificates)).toEqual(['kept']);
  });
});

describe('join tokens', () => {
  it.each<readonly [string, { workerJoinToken?: boolean; managerJoinToken?: boolean }, readonly [string, string]]>([
    ['none', {}, ['w', 'm']],
    ['the worker token', { workerJoinToken: true }, ['token-c1-1', 'm']],
    ['the manager token', { managerJoinToken: true }, ['w', 'token-c1-1']],
    ['both', { workerJoinToken: true, managerJoinToken: true }, ['token-c1-1', 'token-c1-2']],
  ])('are made anew where asked: %s', async (_, rotation, [worker, manager]) => {
    const f = await withCluster();
    const { cluster: reply } = await update(f, named, rotation);
    expect(reply?.rootCa?.joinTokens).toMatchObject({ worker, manager });
    expect(stored(f).rootCa?.joinTokens).toMatchObject({ worker, manager });
    expect(stored(f).rootCa?.caKey).toEqual(bytes('root key'));
  });
});

describe('unlock keys', () => {
  const keys = (f: Fixture) =>
    stored(f).unlockKeys.map(({ subsystem, key }) => `${subsystem} ${new TextDecoder().decode(key)}`);

  it('come with autolock, change on request, stay otherwise, and go without it', async () => {
    const f = await withCluster({ unlockKeys: [{ subsystem: 'other', key: bytes('x') }] });
    await update(f, named, { managerUnlockKey: true });
    expect(keys(f)).toEqual(['other x']);
    await update(f, locked, { managerUnlockKey: true });
    expect(keys(f)).toEqual(['other x', 'swarm-manager unlock-1']);
    await update(f, locked);
    expect(keys(f)).toEqual(['other x', 'swarm-manager unlock-1']);
    await update(f, locked, { managerUnlockKey: true });
    expect(keys(f)).toEqual(['other x', 'swarm-manager unlock-2']);
    await update(f, named);
    expect(keys(f)).toEqual(['other x']);
  });
});

describe('what is shown of the cluster', () => {
  const secret = bytes('SECRET');

  async function full(): Promise<Fixture> {
    return withCluster({
      spec: {
        ...named,
        caConfig: { signingCaCert: secret, signingCaKey: secret, nodeCertExpiry: durationFromMs(7_200_000) },
      },
      rootCa: {
        caKey: secret,
        caCert: bytes('certificate'),
        joinTokens: { worker: 'w', manager: 'm' },
        rootRotation: { caKey: secret, caCert: bytes('next') },
      },
      networkBootstrapKeys: [{ key: secret }],
      encryptionKeyLamportClock: 7n,
      unlockKeys: [{ key: secret }],
      fips: true,
      blacklistedCertificates: { gone: {} },
    });
  }

  it('holds no key, in any reply', async () => {
    const f = await full();
    const replies = [
      (await f.control.getCluster({ clusterId: 'c1' }, CALL)).cluster!,
      (await f.control.listClusters({}, CALL)).clusters[0]!,
    ];
    for (const reply of replies) {
      expect(reply.spec?.caConfig?.signingCaCert).toHaveLength(0);
      expect(reply.spec?.caConfig?.signingCaKey).toHaveLength(0);
      expect(reply.spec?.caConfig?.nodeCertExpiry?.seconds).toBe(7200n);
      expect(reply.rootCa?.caKey).toHaveLength(0);
      expect(reply.rootCa?.rootRotation?.caKey).toHaveLength(0);
      expect(reply.rootCa?.rootRotation?.caCert).toEqual(bytes('next'));
      expect(reply.rootCa?.joinTokens).toMatchObject({ worker: 'w', manager: 'm' });
      expect(reply.networkBootstrapKeys).toEqual([]);
      expect(reply.unlockKeys).toEqual([]);
      expect(reply.encryptionKeyLamportClock).toBe(0n);
      expect(reply.fips).toBe(false);
      expect(Object.keys(reply.blacklistedCertificates)).toEqual(['gone']);
    }
    expect(stored(f).rootCa?.caKey).toEqual(secret);
  });

  it('holds no key after an update that brought one', async () => {
    const f = await withCluster();
    const { cluster: reply } = await update(f, locked, { managerUnlockKey: true });
    expect(reply?.unlockKeys).toEqual([]);
    expect(reply?.rootCa?.caKey).toHaveLength(0);
  });

  it('has default addresses where none are set', async () => {
    const shown = async (fields: Parameters<typeof cluster>[0]) => {
      const { control } = await withCluster(fields);
      const { cluster: reply } = await control.getCluster({ clusterId: 'c1' }, CALL);
      return [reply?.defaultAddressPool, reply?.subnetSize, reply?.VXLANUDPPort];
    };
    expect(await shown({})).toEqual([['10.0.0.0/8'], 24, 4789]);
    expect(await shown({ defaultAddressPool: ['10.1.0.0/16'], subnetSize: 26, VXLANUDPPort: 7777 })).toEqual([
      ['10.1.0.0/16'],
      26,
      7777,
    ]);
  });

  it('needs an id that exists', async () => {
    const { control } = fixture();
    expect(await failure(control.getCluster({}, CALL))).toEqual({
      code: Code.INVALID_ARGUMENT,
      message: 'invalid argument',
    });
    expect(await failure(control.getCluster({ clusterId: 'x' }, CALL))).toEqual({
      code: Code.NOT_FOUND,
      message: 'cluster x not found',
    });
  });
});
