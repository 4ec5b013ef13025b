import { beforeEach, describe, expect, it } from 'vitest';

import { EncryptionKey_Algorithm } from '../api/index.js';
import { Code } from '../base/index.js';
import { SimCluster } from '../sim/cluster.js';
import { CONTROL_SOCKET, STATE_DIR, type Life, type SimMachine } from '../sim/machine.js';

const CALL = { signal: new AbortController().signal };

let cluster: SimCluster;
beforeEach(() => {
  cluster = new SimCluster({ seed: 4 });
});

async function ready(life: Life | undefined): Promise<void> {
  if (life === undefined) throw new Error('it does not run');
  await cluster.wait(life.node.ready);
}

async function failureOf(machine: SimMachine): Promise<unknown> {
  await cluster.until(() => machine.life === undefined, 60_000, `${machine.name} ends`);
  return machine.lastEnd?.error;
}

function createSecret(name: string): Promise<unknown> {
  return cluster.wait(
    cluster.control().createSecret({ spec: { annotations: { name }, data: new Uint8Array(1) } }, CALL),
  );
}

describe('a manager that cannot start', () => {
  it('says that its control socket is taken, and gives everything else back', async () => {
    const host = cluster.addHost();
    const taken = await cluster.network.host(host.host).listenSocket(CONTROL_SOCKET, [], () => undefined);
    const life = cluster.start(host);
    expect(await failureOf(host)).toMatchObject({ message: expect.stringContaining('address already in use') });
    await expect(life.node.ready).rejects.toMatchObject({ message: expect.stringContaining(CONTROL_SOCKET) });
    await taken.close();
    await ready(cluster.start(host));
  });

  it('says that its address is taken, and lets go of its socket', async () => {
    const manager = cluster.addManager();
    await ready(manager.life);
    const twin = cluster.addHost();
    cluster.start(twin, { listenRemoteApi: '0.0.0.0:7' });
    await ready(twin.life);
    await cluster.stop(twin);
    const occupant = await occupy(twin, '0.0.0.0:7');
    cluster.start(twin, { listenRemoteApi: '0.0.0.0:7' });
    expect(await failureOf(twin)).toMatchObject({ message: expect.stringContaining('address already in use') });
    await occupant.close();
    await ready(cluster.start(twin, { listenRemoteApi: '0.0.0.0:7' }));
  });

  async function occupy(host: SimMachine, addr: string): Promise<{ close(): Promise<void> }> {
    const identity = {
      current: () => Promise.reject(new Error('nobody calls')) as never,
      subscribe: () => ({ [Symbol.dispose]: () => undefined }),
    };
    const authorization = { clusterId: '', isRemoved: () => false } as never;
    return cluster.network.host(host.host).listen(addr, { services: [], tls: { identity, authorization } });
  }

  it('needs to be told a port to advertise when it listens on a free one', async () => {
    const host = cluster.addHost();
    cluster.start(host, { listenRemoteApi: '0.0.0.0:0' });
    expect(await failureOf(host)).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining('port 0 needs an advertise address with a port'),
    });
    await ready(cluster.start(host, { listenRemoteApi: '0.0.0.0:0', advertiseRemoteApi: '10.9.9.9:4242' }));
    expect(host.life?.node.view()).toMatchObject({ advertiseAddr: '10.9.9.9:4242' });
    expect(host.life?.node.view().listenAddr).not.toMatch(/:0$/);
  });

  it.each([
    ['advertiseRemoteApi', { advertiseRemoteApi: 'nonsense' }],
    ['listenRemoteApi', { listenRemoteApi: 'nonsense' }],
  ])('refuses a bad %s', async (_, options) => {
    const host = cluster.addHost();
    cluster.start(host, options);
    expect(await failureOf(host)).toMatchObject({ code: Code.INVALID_ARGUMENT });
    await ready(cluster.start(host));
  });
});

describe('a manager one of whose parts fails', () => {
  it('ends with the failure of its disk, answers nothing wrongly, and can be started again', async () => {
    const manager = cluster.addManager();
    await ready(manager.life);
    await createSecret('before');
    manager.disk.failNext('sync', 'EIO');
    await expect(createSecret('lost')).rejects.toMatchObject({ name: 'SwarmError' });
    expect(await failureOf(manager)).toMatchObject({ message: expect.stringContaining('EIO') });
    expect(cluster.errors.map(({ message }) => message)).toContain('the log failed');
    await ready(cluster.start(manager));
    const names = cluster.view((tx) => tx.find('secret', { kind: 'all' }).map(({ spec }) => spec?.annotations?.name));
    expect(names).toContain('before');
  });

  it('ends when a component of the leader fails: one that cannot lock the node key', async () => {
    const manager = cluster.addManager();
    await ready(manager.life);
    const { intercept } = manager.disk;
    manager.disk.intercept = async (operation) => {
      if (operation.kind === 'write' && operation.path.startsWith(`${STATE_DIR}/certificates`))
        throw new Error('no more room');
      await intercept?.(operation);
    };
    const present = manager.life?.node.cluster();
    await cluster.wait(
      cluster.store.update((tx) => {
        if (present === undefined) throw new Error('there is no cluster');
        const key = {
          $typeName: 'docker.swarmkit.v1.EncryptionKey' as const,
          subsystem: 'swarm-manager',
          algorithm: EncryptionKey_Algorithm.AES_128_GCM,
          key: new Uint8Array(32),
          lamportTime: 0n,
        };
        tx.update('cluster', { ...present, unlockKeys: [key] });
      }),
    );
    expect(await failureOf(manager)).toMatchObject({ message: 'no more room' });
    // Nothing is left behind: address, socket, log and directory are free.
    await ready(cluster.start(manager));
    await cluster.until(() => true, 1, 'time');
  });

  it('keeps what it had acknowledged when the disk is full', async () => {
    const manager = cluster.addManager();
    await ready(manager.life);
    await createSecret('before');
    manager.disk.failNext('write', 'ENOSPC');
    await expect(createSecret('lost')).rejects.toMatchObject({ name: 'SwarmError' });
    await failureOf(manager);
    await ready(cluster.start(manager));
    await createSecret('after');
    const names = cluster.view((tx) => tx.find('secret', { kind: 'all' }).map(({ spec }) => spec?.annotations?.name));
    expect(new Set(names)).toEqual(new Set(['after', 'before']));
  });
});
