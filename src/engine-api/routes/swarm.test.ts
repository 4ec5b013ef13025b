import { describe, expect, test } from 'vitest';

import { Code, SwarmError } from '../../base/index.js';
import { formatUnlockKey } from '../../ca/index.js';
import { node } from '../../manager/control-api/test-fixture.js';
import { ApiError } from '../http/index.js';
import { RoutesWorld } from './world.test-helper.js';

describe('init (E-201, E-323, E-324)', () => {
  test('passes on what the request says and answers with the node id as a bare string', async () => {
    const world = await new RoutesWorld().withCluster();
    const answer = await world.post('/swarm/init', {
      ListenAddr: '0.0.0.0',
      AdvertiseAddr: 'eth0',
      DataPathAddr: 'eth1',
      DataPathPort: 5000,
      ForceNewCluster: true,
      AutoLockManagers: true,
      Availability: 'drain',
      DefaultAddrPool: ['10.0.0.0/8'],
      SubnetSize: 26,
      Spec: { Name: 'default', Orchestration: { TaskHistoryRetentionLimit: 3 } },
    });
    expect(answer).toMatchObject({ status: 200, body: 'self' });
    expect(world.calls).toEqual([
      [
        'init',
        {
          name: 'default',
          listenAddr: '0.0.0.0',
          advertiseAddr: 'eth0',
          dataPathAddr: 'eth1',
          dataPathPort: 5000,
          forceNewCluster: true,
          autoLockManagers: true,
          availability: 'drain',
          defaultAddressPool: ['10.0.0.0/8'],
          subnetSize: 26,
        },
      ],
    ]);
    expect(world.fixture.get('cluster', 'c1')?.spec?.orchestration?.taskHistoryRetentionLimit).toBe(3n);
  });

  test('an absent pool is not an empty one', async () => {
    const world = await new RoutesWorld().withCluster();
    await world.post('/swarm/init', { ListenAddr: 'x' });
    await world.post('/swarm/init', { ListenAddr: 'x', DefaultAddrPool: null });
    await world.post('/swarm/init', { ListenAddr: 'x', DefaultAddrPool: [] });
    expect(
      world.calls.map((call) => (call as [string, { defaultAddressPool: unknown }])[1].defaultAddressPool),
    ).toEqual([undefined, undefined, []]);
  });

  test('older API versions know no pools and no data path port (E-130)', async () => {
    const world = await new RoutesWorld().withCluster();
    const body = { ListenAddr: 'x', DataPathPort: 5000, DefaultAddrPool: ['10.0.0.0/8'], SubnetSize: 26 };
    await world.post('/v1.38/swarm/init', body);
    await world.post('/v1.39/swarm/init', body);
    await world.post('/v1.40/swarm/init', body);
    expect(world.calls.map((call) => (call as [string, object])[1])).toMatchObject([
      { dataPathPort: 0, defaultAddressPool: undefined, subnetSize: 0 },
      { dataPathPort: 0, defaultAddressPool: ['10.0.0.0/8'], subnetSize: 26 },
      { dataPathPort: 5000, defaultAddressPool: ['10.0.0.0/8'], subnetSize: 26 },
    ]);
  });

  test('waits for the cluster object of a new swarm', async () => {
    const world = new RoutesWorld();
    const answer = world.post('/swarm/init', { ListenAddr: 'x', Spec: { Labels: { a: 'b' } } });
    await world.clock.advance(900);
    await world.withCluster();
    await world.clock.advance(200);
    expect(await answer).toMatchObject({ status: 200 });
    expect(world.fixture.get('cluster', 'c1')?.spec?.annotations?.labels).toEqual({ a: 'b' });
  });

  test('gives up on a cluster object that does not appear', async () => {
    const world = new RoutesWorld();
    const answer = world.post('/swarm/init', { ListenAddr: 'x' });
    await world.clock.advance(2_000);
    expect(await answer).toMatchObject({ status: 500 });
  });

  test('a spec that the store refuses fails the request, though the swarm stands', async () => {
    const world = await new RoutesWorld().withCluster();
    const answer = await world.post('/swarm/init', {
      ListenAddr: 'x',
      Spec: { CAConfig: { NodeCertExpiry: 60_000_000_000 } },
    });
    expect(answer).toMatchObject({
      status: 500,
      body: {
        message:
          'error updating cluster settings: rpc error: code = InvalidArgument desc = minimum certificate expiry time is: 1h0m0s',
      },
    });
  });

  test('the refusal of the node is passed on', async () => {
    const world = new RoutesWorld();
    world.failure = new ApiError('unavailable', 'already part');
    expect(await world.post('/swarm/init', { ListenAddr: 'x' })).toMatchObject({
      status: 503,
      body: { message: 'already part' },
    });
  });
});

describe('join, leave, unlock (E-202, E-203, E-207)', () => {
  test('are passed on and answered without a body', async () => {
    const world = new RoutesWorld();
    const join = {
      ListenAddr: 'a',
      AdvertiseAddr: 'b',
      DataPathAddr: 'c',
      RemoteAddrs: ['d', 'e'],
      JoinToken: 'f',
      Availability: 'pause',
    };
    for (const [path, body] of [
      ['/swarm/join', join],
      ['/swarm/leave', undefined],
      ['/swarm/leave?force=1', undefined],
      ['/swarm/leave?force=none', undefined],
      ['/swarm/unlock', { UnlockKey: 'k' }],
    ] as const) {
      const answer = await world.post(path, body);
      expect([path, answer.status, answer.bytes.length]).toEqual([path, 200, 0]);
    }
    expect(world.calls).toEqual([
      [
        'join',
        {
          listenAddr: 'a',
          advertiseAddr: 'b',
          dataPathAddr: 'c',
          remoteAddrs: ['d', 'e'],
          joinToken: 'f',
          availability: 'pause',
        },
      ],
      ['leave', false],
      ['leave', true],
      ['leave', false],
      ['unlock', 'k'],
    ]);
  });

  test('keep the rendering of a remote error (E-114, E-342)', async () => {
    const world = new RoutesWorld();
    world.failure = new SwarmError(Code.UNAVAILABLE, 'connection error: refused');
    expect(await world.post('/swarm/join', {})).toMatchObject({
      status: 503,
      body: { message: 'rpc error: code = Unavailable desc = connection error: refused' },
    });
  });
});

describe('update (E-205)', () => {
  test('replaces the whole spec at the version named', async () => {
    const world = await new RoutesWorld().withCluster();
    const index = world.fixture.get('cluster', 'c1')?.meta?.version?.index;
    const body = {
      Labels: { a: 'b' },
      Dispatcher: { HeartbeatPeriod: 5_000_000_000 },
      CAConfig: { NodeCertExpiry: 7_200_000_000_000 },
      Raft: { ElectionTick: 10, HeartbeatTick: 1 },
    };
    const answer = await world.post(`/swarm/update?version=${index}`, body);
    expect([answer.status, answer.bytes.length]).toEqual([200, 0]);
    expect(world.fixture.get('cluster', 'c1')?.spec).toMatchObject({
      annotations: { name: 'default', labels: { a: 'b' } },
    });
    expect(await world.post(`/swarm/update?version=${index}`, body)).toMatchObject({
      status: 500,
      body: { message: 'rpc error: code = Unknown desc = update out of sequence' },
    });
  });

  test('rotates what it is told to', async () => {
    const world = await new RoutesWorld().withCluster();
    const before = world.fixture.get('cluster', 'c1')?.rootCa?.joinTokens;
    const index = world.fixture.get('cluster', 'c1')?.meta?.version?.index;
    await world.post(
      `/swarm/update?version=${index}&rotateWorkerToken=true&rotateManagerToken=f&rotateManagerUnlockKey=`,
      {},
    );
    const after = world.fixture.get('cluster', 'c1')?.rootCa?.joinTokens;
    expect(after?.worker).not.toBe(before?.worker);
    expect(after?.manager).toBe(before?.manager);
  });

  test.each([
    ['', {}, 'invalid swarm version \'\': strconv.ParseUint: parsing "": invalid syntax'],
    ['?version=-1', {}, 'invalid swarm version \'-1\': strconv.ParseUint: parsing "-1": invalid syntax'],
    [
      '?version=99999999999999999999',
      {},
      'invalid swarm version \'99999999999999999999\': strconv.ParseUint: parsing "99999999999999999999": value out of range',
    ],
    ['?version=1&rotateWorkerToken=maybe', {}, 'invalid value for rotateWorkerToken: maybe'],
    ['?version=1&rotateManagerToken=maybe', {}, 'invalid value for rotateManagerToken: maybe'],
    ['?version=1&rotateManagerUnlockKey=maybe', {}, 'invalid value for rotateManagerUnlockKey: maybe'],
    ['?version=1', { Name: 'other' }, 'swarm spec must be named "default"'],
    ['?version=1', { CAConfig: { ExternalCAs: [{ Protocol: 'x' }] } }, 'invalid protocol: "x"'],
  ])('%s with %j is refused', async (query, body, message) => {
    const world = await new RoutesWorld().withCluster();
    expect(await world.post(`/swarm/update${query}`, body)).toMatchObject({ status: 400, body: { message } });
  });
});

describe('reading', () => {
  test('the swarm with its tokens (E-204)', async () => {
    const world = await new RoutesWorld().withCluster();
    expect(await world.get('/swarm')).toMatchObject({
      status: 200,
      body: {
        ID: 'c1',
        JoinTokens: { Worker: 'w', Manager: 'm' },
        TLSInfo: { TrustRoot: 'root certificate', CertIssuerSubject: 'AQ==', CertIssuerPublicKey: 'Ag==' },
        DefaultAddrPool: ['10.0.0.0/8'],
        SubnetSize: 24,
      },
    });
  });

  test('the unlock key, empty while nothing is locked (E-206)', async () => {
    const world = new RoutesWorld();
    expect((await world.get('/swarm/unlockkey')).body).toEqual({ UnlockKey: '' });
    world.unlockKey = new Uint8Array(32).fill(9);
    expect((await world.get('/swarm/unlockkey')).body).toEqual({ UnlockKey: formatUnlockKey(world.unlockKey) });
  });

  test('info tells of the swarm to managers, of the node to all (E-272)', async () => {
    const world = await new RoutesWorld().withCluster();
    await world.fixture.put('node', node('n1', { managerStatus: {} }));
    await world.fixture.put('node', node('n2', { managerStatus: {} }));
    await world.fixture.put('node', node('n3'));
    const { body } = await world.get('/info');
    expect(body).toMatchObject({
      ID: 'engine-1',
      Name: 'host',
      OSType: 'linux',
      Architecture: 'x86_64',
      NCPU: 4,
      MemTotal: 1024,
      ServerVersion: '1.2.3',
      Labels: ['a=b'],
      Swarm: {
        NodeID: 'self',
        NodeAddr: '192.0.2.1',
        LocalNodeState: 'active',
        ControlAvailable: true,
        Error: '',
        RemoteManagers: null,
        Nodes: 3,
        Managers: 2,
        Cluster: { ID: 'c1' },
        Warnings: [expect.stringMatching(/^WARNING: Running Swarm in a two-manager configuration/)],
      },
      Warnings: [expect.stringMatching(/^WARNING: Running Swarm in a two-manager configuration/)],
    });
    expect((body as { Swarm: { Cluster: object } }).Swarm.Cluster).not.toHaveProperty('JoinTokens');
  });

  test('info of an engine without a swarm, and of one that waits', async () => {
    const world = new RoutesWorld();
    world.status = { state: 'inactive', error: '', view: undefined, isManager: false, nodeAddr: '', dataPathAddr: '' };
    const inactive = {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    };
    expect((await world.get('/info')).body).toMatchObject({ Swarm: inactive, Warnings: null });
    world.status = { ...world.status, state: 'locked', error: 'locked text' };
    expect((await world.get('/info')).body).toMatchObject({
      Swarm: { ...inactive, LocalNodeState: 'locked', Error: 'locked text' },
    });
  });

  test('info says why the cluster cannot be asked', async () => {
    const world = new RoutesWorld();
    world.notManager = 'no manager';
    expect((await world.get('/info')).body).toMatchObject({ Swarm: { ControlAvailable: true, Error: 'no manager' } });
  });
});

describe('the engine itself', () => {
  test.each([
    ['inactive', undefined, 'inactive'],
    ['pending', 'swarm-manager', 'pending'],
    ['error', undefined, 'error'],
    ['locked', undefined, 'locked'],
    ['active', 'swarm-worker', 'active/worker'],
    ['active', 'swarm-manager', 'active/manager'],
  ] as const)('says in a ping that it is %s as %s (E-271)', async (state, role, shown) => {
    const world = new RoutesWorld();
    const view = world.status.view;
    world.status = {
      ...world.status,
      state,
      view: role === undefined || view === undefined ? undefined : { ...view, role },
    };
    for (const path of ['/_ping', '/v1.42/_ping']) {
      const answer = await world.get(path);
      expect(answer).toMatchObject({
        status: 200,
        body: 'OK',
        headers: {
          Swarm: shown,
          'Api-Version': '1.51',
          Ostype: 'linux',
          Server: 'Docker/1.2.3 (linux)',
          'Docker-Experimental': 'false',
          'Cache-Control': 'no-cache, no-store, must-revalidate',
          Pragma: 'no-cache',
        },
      });
    }
    expect((await world.get('/v1.41/_ping')).headers).not.toHaveProperty('Swarm');
    expect((await world.send('HEAD', '/_ping')).bytes).toHaveLength(0);
  });

  test('tells its versions (E-273)', async () => {
    expect((await new RoutesWorld().get('/version')).body).toMatchObject({
      Version: '1.2.3',
      ApiVersion: '1.51',
      MinAPIVersion: '1.24',
      Os: 'linux',
      Arch: 'amd64',
      KernelVersion: '6.1',
      Components: [{ Name: 'Engine', Version: '1.2.3' }],
    });
  });

  test('looks up no image: the CLI then takes it as it is named (E-276)', async () => {
    expect(await new RoutesWorld().get('/distribution/a/b:1/json')).toMatchObject({ status: 500 });
  });

  test.each([
    ['GET', '/nope'],
    ['PUT', '/nodes'],
    ['HEAD', '/nodes'],
    ['PATCH', '/nodes'],
    ['GET', '/nodes/'],
    ['GET', '/vx/nodes'],
    ['GET', '/v1.51'],
  ])('%s %s is no page (E-105)', async (method, path) => {
    const answer = await new RoutesWorld().send(method, path);
    expect(answer).toMatchObject({ status: 404, body: { message: 'page not found' } });
    expect(answer.headers).not.toHaveProperty('Api-Version');
  });

  test('OPTIONS on anything is empty (E-115)', async () => {
    const answer = await new RoutesWorld().send('OPTIONS', '/nope');
    expect([answer.status, answer.bytes.length]).toEqual([200, 0]);
  });
});

test.each([
  ['GET', '/swarm'],
  ['GET', '/swarm/unlockkey'],
  ['POST', '/swarm/update?version=1'],
  ['GET', '/nodes'],
  ['GET', '/nodes/x'],
  ['POST', '/nodes/x/update?version=1'],
  ['DELETE', '/nodes/x'],
  ['GET', '/services'],
  ['GET', '/services/x'],
  ['POST', '/services/create'],
  ['POST', '/services/x/update?version=1'],
  ['DELETE', '/services/x'],
  ['GET', '/services/x/logs?stdout=1'],
  ['GET', '/tasks'],
  ['GET', '/tasks/x'],
  ['GET', '/tasks/x/logs?stdout=1'],
  ['GET', '/secrets'],
  ['GET', '/secrets/x'],
  ['POST', '/secrets/create'],
  ['POST', '/secrets/x/update?version=1'],
  ['DELETE', '/secrets/x'],
  ['GET', '/configs'],
  ['GET', '/configs/x'],
  ['POST', '/configs/create'],
  ['POST', '/configs/x/update?version=1'],
  ['DELETE', '/configs/x'],
])('%s %s needs a manager', async (method, path) => {
  const world = new RoutesWorld();
  world.notManager = 'no manager here';
  const answer = await world.send(method, path, method === 'POST' ? {} : undefined);
  expect(answer).toMatchObject({ status: 503, body: { message: 'no manager here' } });
});
