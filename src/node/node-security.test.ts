import { beforeEach, describe, expect, it } from 'vitest';

import { durationFromMs, IssuanceStatus_State, type ClusterSpec } from '../api/index.js';
import { Code } from '../base/index.js';
import { RootCa } from '../ca/index.js';
import { SimCluster } from '../sim/cluster.js';
import { SIM_CRYPTO } from '../sim/crypto.js';
import { STATE_DIR, type Life, type SimMachine } from '../sim/machine.js';

const CALL = { signal: new AbortController().signal };
const HOUR_MS = 3_600_000;

let cluster: SimCluster;
beforeEach(() => {
  cluster = new SimCluster({ seed: 2 });
});

async function ready(life: Life | undefined): Promise<void> {
  if (life === undefined) throw new Error('it does not run');
  await cluster.wait(life.node.ready);
}

async function failureOf(machine: SimMachine): Promise<unknown> {
  await cluster.until(() => machine.life === undefined, 60_000, `${machine.name} ends`);
  return machine.lastEnd?.error;
}

async function file(machine: SimMachine, name: string): Promise<string> {
  const bytes = await cluster.wait(machine.disk.readFile(`${STATE_DIR}/certificates/${name}`));
  return new TextDecoder().decode(bytes);
}

/** Changes the cluster's settings as a user does. */
async function updateCluster(change: (spec: ClusterSpec) => ClusterSpec, rotateUnlockKey = false): Promise<void> {
  const present = cluster.manager.life?.node.cluster();
  const { spec, meta } = present ?? {};
  if (present === undefined || spec === undefined || meta?.version === undefined)
    throw new Error('there is no cluster');
  const request = {
    clusterId: present.id,
    clusterVersion: meta.version,
    spec: change(spec),
    rotation: { managerUnlockKey: rotateUnlockKey },
  };
  await cluster.wait(cluster.control().updateCluster(request, CALL));
  await cluster.step(1_000);
}

function unlockKey(): Uint8Array | undefined {
  return cluster.manager.life?.node.cluster()?.unlockKeys[0]?.key;
}

const autoLock =
  (autoLockManagers: boolean) =>
  (spec: ClusterSpec): ClusterSpec => ({
    ...spec,
    encryptionConfig: { $typeName: 'docker.swarmkit.v1.EncryptionConfig', autoLockManagers },
  });

describe('a manager that is locked', () => {
  it('starts with its unlock key only', async () => {
    const manager = cluster.addManager({ autoLockManagers: true });
    await ready(manager.life);
    await cluster.step(1_000);
    const key = unlockKey();
    const { nodeId } = manager;
    expect(key).toHaveLength(32);
    expect(await file(manager, 'swarm-node.key')).toContain('ENCRYPTED PRIVATE KEY');
    expect(await file(manager, 'swarm-node.key')).not.toContain(Buffer.from(key ?? []).toString('base64'));
    await cluster.stop(manager);
    cluster.start(manager);
    expect(await failureOf(manager)).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringContaining('needs a valid unlock key'),
      details: { tlsProblem: 'locked' },
    });
    cluster.start(manager, { unlockKey: new Uint8Array(32).fill(7) });
    expect(await failureOf(manager)).toMatchObject({ details: { tlsProblem: 'locked' } });
    await ready(cluster.start(manager, key === undefined ? {} : { unlockKey: key }));
    expect(manager.nodeId).toBe(nodeId);
  });

  it('is locked, locked with another key, and unlocked while it runs, its log included', async () => {
    const manager = cluster.addManager();
    await ready(manager.life);
    const restart = async (key: Uint8Array | undefined): Promise<void> => {
      cluster.crash(manager, 'machine');
      await ready(cluster.start(manager, key === undefined ? {} : { unlockKey: key }));
      await cluster.step(100);
    };
    await updateCluster(autoLock(true));
    const first = unlockKey();
    expect(first).toHaveLength(32);
    await restart(first);
    await updateCluster(autoLock(true), true);
    const second = unlockKey();
    expect(second).not.toEqual(first);
    await restart(second);
    cluster.crash(manager, 'machine');
    cluster.start(manager, first === undefined ? {} : { unlockKey: first });
    expect(await failureOf(manager)).toMatchObject({ details: { tlsProblem: 'locked' } });
    await ready(cluster.start(manager, second === undefined ? {} : { unlockKey: second }));
    await updateCluster(autoLock(false));
    await restart(undefined);
    expect(await file(manager, 'swarm-node.key')).not.toContain('ENCRYPTED');
  });

  it('can be started with one of its two keys wherever it is killed while it changes them', async () => {
    for (let operations = 0; operations < 14; operations++) {
      cluster = new SimCluster({ seed: 3 + operations });
      const manager = cluster.addManager();
      await ready(manager.life);
      await updateCluster(autoLock(true));
      const first = unlockKey();
      cluster.crashAtDiskOperation(manager, operations, 'machine', { kind: 'random', random: cluster.random.fork() });
      using events = cluster.store.watch({ tables: ['cluster'], commits: false });
      await updateCluster(autoLock(true), true).catch(() => undefined);
      await cluster.step(5_000);
      const seen = events
        .take()
        .flatMap((event) => (event.kind !== 'commit' && event.table === 'cluster' ? [event.object] : []));
      const keys = [first, seen.at(-1)?.unlockKeys[0]?.key];
      if (manager.life !== undefined) cluster.crash(manager, 'machine');
      let started = false;
      for (const key of keys) {
        if (started || key === undefined) continue;
        const life = cluster.start(manager, { unlockKey: key });
        await cluster.step(2_000);
        started = manager.life === life && life.node.view().controlReady;
      }
      expect(started, `killed at operation ${operations}`).toBe(true);
    }
  });
});

describe('the certificate of a node', () => {
  it('is renewed before it ends, and used from then on', async () => {
    await ready(cluster.addManager().life);
    await updateCluster((spec) => ({
      ...spec,
      caConfig: {
        $typeName: 'docker.swarmkit.v1.CAConfig',
        externalCas: [],
        signingCaCert: new Uint8Array(),
        signingCaKey: new Uint8Array(),
        forceRotate: 0n,
        nodeCertExpiry: durationFromMs(4 * HOUR_MS),
      },
    }));
    const worker = cluster.addWorker();
    await ready(worker.life);
    const before = await file(worker, 'swarm-node.crt');
    // It begins an hour before it was made; the window is 50 to 80 % of the whole.
    await cluster.step(1.4 * HOUR_MS);
    expect(await file(worker, 'swarm-node.crt')).toBe(before);
    await cluster.step(1.7 * HOUR_MS);
    expect(await file(worker, 'swarm-node.crt')).not.toBe(before);
    // After the first one has ended it still takes part, and can be started.
    await cluster.step(1.2 * HOUR_MS);
    cluster.crash(worker, 'process', { kind: 'kept' });
    await ready(cluster.start(worker));
  });

  it('is replaced at once when the managers ask for it', async () => {
    await ready(cluster.addManager().life);
    const worker = cluster.addWorker();
    await ready(worker.life);
    for (const machine of [worker, cluster.manager]) {
      const before = await file(machine, 'swarm-node.crt');
      await cluster.wait(
        cluster.store.update((tx) => {
          const node = tx.get('node', machine.nodeId);
          if (node?.certificate === undefined) throw new Error('the node has no certificate');
          const status = {
            $typeName: 'docker.swarmkit.v1.IssuanceStatus' as const,
            state: IssuanceStatus_State.ROTATE,
            err: '',
          };
          tx.update('node', { ...node, certificate: { ...node.certificate, status } });
        }),
      );
      await cluster.step(5_000);
      expect(await file(machine, 'swarm-node.crt')).not.toBe(before);
      const node = cluster.view((tx) => tx.get('node', machine.nodeId));
      expect(node?.certificate?.status?.state).toBe(IssuanceStatus_State.ISSUED);
    }
  });
});

describe('a changed root', () => {
  it('is taken over in use and on disk, when it still vouches for this node', async () => {
    await ready(cluster.addManager().life);
    const worker = cluster.addWorker();
    await ready(worker.life);
    const old = await file(worker, 'swarm-root-ca.crt');
    const made = await RootCa.create({ crypto: SIM_CRYPTO, random: cluster.random }, cluster.clock.nowMs());
    const bundle = new TextEncoder().encode(old + new TextDecoder().decode(made.root.bundle));
    await setRoot(bundle);
    expect(await file(worker, 'swarm-root-ca.crt')).toBe(new TextDecoder().decode(bundle));
    await setRoot(made.root.bundle);
    expect(await file(worker, 'swarm-root-ca.crt')).toBe(new TextDecoder().decode(bundle));
    expect(cluster.errors.map(({ message }) => message)).toContain(
      'the root CA that the manager sent is not taken over',
    );
  });

  async function setRoot(caCert: Uint8Array): Promise<void> {
    await cluster.wait(
      cluster.store.update((tx) => {
        const present = tx.get('cluster', cluster.manager.life?.node.view().clusterId ?? '');
        if (present?.rootCa === undefined) throw new Error('there is no cluster');
        tx.update('cluster', { ...present, rootCa: { ...present.rootCa, caCert } });
      }),
    );
    await cluster.step(1_000);
  }
});
