import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, test } from 'vitest';

import { ManagerStatusSchema, NetworkSchema } from '../../../api/index.js';
import { TestWorld, workerNode } from '../world.test-helper.js';

let world: TestWorld;

beforeEach(async () => {
  world = new TestWorld();
  await world.putCluster();
  await world.put('node', workerNode('node1', 'alpha'));
});

describe('secrets and configs', () => {
  test('are read from standard input or a file, labelled, listed and removed', async () => {
    world.terminal.input = 'swordfish';
    world.terminal.files.set('/f', 'key: value\n');
    expect((await world.run('secret create pw --label a=b')).code).toBe(0);
    expect((await world.run('config create cf -f /f')).code).toBe(0);
    expect((await world.run('secret ls')).out).toMatch(/ID +Name +Driver +Created\n\S+ +pw +just now\n/);
    expect((await world.run('config inspect cf')).out).toContain('\nkey: value\n');
    await world.run('secret update pw --add-label c=d');
    await world.run('config update cf --label x=y');
    const all = (await world.run('secret inspect pw')).out + (await world.run('secret inspect pw --json')).out;
    expect(all).toContain('"c": "d"');
    expect(all).not.toContain('swordfish');
    expect(all).not.toContain(Buffer.from('swordfish').toString('base64'));
    expect(JSON.parse((await world.run('config ls --json')).out)).toMatchObject([
      { spec: { annotations: { labels: { x: 'y' } }, data: Buffer.from('key: value\n').toString('base64') } },
    ]);
    expect(await world.run('secret rm pw')).toEqual({ code: 0, out: 'pw\n', err: '' });
    expect(await world.run('config rm cf nope')).toMatchObject({ code: 1, out: 'cf\n' });
  });

  test('ask a person to type', async () => {
    world.terminal.isInputTyped = true;
    world.terminal.input = 'x';
    expect((await world.run('secret create pw')).err).toBe('Type the secret, then Ctrl-D:\n');
  });

  test('without content are refused by the server', async () => {
    const { code, err } = await world.run('secret create pw');
    expect(code).toBe(1);
    expect(err).toMatch(/^swarmctl: secret data must be/);
  });
});

describe('the cluster', () => {
  const cluster = (): unknown => world.store.view((tx) => tx.get('cluster', 'cluster1'));

  test('is listed and shown, with what works', async () => {
    expect((await world.run('cluster ls -q')).out).toBe('cluster1\n');
    const { out } = await world.run('cluster inspect');
    for (const text of ['default', 'SWMTKN-w', 'SERVING', 'UNKNOWN']) expect(out).toContain(text);
    expect((await world.run('cluster inspect other')).err).toBe('swarmctl: cluster other not found\n');
  });

  test('tells how to join, with a new token when asked', async () => {
    await world.put('node', {
      ...workerNode('node2', 'beta'),
      managerStatus: create(ManagerStatusSchema, { addr: '10.0.0.9:4242', leader: true }),
    });
    const { out } = await world.run('cluster join-token worker');
    expect(out).toContain('swarmd --join-addr 10.0.0.9:4242 --join-token SWMTKN-w');
    expect(out).toContain('docker swarm join --token SWMTKN-w 10.0.0.9:4242');
    expect((await world.run('cluster join-token manager -q --rotate')).out).toBe('SWMTKN-new-1\n');
    expect((await world.run('cluster join-token worker -q')).out).toBe('SWMTKN-w\n');
    expect(JSON.parse((await world.run('cluster join-token worker --json')).out)).toEqual({
      role: 'worker',
      token: 'SWMTKN-w',
      managers: ['10.0.0.9:4242'],
    });
  });

  test('changes its settings, and keeps those that no flag names', async () => {
    await world.run('cluster update --log-driver syslog --log-opt a=b --taskhistory 3');
    await world.run('cluster update default --certexpiry 2h --heartbeatperiod 10s');
    expect(cluster()).toMatchObject({
      spec: {
        orchestration: { taskHistoryRetentionLimit: 3n },
        dispatcher: { heartbeatPeriod: { seconds: 10n } },
        caConfig: { nodeCertExpiry: { seconds: 7200n } },
        taskDefaults: { logDriver: { name: 'syslog', options: { a: 'b' } } },
      },
    });
    await world.run('cluster update --rotate-join-token Worker');
    expect(cluster()).toMatchObject({ rootCa: { joinTokens: { worker: 'SWMTKN-new-1', manager: 'SWMTKN-m' } } });
  });

  test('is locked, shows its key, and is unlocked', async () => {
    expect(await world.run('cluster unlock-key')).toMatchObject({
      code: 0,
      out: '',
      err: expect.stringContaining('not locked'),
    });
    expect(await world.run('cluster unlock-key --rotate')).toMatchObject({ code: 1 });
    world.unlockKey = new Uint8Array(32);
    expect((await world.run('cluster update --autolock')).out).toContain('SWMKEY-1-AAAA');
    expect(cluster()).toMatchObject({ spec: { encryptionConfig: { autoLockManagers: true } } });
    expect((await world.run('cluster unlock-key -q --rotate')).out).toMatch(/^SWMKEY-1-\S+\n$/);
    await world.run('cluster update --autolock=false');
    expect(cluster()).toMatchObject({ spec: { encryptionConfig: { autoLockManagers: false } } });
  });
});

describe('networks', () => {
  beforeEach(async () => {
    await world.put(
      'network',
      create(NetworkSchema, { id: 'net1', spec: { annotations: { name: 'front' }, internal: true } }),
    );
  });

  test('are listed and shown', async () => {
    expect((await world.run('network ls')).out).toBe('ID    Name   Driver  Subnets\nnet1  front\n');
    expect((await world.run('network inspect front')).out).toMatch(/Internal +: yes/);
  });

  test('are attached to services by name', async () => {
    await world.run('service create --name web --image nginx --network front --detach');
    expect(world.service().spec?.task?.networks).toMatchObject([{ target: 'net1' }]);
    expect((await world.run('service inspect web')).out).toMatch(/Networks +: front/);
    expect((await world.run('service inspect web -n')).out).toMatch(/Networks +: net1/);
  });
});
