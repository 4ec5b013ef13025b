import { del, get, member, post, type Row } from './differential-rows.js';

const HEADERS = ['content-type', 'ostype', 'docker-experimental', 'cache-control', 'pragma'];
const BAD_LISTEN =
  "an address that cannot be parsed is the client's mistake in 28.x, an internal error in 20.10 (E-331)";
const LOG_DRIVER = 'stock never shows the default log driver, so that a read followed by an update loses it';
const JSON_DECODER = '28.x words its refusals of a body differently from 20.10 (E-107)';
const FILTER_WORDS = '28.x words its refusals of filters differently from 20.10 (E-110)';

const message = (text: string): { readonly message: string } => ({ message: text });

const swarmPart = (body: unknown): unknown => member(body, 'Swarm');

/** What the CLI sends for `docker swarm init`. */
export const INIT = {
  ListenAddr: '0.0.0.0:2377',
  AdvertiseAddr: '',
  DataPathAddr: '',
  DataPathPort: 0,
  DefaultAddrPool: null,
  ForceNewCluster: false,
  Spec: {
    Labels: null,
    Orchestration: {},
    Raft: { ElectionTick: 0, HeartbeatTick: 0 },
    Dispatcher: {},
    CAConfig: {},
    TaskDefaults: {},
    EncryptionConfig: { AutoLockManagers: false },
  },
  AutoLockManagers: false,
  Availability: '',
  SubnetSize: 24,
};

const init = (changes: Readonly<Record<string, unknown>>, rest: Partial<Row> = {}): Row =>
  post('/v1.41/swarm/init', { ...INIT, ...changes }, rest);

const join = (changes: Readonly<Record<string, unknown>>): Row =>
  post('/v1.41/swarm/join', {
    ListenAddr: '0.0.0.0:2377',
    AdvertiseAddr: '',
    RemoteAddrs: ['127.0.0.1:1'],
    JoinToken: 'nonsense',
    ...changes,
  });

/** Conventions of every route (engine-api section 1) and an engine that is in no swarm. */
export const OUTSIDE: readonly Row[] = [
  get('/_ping', { headersCompared: HEADERS }),
  { method: 'HEAD', path: '/_ping', headersCompared: HEADERS },
  { method: 'OPTIONS', path: '/nodes' },
  get('/nope', { headersCompared: ['content-type', 'server', 'api-version'] }),
  get('/v1.41/nope'),
  { method: 'PUT', path: '/v1.41/nodes' },
  { method: 'HEAD', path: '/v1.41/nodes' },
  { method: 'PATCH', path: '/v1.41/nodes' },
  get('/v1.41/nodes/', {}),
  get('/v1.99/nodes', {
    ours: {
      status: 400,
      body: message('client version 1.99 is too new. Maximum supported API version is 1.51'),
      why: 'ours serves a newer API (E-103)',
    },
  }),
  get('/v1.11/nodes', {
    ours: {
      status: 400,
      body: 'client version 1.11 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version\n',
      why: 'the oldest API of 28.x is 1.24 (E-103)',
    },
  }),
  get('/vx/nodes'),
  get('/v1/nodes', {
    ours: {
      status: 400,
      body: 'client version 1 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version\n',
      why: 'the oldest API of 28.x is 1.24 (E-103)',
    },
  }),
  get('/info', { pick: swarmPart }),
  ...['nodes', 'services', 'tasks', 'secrets', 'configs', 'swarm', 'swarm/unlockkey'].map((path) =>
    get(`/v1.41/${path}`, { headersCompared: HEADERS }),
  ),
  ...['nodes', 'services', 'tasks', 'secrets', 'configs'].map((path) => get(`/v1.41/${path}/x`)),
  get('/v1.41/services/x/logs?stdout=1'),
  get('/v1.41/services/x/logs'),
  del('/v1.41/nodes/x'),
  del('/v1.41/secrets/x'),
  post('/v1.41/services/create', {}),
  post('/v1.41/services/create', { TaskTemplate: { ContainerSpec: { Image: 'x' } } }),
  post('/v1.41/secrets/create', { Name: 'x' }),
  post('/v1.41/nodes/x/update?version=1', {}),
  post('/v1.41/nodes/x/update', {}),
  post('/v1.41/services/x/update', {}),
  post('/v1.41/secrets/x/update', {}),
  post('/v1.41/configs/x/update?version=x', {}),
  post('/v1.41/swarm/update', {}),
  post('/v1.41/swarm/leave', undefined),
  post('/v1.41/swarm/leave?force=1', undefined),
  post('/v1.41/swarm/unlock', { UnlockKey: 'nonsense' }),
  post('/v1.41/swarm/unlock', { UnlockKey: `SWMKEY-1-${'A'.repeat(43)}` }),
  post('/v1.41/swarm/unlock', {}),
  post('/v1.41/swarm/init', {}),
  post('/v1.41/swarm/init', '{', {
    ours: { status: 400, body: message('invalid JSON: unexpected EOF'), why: JSON_DECODER },
  }),
  post('/v1.41/swarm/init', '{} {}', {
    ours: { status: 400, body: message('unexpected content after JSON'), why: JSON_DECODER },
  }),
  post('/v1.41/swarm/init', 'nonsense', {
    ours: {
      status: 400,
      body: message("invalid JSON: invalid character 'o' in literal null (expecting 'u')"),
      why: JSON_DECODER,
    },
  }),
  post('/v1.41/swarm/init', '{"ListenAddr":5}', {
    ours: {
      status: 400,
      body: message('invalid JSON: json: cannot unmarshal number into Go struct field ListenAddr of type string'),
      why: JSON_DECODER,
    },
  }),
  init({ ListenAddr: 'nowhere' }),
  init({ ListenAddr: '0.0.0.0', AdvertiseAddr: 'nowhere' }),
  init(
    { ListenAddr: '10.77.0.2:port', AdvertiseAddr: 'nowhere' },
    { ours: { status: 400, body: message('could not parse listen address 10.77.0.2:port'), why: BAD_LISTEN } },
  ),
  init({ ListenAddr: 'eth0', AdvertiseAddr: 'nowhere' }),
  init({ ListenAddr: 'tcp://10.77.0.2:2377', AdvertiseAddr: 'nowhere' }),
  init(
    { ListenAddr: 'http://10.77.0.2:2377', AdvertiseAddr: 'nowhere' },
    { ours: { status: 400, body: message('could not parse listen address http://10.77.0.2:2377'), why: BAD_LISTEN } },
  ),
  init({ ListenAddr: '[::1]:2377', AdvertiseAddr: 'nowhere' }),
  init(
    { ListenAddr: '[::1', AdvertiseAddr: 'nowhere' },
    { ours: { status: 400, body: message('could not parse listen address [::1'), why: BAD_LISTEN } },
  ),
  init({ ListenAddr: '::', AdvertiseAddr: 'nowhere' }),
  init({ ListenAddr: ':2377', AdvertiseAddr: 'nowhere' }),
  init({ ListenAddr: 'eth9', AdvertiseAddr: 'nowhere' }),
  init({ AdvertiseAddr: '0.0.0.0' }),
  init({ AdvertiseAddr: '0.0.0.0:2377' }),
  init({ AdvertiseAddr: '10.77.0.2:2377:1' }),
  init({ AdvertiseAddr: '192.0.2.1', DefaultAddrPool: ['x'] }),
  init({ DataPathAddr: 'nowhere' }),
  init({ DataPathAddr: '10.77.0.2:4789' }),
  init({ DataPathAddr: '::' }),
  init({ DataPathPort: 80 }),
  init({ DataPathPort: 49_152 }),
  init({ DefaultAddrPool: ['nonsense'] }),
  init({ DefaultAddrPool: ['10.0.0.0/33'] }),
  init({ DefaultAddrPool: ['10.0.0.0/28'], SubnetSize: 0 }),
  init({ DefaultAddrPool: ['10.0.0.0/16'], SubnetSize: 30 }),
  init({ DefaultAddrPool: [], SubnetSize: 30 }),
  init({ Spec: { Name: 'other' } }),
  init({ Availability: 'boss' }),
  post('/v1.41/swarm/join', {}),
  join({ RemoteAddrs: [] }),
  join({ RemoteAddrs: [''] }),
  join({ ListenAddr: '' }),
  join({ ListenAddr: 'nowhere' }),
  join({ DataPathAddr: 'nowhere' }),
  join({ Availability: 'boss' }),
  join({}),
  join({ JoinToken: '' }),
  get('/v1.41/networks', {
    pick: (body) => Array.isArray(body) && body.filter((one) => member(one, 'Scope') === 'swarm'),
  }),
  get('/v1.41/networks/nope'),
  get('/v1.41/nodes?filters=bad', {
    ours: { status: 400, body: message('invalid filter'), why: FILTER_WORDS },
  }),
  get('/info', { pick: swarmPart }),
];

/** A swarm from its creation to its end: init, update, tokens, leave (E-201 to E-205, E-321 to E-325, E-351 to E-354). */
export const SWARM: readonly Row[] = [
  init({ Spec: { CAConfig: { NodeCertExpiry: 60_000_000_000 } } }),
  get('/v1.41/swarm', { pick: (body) => member(body, 'Spec') }),
  init({}),
  join({}),
  post('/v1.41/swarm/leave', undefined),
  post('/v1.41/swarm/leave?force=false', undefined),
  post('/v1.41/swarm/leave?force=1', undefined),
  get('/info', { pick: swarmPart }),
  init({ DefaultAddrPool: [] }),
  get('/v1.41/swarm', {
    pick: (body) => member(body, 'DefaultAddrPool'),
    ours: { status: 200, body: ['10.0.0.0/8'], why: 'stock shows null for an empty list until it restarts (E-325)' },
  }),
  post('/v1.41/swarm/leave?force=1', undefined),
  init({
    DefaultAddrPool: ['10.20.0.0/16', '10.30.0.0/16'],
    SubnetSize: 26,
    DataPathPort: 7789,
    DataPathAddr: 'eth0',
    Availability: 'drain',
    Spec: {
      Name: 'default',
      Labels: { a: 'b' },
      Orchestration: { TaskHistoryRetentionLimit: 2 },
      Raft: {
        SnapshotInterval: 77,
        KeepOldSnapshots: 3,
        LogEntriesForSlowFollowers: 11,
        ElectionTick: 0,
        HeartbeatTick: 0,
      },
      Dispatcher: { HeartbeatPeriod: 7_000_000_000 },
      CAConfig: { NodeCertExpiry: 7_200_000_000_000 },
      EncryptionConfig: { AutoLockManagers: false },
    },
  }),
  get('/v1.41/swarm', { headersCompared: HEADERS }),
  get('/v1.41/nodes', { pick: (body) => member(body, 0, 'Spec') }),
  get('/info', { pick: swarmPart, until: (body) => member(body, 'Swarm', 'RemoteManagers') !== null }),
  post('/v1.41/swarm/leave?force=1', undefined),
  post('/v1.41/swarm/init', { ListenAddr: '0.0.0.0' }),
  get('/v1.41/swarm', { remember: { version: ['Version', 'Index'] } }),
  get('/v1.24/swarm'),
  get('/v1.41/swarm/unlockkey'),
  get('/v1.41/nodes', { pick: (body) => member(body, 0, 'ManagerStatus') }),
  post('/v1.41/swarm/unlock', { UnlockKey: 'nonsense' }),
  post('/v1.41/swarm/unlock', { UnlockKey: `SWMKEY-1-${'A'.repeat(43)}` }),
  post('/v1.41/swarm/update', {}),
  post('/v1.41/swarm/update?version=x', {}),
  post('/v1.41/swarm/update?version=-1', {}),
  post('/v1.41/swarm/update?version=99999999999999999999', {}),
  post('/v1.41/swarm/update?version=1&rotateWorkerToken=maybe', {}),
  post('/v1.41/swarm/update?version=1&rotateManagerToken=maybe', {}),
  post('/v1.41/swarm/update?version=1&rotateManagerUnlockKey=maybe', {}),
  post('/v1.41/swarm/update?version=1', { Name: 'other' }),
  post('/v1.41/swarm/update?version=1', { Name: 'default' }),
  post('/v1.41/swarm/update?version=$version', { CAConfig: { NodeCertExpiry: 5 } }),
  post('/v1.41/swarm/update?version=$version', { Dispatcher: { HeartbeatPeriod: -5 } }),
  post('/v1.41/swarm/update?version=$version', { CAConfig: { ExternalCAs: [{ Protocol: 'x', URL: 'https://x' }] } }),
  post('/v1.41/swarm/update?version=$version', { CAConfig: { ExternalCAs: [{ Protocol: 'cfssl' }] } }),
  post('/v1.41/swarm/update?version=$version', {}),
  get('/v1.41/swarm', { remember: { version: ['Version', 'Index'], worker: ['JoinTokens', 'Worker'] } }),
  post('/v1.41/swarm/update?version=$version', {
    Labels: { x: 'y' },
    Orchestration: { TaskHistoryRetentionLimit: -1 },
    Raft: {
      SnapshotInterval: 5,
      KeepOldSnapshots: 1,
      LogEntriesForSlowFollowers: 7,
      ElectionTick: 10,
      HeartbeatTick: 1,
    },
    Dispatcher: { HeartbeatPeriod: 9_000_000_000 },
    CAConfig: { NodeCertExpiry: 3_600_000_000_000, ForceRotate: 0 },
    EncryptionConfig: { AutoLockManagers: true },
  }),
  get('/v1.41/swarm', { remember: { version: ['Version', 'Index'] } }),
  get('/v1.41/swarm/unlockkey', { remember: { key: ['UnlockKey'] } }),
  post('/v1.41/swarm/update?version=$version&rotateWorkerToken=true&rotateManagerToken=1&rotateManagerUnlockKey=t', {
    EncryptionConfig: { AutoLockManagers: true },
  }),
  get('/v1.41/swarm', { remember: { version: ['Version', 'Index'] } }),
  post('/v1.41/swarm/update?version=$version', {}),
  get('/v1.41/swarm/unlockkey'),
  get('/v1.41/swarm', { remember: { version: ['Version', 'Index'] } }),
  post('/v1.41/swarm/update?version=$version', {
    TaskDefaults: { LogDriver: { Name: 'syslog', Options: { a: 'b' } } },
  }),
  get('/v1.41/swarm', {
    pick: (body) => member(body, 'Spec', 'TaskDefaults'),
    ours: { status: 200, body: { LogDriver: { Name: 'syslog', Options: { a: 'b' } } }, why: LOG_DRIVER },
  }),
  get('/v1.41/nodes', {
    remember: { node: [0, 'ID'], nodeVersion: [0, 'Version', 'Index'] },
    until: (body) =>
      member(body, 0, 'Status', 'State') === 'ready' && member(body, 0, 'Description', 'Hostname') !== undefined,
    pick: (body) => member(body, 0),
  }),
];

/** Nodes (E-211 to E-214). */
export const NODES: readonly Row[] = [
  get('/v1.41/nodes/$node'),
  get('/v1.41/nodes/nope'),
  get('/v1.41/nodes/self'),
  get('/v1.41/nodes?filters={"role":{"manager":true}}', { pick: (body) => member(body, 'length') }),
  get('/v1.41/nodes?filters={"role":["MANAGER"]}', { pick: (body) => member(body, 'length') }),
  get('/v1.41/nodes?filters={"role":["worker"]}'),
  get('/v1.41/nodes?filters={"role":["boss"]}'),
  get('/v1.41/nodes?filters={"role":[""]}', { pick: (body) => member(body, 'length') }),
  get('/v1.41/nodes?filters={"membership":["accepted"]}', { pick: (body) => member(body, 'length') }),
  get('/v1.41/nodes?filters={"membership":["pending"]}'),
  get('/v1.41/nodes?filters={"membership":["boss"]}'),
  get('/v1.41/nodes?filters={"id":["$node"]}', { pick: (body) => member(body, 'length') }),
  get('/v1.41/nodes?filters={"id":["zz"]}'),
  get('/v1.41/nodes?filters={"name":["zz"]}'),
  get('/v1.41/nodes?filters={"label":["zone"]}'),
  get('/v1.41/nodes?filters={"node.label":["zone=a"]}'),
  get('/v1.41/nodes?filters={"foo":["x"]}', {
    ours: { status: 400, body: message("invalid filter 'foo'"), why: FILTER_WORDS },
  }),
  get('/v1.41/nodes?filters={}', { pick: (body) => member(body, 'length') }),
  get('/v1.41/nodes?filters=[]', { ours: { status: 400, body: message('invalid filter'), why: FILTER_WORDS } }),
  post('/v1.41/nodes/$node/update', {}),
  post('/v1.41/nodes/$node/update?version=1', {}),
  post('/v1.41/nodes/$node/update?version=1', { Role: 'boss', Availability: 'active' }),
  post('/v1.41/nodes/$node/update?version=1', { Role: 'manager' }),
  post('/v1.41/nodes/$node/update?version=1', { Role: 'manager', Availability: 'gone' }),
  post('/v1.41/nodes/$node/update?version=1', { Role: 'manager', Availability: 'active' }),
  post('/v1.41/nodes/nope/update?version=1', { Role: 'manager', Availability: 'active' }),
  post('/v1.41/nodes/$node/update?version=$nodeVersion', { Role: 'worker', Availability: 'active' }),
  post('/v1.41/nodes/$node/update?version=$nodeVersion', {
    Name: 'alias',
    Labels: { zone: 'a' },
    Role: 'Manager',
    Availability: 'DRAIN',
  }),
  get('/v1.41/nodes/alias', { remember: { nodeVersion: ['Version', 'Index'] } }),
  get('/v1.41/nodes?filters={"label":["zone=a"]}', { pick: (body) => member(body, 'length') }),
  get('/v1.41/nodes?filters={"node.label":["zone=a"]}', { pick: (body) => member(body, 'length') }),
  get('/v1.41/nodes?filters={"label":["zone=b"]}'),
  get('/v1.41/nodes?filters={"name":["ali"]}', { pick: (body) => member(body, 'length') }),
  post('/v1.41/nodes/alias/update?version=$nodeVersion', { Role: 'manager', Availability: 'active' }),
  get('/v1.41/nodes/$node', { pick: (body) => member(body, 'Spec') }),
  del('/v1.41/nodes/nope'),
  del('/v1.41/nodes/$node'),
  del('/v1.41/nodes/$node?force=1'),
];

/** A plain swarm for other groups to work in. */
export const PLAIN: readonly Row[] = [
  init({}),
  get('/v1.41/nodes', {
    remember: { node: [0, 'ID'] },
    until: (body) => member(body, 0, 'Status', 'State') === 'ready',
    pick: () => undefined,
  }),
];

const NODE_IN_SWARM = (body: unknown): boolean => member(body, 'Swarm', 'LocalNodeState') === 'active';

/** A manager that is locked at its next start (E-355). */
export const AUTOLOCK: readonly Row[] = [
  init({ AutoLockManagers: true, Spec: { EncryptionConfig: { AutoLockManagers: true } } }),
  get('/v1.41/swarm', { pick: (body) => member(body, 'Spec', 'EncryptionConfig') }),
  get('/v1.41/swarm/unlockkey', { remember: { key: ['UnlockKey'] } }),
  post('/v1.41/secrets/create', { Name: 'kept', Data: 'c2VjcmV0' }),
];

/** The same manager after a restart (E-304, E-310, E-353, E-356). */
export const LOCKED: readonly Row[] = [
  get('/info', { pick: swarmPart }),
  get('/v1.41/nodes'),
  get('/v1.41/swarm'),
  get('/v1.41/swarm/unlockkey'),
  init({}),
  join({}),
  post('/v1.41/swarm/leave', undefined),
  post('/v1.41/swarm/unlock', { UnlockKey: 'nonsense' }),
  post('/v1.41/swarm/unlock', { UnlockKey: `SWMKEY-1-${'A'.repeat(43)}` }),
  get('/info', { pick: swarmPart }),
  post('/v1.41/swarm/unlock', { UnlockKey: '$key' }),
  get('/info', { pick: (body) => member(body, 'Swarm', 'LocalNodeState'), until: NODE_IN_SWARM }),
  get('/v1.41/secrets/kept', { until: (body) => member(body, 'Spec') !== undefined }),
  post('/v1.41/swarm/unlock', { UnlockKey: '$key' }),
];

/** Again locked: only force leaves. */
export const LOCKED_LEAVE: readonly Row[] = [
  post('/v1.41/swarm/leave?force=1', undefined),
  get('/info', { pick: swarmPart }),
  init({}),
  get('/v1.41/secrets'),
];

/** A manager that runs begins a cluster anew from its data (E-326), and so does one after a restart. */
export const FORCED: readonly Row[] = [
  post('/v1.41/secrets/create', { Name: 'kept', Data: 'c2VjcmV0' }),
  init({ ForceNewCluster: true }),
  get('/v1.41/secrets/kept', { until: (body) => member(body, 'Spec') !== undefined }),
  get('/v1.41/nodes', { pick: (body) => member(body, 'length') }),
];

/** What a restart keeps (E-312, E-313). */
export const RESTARTED: readonly Row[] = [
  get('/info', { pick: (body) => member(body, 'Swarm', 'LocalNodeState'), until: NODE_IN_SWARM }),
  get('/v1.41/secrets/kept', { until: (body) => member(body, 'Spec') !== undefined }),
  get('/v1.41/swarm', { until: (body) => member(body, 'ID') !== undefined }),
];
