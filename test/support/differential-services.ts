import { del, get, member, post, type Row } from './differential-rows.js';

const FILTER_WORDS = '28.x words its refusals of filters differently from 20.10 (E-110)';
const message = (text: string): { readonly message: string } => ({ message: text });
const names = (body: unknown): unknown =>
  Array.isArray(body)
    ? body.map((one) => String(member(one, 'Spec', 'Name'))).sort((a, b) => a.localeCompare(b))
    : body;
const spec = (body: unknown): unknown => member(body, 'Spec');

/** An image that neither engine has: tasks wait or fail, which these rows do not look at. */
const IMAGE = 'differential.invalid/none:1';

const service = (name: string, changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  Name: name,
  TaskTemplate: { ContainerSpec: { Image: IMAGE }, Placement: { Constraints: ['node.labels.never==true'] } },
  ...changes,
});

const container = (name: string, changes: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  service(name, {
    TaskTemplate: {
      ContainerSpec: { Image: IMAGE, ...changes },
      Placement: { Constraints: ['node.labels.never==true'] },
    },
  });

const template = (name: string, changes: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  service(name, {
    TaskTemplate: {
      ContainerSpec: { Image: IMAGE },
      Placement: { Constraints: ['node.labels.never==true'] },
      ...changes,
    },
  });

const create = (body: unknown, rest: Partial<Row> = {}): Row => post('/v1.41/services/create', body, rest);

/** Everything that API 1.41 knows of a container. */
const FULL_CONTAINER = {
  Image: IMAGE,
  Labels: { inner: 'yes' },
  Command: ['run'],
  Args: ['a', 'b'],
  Hostname: 'host-{{.Task.Slot}}',
  Env: ['A=b', 'EMPTY='],
  Dir: '/work',
  User: 'nobody',
  Groups: ['g'],
  Privileges: {
    CredentialSpec: { Config: '', File: 'spec.json', Registry: '' },
    SELinuxContext: { Disable: true, User: 'u', Role: 'r', Type: 't', Level: 'l' },
  },
  Init: true,
  StopSignal: 'SIGUSR1',
  TTY: true,
  OpenStdin: true,
  ReadOnly: true,
  Mounts: [
    {
      Type: 'bind',
      Source: '/src',
      Target: '/a',
      ReadOnly: true,
      Consistency: 'cached',
      BindOptions: { Propagation: 'rslave', NonRecursive: true },
    },
    {
      Type: 'volume',
      Source: 'vol',
      Target: '/b',
      VolumeOptions: { NoCopy: true, Labels: { l: 'm' }, DriverConfig: { Name: 'local', Options: { o: 'p' } } },
    },
    { Type: 'tmpfs', Target: '/c', TmpfsOptions: { SizeBytes: 4096, Mode: 511 } },
    { Type: 'npipe', Source: 'x', Target: '/d' },
    { Target: '/e', Source: '/e' },
    { Type: 'volume', Target: '/f', VolumeOptions: {} },
    { Type: 'bind', Source: '/g', Target: '/g', BindOptions: {}, Consistency: 'default' },
    { Type: 'tmpfs', Target: '/h', TmpfsOptions: {} },
  ],
  StopGracePeriod: 5_000_000_000,
  Healthcheck: {
    Test: ['CMD', 'true'],
    Interval: 2_000_000_000,
    Timeout: 1_000_000_000,
    StartPeriod: 3_000_000_000,
    Retries: 4,
  },
  Hosts: ['1.2.3.4 a b'],
  DNSConfig: { Nameservers: ['8.8.8.8'], Search: ['example.org'], Options: ['ndots:1'] },
  Isolation: 'default',
  Sysctls: { 'net.core.somaxconn': '5' },
  CapabilityAdd: ['CAP_NET_ADMIN'],
  CapabilityDrop: ['CAP_CHOWN'],
  Ulimits: [
    { Name: 'nofile', Soft: 10, Hard: 20 },
    { Name: 'nproc', Soft: -1, Hard: -1 },
  ],
};

/** Everything that API 1.41 knows of a service. */
export const FULL_SERVICE = {
  Name: 'full',
  Labels: { a: 'b', empty: '' },
  TaskTemplate: {
    ContainerSpec: FULL_CONTAINER,
    Resources: {
      Limits: { NanoCPUs: 500_000_000, MemoryBytes: 100_000_000, Pids: 77 },
      Reservations: {
        NanoCPUs: 2_000_000,
        MemoryBytes: 5_000_000,
        GenericResources: [{ DiscreteResourceSpec: { Kind: 'gpu', Value: 2 } }],
      },
    },
    RestartPolicy: { Condition: 'on-failure', Delay: 3_000_000_000, MaxAttempts: 7, Window: 9_000_000_000 },
    Placement: {
      Constraints: ['node.labels.never==true', 'node.role != worker'],
      Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }],
      MaxReplicas: 3,
      Platforms: [{ Architecture: 'x86_64', OS: 'linux' }, { OS: 'linux' }],
    },
    LogDriver: { Name: 'json-file', Options: { 'max-size': '1m' } },
    ForceUpdate: 4,
    Runtime: 'container',
  },
  Mode: { Replicated: { Replicas: 3 } },
  UpdateConfig: {
    Parallelism: 2,
    Delay: 1_000_000_000,
    FailureAction: 'rollback',
    Monitor: 6_000_000_000,
    MaxFailureRatio: 0.3,
    Order: 'start-first',
  },
  RollbackConfig: { Parallelism: 0, FailureAction: 'continue', MaxFailureRatio: 0.25, Order: 'stop-first' },
  EndpointSpec: {
    Mode: 'vip',
    Ports: [
      { Name: 'web', Protocol: 'udp', TargetPort: 53, PublishedPort: 5353, PublishMode: 'host' },
      { TargetPort: 80, PublishedPort: 8080, PublishMode: 'host', Protocol: 'sctp' },
    ],
  },
};

/** Creation with every field, read back (E-223, E-42x). */
export const CREATE: readonly Row[] = [
  create(FULL_SERVICE, { remember: { full: ['ID'] }, headersCompared: ['content-type'] }),
  get('/v1.41/services/$full', { until: (body) => member(body, 'Endpoint', 'Ports') !== undefined }),
  get('/v1.41/services/full?insertDefaults=true', { pick: spec }),
  get('/v1.41/services/full?insertDefaults=maybe'),
  get('/v1.40/services/full', { pick: spec }),
  create(service('bare'), { remember: { bare: ['ID'] } }),
  get('/v1.41/services/bare'),
  get('/v1.41/services/bare?insertDefaults=1', { pick: spec }),
  get('/v1.41/services/bare?insertDefaults=0', { pick: spec }),
  create(service('bare')),
  ...[
    ['global', { Mode: { Global: {} } }],
    ['job', { Mode: { ReplicatedJob: { MaxConcurrent: 2 } } }],
    ['job5', { Mode: { ReplicatedJob: { TotalCompletions: 5 } } }],
    ['jobs', { Mode: { ReplicatedJob: {} } }],
    ['gjob', { Mode: { GlobalJob: {} } }],
    ['zero', { Mode: { Replicated: { Replicas: 0 } } }],
    ['nil', { Mode: { Replicated: {} } }],
    ['nomode', { Mode: {} }],
    ['dnsrr', { EndpointSpec: { Mode: 'dnsrr' } }],
    ['emptyep', { EndpointSpec: {} }],
    ['nulls', { Labels: null, UpdateConfig: null, EndpointSpec: null, Mode: null, RollbackConfig: null }],
    ['upd', { UpdateConfig: {}, RollbackConfig: {} }],
    ['cond', { UpdateConfig: { FailureAction: 'continue', Order: '', MaxFailureRatio: 1 } }],
  ].flatMap(([name, changes]) => [
    create(service(name as string, changes as Record<string, unknown>)),
    get(`/v1.41/services/${name as string}`, { pick: spec }),
    get(`/v1.41/services/${name as string}?insertDefaults=true`, { pick: spec }),
  ]),
  get('/v1.41/services/job', { pick: (body) => member(body, 'JobStatus') }),
  ...[
    ['t1', { RestartPolicy: {} }],
    ['t2', { RestartPolicy: { Condition: 'none', Delay: 0, Window: 0, MaxAttempts: 0 } }],
    ['t3', { RestartPolicy: { Condition: 'any', Delay: 1 } }],
    ['t4', { Resources: {} }],
    ['t5', { Resources: { Limits: {}, Reservations: {} } }],
    ['t6', { Resources: { Limits: { Pids: 5 } } }],
    ['t7', { Placement: {} }],
    ['t8', { Placement: { Constraints: [], Preferences: [], Platforms: [] } }],
    ['t9', { Placement: { Preferences: [{}] } }],
    ['t10', { LogDriver: {} }],
    ['t11', { LogDriver: { Name: 'none' } }],
    ['t12', { Runtime: '' }],
    ['t13', { Networks: [] }],
    ['t14', { Networks: null, LogDriver: null, RestartPolicy: null, Resources: null }],
  ].flatMap(([name, changes]) => [
    create(template(name as string, changes as Record<string, unknown>)),
    get(`/v1.41/services/${name as string}`, { pick: (body) => member(body, 'Spec', 'TaskTemplate') }),
  ]),
  ...[
    ['c1', { Healthcheck: {} }],
    ['c2', { Healthcheck: { Test: ['NONE'] } }],
    ['c3', { DNSConfig: {} }],
    ['c4', { Privileges: {} }],
    ['c5', { Privileges: { CredentialSpec: null, SELinuxContext: null } }],
    ['c6', { StopGracePeriod: 0 }],
    ['c7', { Init: false }],
    ['c8', { Isolation: 'hyperv' }],
    ['c9', { Isolation: 'nonsense' }],
    ['c10', { Env: [], Args: [], Labels: {}, Mounts: [], Hosts: [], Groups: [], Ulimits: [], Sysctls: {} }],
    ['c11', { Privileges: { CredentialSpec: { Registry: 'r' } } }],
    ['c12', { Privileges: { SELinuxContext: {} } }],
    [
      'c13',
      {
        Mounts: [
          { Type: 'volume', Source: 'v', Target: '/x', Consistency: 'delegated', VolumeOptions: { DriverConfig: {} } },
        ],
      },
    ],
    ['c14', { Ulimits: [{}] }],
    ['c15', { Image: 'busybox@sha256:8d1cb3ab8a1a0e6ea6f3b5bb9a1e6a3f2b8ae0d8e9c0b3c9b54c2ddb1dbbb7e2' }],
    ['c16', { TTY: false, OpenStdin: false, ReadOnly: false, Hostname: '', Dir: '', User: '', StopSignal: '' }],
  ].flatMap(([name, changes]) => [
    create(container(name as string, changes as Record<string, unknown>)),
    get(`/v1.41/services/${name as string}`, { pick: (body) => member(body, 'Spec', 'TaskTemplate', 'ContainerSpec') }),
  ]),
];

/** What is refused at creation (E-223 and the store's rules). */
export const REFUSED: readonly Row[] = [
  create({}),
  create({ Name: 'r', TaskTemplate: {} }),
  create({ Name: 'r', TaskTemplate: { Runtime: 'weird', ContainerSpec: { Image: IMAGE } } }),
  create({ Name: 'r', TaskTemplate: { Runtime: 'plugin', ContainerSpec: { Image: IMAGE } } }),
  create({ Name: 'r', TaskTemplate: { Runtime: 'plugin' } }),
  create({ Name: 'r', TaskTemplate: { Runtime: 'plugin', PluginSpec: { Name: 'p', Remote: 'r' } } }),
  create({ Name: 'r', TaskTemplate: { Runtime: 'attachment', NetworkAttachmentSpec: { ContainerID: 'x' } } }),
  create({ Name: 'r', TaskTemplate: { Runtime: 'container', PluginSpec: {} } }),
  create({ Name: 'r', TaskTemplate: { ContainerSpec: {} } }),
  create({ Name: 'r', TaskTemplate: { ContainerSpec: { Image: '' } } }),
  create({ Name: 'r', TaskTemplate: { ContainerSpec: { Image: 'UPPER' } } }),
  create(service('bad name')),
  create(service('-x')),
  create(service('x'.repeat(64))),
  create(service('r', { Mode: { Global: {}, Replicated: {} } })),
  create(service('r', { Mode: { GlobalJob: {}, ReplicatedJob: {} } })),
  create(
    service('r0', {
      Mode: { Global: {} },
      TaskTemplate: { ContainerSpec: { Image: IMAGE }, Placement: { MaxReplicas: 2 } },
    }),
  ),
  create(service('r', { Mode: { GlobalJob: {} }, UpdateConfig: { Parallelism: 1 } })),
  create(service('r', { Mode: { Replicated: { Replicas: -1 } } }), {
    ours: {
      status: 400,
      body: message(
        'invalid JSON: json: cannot unmarshal number into Go struct field Mode.Replicated.Replicas of type uint64',
      ),
      why: 'refusals of a body name the field by its path (E-107)',
    },
  }),
  create(service('r', { EndpointSpec: { Mode: 'weird' } })),
  create(service('r', { EndpointSpec: { Mode: 'dnsrr', Ports: [{ TargetPort: 80, PublishedPort: 8080 }] } })),
  create(
    service('r', {
      EndpointSpec: {
        Ports: [
          { TargetPort: 80, PublishedPort: 8080 },
          { TargetPort: 81, PublishedPort: 8080 },
        ],
      },
    }),
  ),
  create(service('r', { UpdateConfig: { FailureAction: 'weird' } })),
  create(service('r', { UpdateConfig: { Order: 'weird' } })),
  create(service('r', { UpdateConfig: { Delay: -1 } })),
  create(service('r', { UpdateConfig: { Monitor: -1 } })),
  create(service('r', { UpdateConfig: { MaxFailureRatio: 2 } })),
  create(service('r', { RollbackConfig: { FailureAction: 'rollback' } })),
  create(template('r', { RestartPolicy: { Condition: 'weird' } })),
  create(template('r', { RestartPolicy: { Delay: -1 } })),
  create(template('r', { RestartPolicy: { Window: -1 } })),
  create(template('r', { Resources: { Limits: { NanoCPUs: 1 } } })),
  create(template('r', { Resources: { Limits: { MemoryBytes: 1 } } })),
  create(template('r', { Resources: { Reservations: { NanoCPUs: 1 } } })),
  create(template('r', { Resources: { Reservations: { MemoryBytes: 1 } } })),
  create(template('r', { Resources: { Limits: { NanoCPUs: -1 } } })),
  create(
    template('rg', {
      Resources: { Reservations: { GenericResources: [{ NamedResourceSpec: { Kind: 'fpga', Value: 'f1' } }] } },
    }),
    {
      ours: {
        status: 400,
        body: message('rpc error: code = InvalidArgument desc = invalid argument for resource fpga'),
        why: 'stock accepts named resources in a reservation and then never places the task',
      },
    },
  ),
  create(template('r', { Placement: { Constraints: ['nonsense'] } }), {
    ours: {
      status: 400,
      body: message('rpc error: code = InvalidArgument desc = constraint expected one operator from ==, !='),
      why: "a constraint that cannot be read is the client's mistake",
    },
  }),
  create(template('r', { Placement: { Constraints: ['node.weird==x'] } })),
  create(template('r', { Networks: [{ Target: 'nonet' }] })),
  create(service('r', { Networks: [{ Target: 'nonet' }] })),
  create(container('r', { Mounts: [{ Type: 'weird', Target: '/x' }] })),
  create(
    container('r', { Mounts: [{ Type: 'bind', Source: '/x', Target: '/x', BindOptions: { Propagation: 'weird' } }] }),
  ),
  create(
    container('r', {
      Mounts: [
        { Type: 'volume', Target: '/x' },
        { Type: 'volume', Target: '/x' },
      ],
    }),
  ),
  create(container('r', { Mounts: [{ Type: 'bind', Source: 'rel', Target: '/x' }] })),
  create(container('r', { Mounts: [{ Type: 'tmpfs', Source: 'rel', Target: '/x' }] })),
  create(container('r', { Mounts: [{ Type: 'volume' }] })),
  create(container('r', { Healthcheck: { Interval: 5 } })),
  create(container('r', { Healthcheck: { Timeout: 5 } })),
  create(container('r', { Healthcheck: { StartPeriod: 5 } })),
  create(container('r', { Healthcheck: { Retries: -1 } })),
  create(container('r', { Privileges: { CredentialSpec: {} } })),
  create(container('r', { Privileges: { CredentialSpec: { File: 'a', Registry: 'b' } } })),
  create(container('r', { Privileges: { CredentialSpec: { Config: 'c', Registry: 'b' } } })),
  create(container('r', { Privileges: { CredentialSpec: { Config: 'c', File: 'a', Registry: 'b' } } })),
  create(container('r', { Privileges: { CredentialSpec: { Config: 'a' } } })),
  create(
    container('r', {
      Secrets: [{ SecretID: 'nope', SecretName: 'nope', File: { Name: 'x', UID: '0', GID: '0', Mode: 292 } }],
    }),
  ),
  create(container('r', { Secrets: [{ SecretID: 'nope', SecretName: 'nope' }] })),
  create(container('r', { Secrets: [{ SecretName: 'nope', File: { Name: 'x' } }] })),
  create(container('r', { Secrets: [{ SecretID: 'a', SecretName: 'b', File: { Name: '' } }] })),
  create(
    container('r', {
      Secrets: [
        { SecretID: 'a', SecretName: 'b', File: { Name: 'x' } },
        { SecretID: 'c', SecretName: 'd', File: { Name: 'x' } },
      ],
    }),
  ),
  create(container('r', { Configs: [{ ConfigID: 'nope', ConfigName: 'nope', File: { Name: 'x' } }] })),
  create(container('r', { Configs: [{ ConfigID: 'nope', ConfigName: 'nope' }] })),
  create(container('r', { Configs: [{ ConfigID: 'nope', ConfigName: 'nope', File: { Name: 'x' }, Runtime: {} }] })),
  create(container('r', { Configs: [{ ConfigID: 'nope', ConfigName: 'nope', Runtime: {} }] })),
  create(container('r', { Hostname: '{{' })),
  create(container('r', { Env: ['A={{.Nope}}'] })),
  del('/v1.41/services/rg', {
    ours: { status: 404, body: message('service rg not found'), why: 'it was refused above' },
  }),
  get('/v1.41/services', { pick: (body) => (names(body) as string[]).filter((name) => name === 'r') }),
];

/** Older API versions drop what they did not know (E-130). */
export const GATES: readonly Row[] = [
  ...['1.39', '1.40', '1.25', '1.24'].flatMap((version) => [
    post(
      `/v${version}/services/create`,
      { ...FULL_SERVICE, Name: `gate-${version.replace('.', '-')}`, EndpointSpec: {} },
      { pick: (body) => Object.keys(body as object).includes('ID') },
    ),
    get(`/v1.41/services/gate-${version.replace('.', '-')}`, { pick: spec }),
  ]),
  post('/v1.40/services/create', service('gate-job', { Mode: { ReplicatedJob: {} } })),
  get('/v1.41/services/gate-job', { pick: spec }),
];

/** Lists, updates, rollback and removal (E-221 to E-225). */
export const UPDATES: readonly Row[] = [
  get('/v1.41/services', { pick: names }),
  get('/v1.41/services?status=true', {
    pick: (body) => Array.isArray(body) && body.map((one) => member(one, 'ServiceStatus') !== undefined).every(Boolean),
  }),
  get('/v1.41/services?status=maybe'),
  get('/v1.40/services?status=maybe', { pick: (body) => member(body, 0, 'ServiceStatus') }),
  get('/v1.41/services?status=1&filters={"name":["bare"]}', { pick: (body) => member(body, 0, 'ServiceStatus') }),
  get('/v1.41/services?status=1&filters={"name":["job5"]}', { pick: (body) => member(body, 0, 'ServiceStatus') }),
  get('/v1.41/services?status=1&filters={"name":["global"]}', { pick: (body) => member(body, 0, 'ServiceStatus') }),
  get('/v1.41/services?filters={"name":["ba","gl"]}', { pick: names }),
  get('/v1.41/services?filters={"name":{"ba":true,"gl":false}}', { pick: names }),
  get('/v1.41/services?filters={"id":["$bare"]}', { pick: names }),
  get('/v1.41/services?filters={"mode":["global"]}', { pick: names }),
  get('/v1.41/services?filters={"mode":["global-job","replicated-job"]}', { pick: names }),
  get('/v1.41/services?filters={"mode":["weird"]}', { pick: names }),
  get('/v1.41/services?filters={"mode":["Global"]}', { pick: names }),
  get('/v1.41/services?filters={"label":["a"]}', { pick: names }),
  get('/v1.41/services?filters={"label":["a=b"]}', { pick: names }),
  get('/v1.41/services?filters={"label":["a=c"]}', { pick: names }),
  get('/v1.41/services?filters={"label":["a=b","empty"]}', { pick: names }),
  get('/v1.41/services?filters={"label":["a=b","other"]}', { pick: names }),
  get('/v1.41/services?filters={"runtime":["plugin"]}', { pick: names }),
  get('/v1.41/services?filters={"runtime":["container"],"name":["ba"]}', { pick: names }),
  get('/v1.41/services?filters={"weird":["x"]}', {
    ours: { status: 400, body: message("invalid filter 'weird'"), why: FILTER_WORDS },
  }),
  get('/v1.41/services/nope'),
  get('/v1.41/services/bare', { remember: { version: ['Version', 'Index'] }, settled: true, pick: spec }),
  post('/v1.41/services/bare/update', service('bare')),
  post('/v1.41/services/bare/update?version=x', service('bare')),
  post('/v1.41/services/bare/update?version=1', service('bare')),
  post('/v1.41/services/nope/update?version=1', service('bare')),
  post('/v1.41/services/bare/update?version=$version&registryAuthFrom=weird', service('bare')),
  post('/v1.41/services/bare/update?version=$version&registryAuthFrom=previous-spec', service('bare')),
  post('/v1.41/services/bare/update?version=$version&rollback=weird', service('bare')),
  post('/v1.41/services/bare/update?version=$version&rollback=previous', service('bare')),
  post('/v1.41/services/bare/update?version=$version', service('renamed')),
  post('/v1.41/services/bare/update?version=$version', service('')),
  post('/v1.41/services/bare/update?version=$version', service('bare', { Mode: { Global: {} } })),
  post('/v1.41/services/bare/update?version=$version', {}),
  post('/v1.41/services/bare/update?version=$version', service('bare', { Mode: { Replicated: { Replicas: 2 } } }), {
    headersCompared: ['content-type'],
  }),
  post('/v1.41/services/bare/update?version=$version', service('bare')),
  get('/v1.41/services/bare', {
    remember: { version: ['Version', 'Index'] },
    settled: true,
    pick: spec,
  }),
  post('/v1.41/services/bare/update?version=$version', container('bare', { Env: ['A=b'] })),
  get('/v1.41/services/bare', {
    remember: { version: ['Version', 'Index'] },
    settled: true,
    pick: (body) => [member(body, 'Spec'), member(body, 'PreviousSpec')],
  }),
  post('/v1.41/services/bare/update?version=$version&rollback=previous', service('bare')),
  get('/v1.41/services/bare', {
    remember: { version: ['Version', 'Index'] },
    settled: true,
    pick: (body) => [member(body, 'Spec'), member(body, 'PreviousSpec')],
  }),
  post('/v1.41/services/$bare/update?version=$version&rollback=none', service('bare', { Labels: { new: 'label' } })),
  get('/v1.41/services/bare', { pick: spec }),
  get('/v1.41/services/global', { remember: { version: ['Version', 'Index'] }, settled: true, pick: spec }),
  post('/v1.41/services/global/update?version=$version', service('global', { Mode: { Replicated: {} } })),
  get('/v1.41/services/job', { remember: { version: ['Version', 'Index'] }, settled: true, pick: spec }),
  post(
    '/v1.41/services/job/update?version=$version',
    service('job', { Mode: { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 4 } } }),
  ),
  get('/v1.41/services/job', { pick: (body) => [member(body, 'Spec', 'Mode'), member(body, 'PreviousSpec', 'Mode')] }),
  del('/v1.41/services/nope'),
  del('/v1.41/services/zero', { headersCompared: ['content-type'] }),
  get('/v1.41/services/zero'),
];

/** Secrets and configs (E-241 to E-245). */
export const SECRETS: readonly Row[] = (['secret', 'config'] as const).flatMap((kind) => [
  post(`/v1.41/${kind}s/create`, {}),
  post(`/v1.41/${kind}s/create`, { Name: 'one' }),
  post(`/v1.41/${kind}s/create`, { Name: 'one', Data: '???' }),
  post(`/v1.41/${kind}s/create`, { Name: 'one', Data: 'AAA' }),
  post(`/v1.41/${kind}s/create`, { Name: 'one', Data: 'AA=A' }),
  post(`/v1.41/${kind}s/create`, { Name: 'bad name', Data: 'AAAA' }),
  post(`/v1.41/${kind}s/create`, { Name: '-x', Data: 'AAAA' }),
  post(`/v1.41/${kind}s/create`, { Name: 'x'.repeat(65), Data: 'AAAA' }),
  post(`/v1.41/${kind}s/create`, {
    Name: 'big',
    Data: Buffer.alloc(kind === 'secret' ? 512_001 : 1_024_001).toString('base64'),
  }),
  post(`/v1.41/${kind}s/create`, { Name: 'one', Labels: { a: 'b' }, Data: 'c2VjcmV0' }, { remember: { id: ['ID'] } }),
  post(`/v1.41/${kind}s/create`, { Name: 'one', Data: 'c2VjcmV0' }),
  post(`/v1.36/${kind}s/create`, { Name: 'tpl', Data: 'c2VjcmV0', Templating: { Name: 'golang' } }),
  post(`/v1.41/${kind}s/create`, {
    Name: 'tpl',
    Data: 'c2VjcmV0',
    Templating: { Name: 'golang', Options: { a: 'b' } },
  }),
  post(`/v1.41/${kind}s/create`, { Name: 'two', Data: 'c2VjcmV0', Labels: null }),
  get(`/v1.41/${kind}s/one`, { remember: { version: ['Version', 'Index'] } }),
  get(`/v1.41/${kind}s/$id`),
  get(`/v1.41/${kind}s/tpl`),
  get(`/v1.41/${kind}s/nope`),
  get(`/v1.41/${kind}s`, { pick: names }),
  get(`/v1.41/${kind}s?filters={"name":["t"]}`, { pick: names }),
  get(`/v1.41/${kind}s?filters={"id":["$id"]}`, { pick: names }),
  get(`/v1.41/${kind}s?filters={"label":["a"]}`, { pick: names }),
  get(`/v1.41/${kind}s?filters={"label":["a=b"],"name":["two"]}`, { pick: names }),
  get(`/v1.41/${kind}s?filters={"weird":["a"]}`, {
    ours: { status: 400, body: message("invalid filter 'weird'"), why: FILTER_WORDS },
  }),
  post(`/v1.41/${kind}s/one/update`, {}),
  post(`/v1.41/${kind}s/one/update?version=x`, {}),
  post(`/v1.41/${kind}s/one/update?version=1`, { Name: 'one', Data: 'c2VjcmV0' }),
  post(`/v1.41/${kind}s/one/update?version=$version`, { Name: 'other', Data: 'c2VjcmV0' }),
  post(`/v1.41/${kind}s/one/update?version=$version`, { Name: 'one', Data: 'b3RoZXI=' }),
  post(`/v1.41/${kind}s/nope/update?version=$version`, { Name: 'one' }),
  post(`/v1.41/${kind}s/one/update?version=$version`, { Name: 'one', Labels: { c: 'd' } }),
  get(`/v1.41/${kind}s/one`, { remember: { version: ['Version', 'Index'] } }),
  post(`/v1.41/${kind}s/one/update?version=$version`, { Name: 'one', Data: 'c2VjcmV0', Labels: {} }),
  get(`/v1.41/${kind}s/one`),
  post(
    '/v1.41/services/create',
    container(
      `uses-${kind}`,
      kind === 'secret'
        ? { Secrets: [{ SecretID: '$id', SecretName: 'one', File: { Name: 'f', UID: '1', GID: '2', Mode: 256 } }] }
        : { Configs: [{ ConfigID: '$id', ConfigName: 'one', File: { Name: '/f', UID: '1', GID: '2', Mode: 256 } }] },
    ),
  ),
  get(`/v1.41/services/uses-${kind}`, { pick: spec }),
  del(`/v1.41/${kind}s/one`),
  post(
    '/v1.41/services/create',
    container(
      `uses-${kind}2`,
      kind === 'secret'
        ? { Secrets: [{ SecretID: '$id', SecretName: 'one', File: { Name: 'f' } }] }
        : {
            Configs: [
              { ConfigID: '$id', ConfigName: 'one', File: { Name: '/f' } },
              { ConfigID: '$id', ConfigName: 'one', Runtime: {} },
            ],
            Privileges: { CredentialSpec: { Config: '$id' } },
          },
    ),
  ),
  get(`/v1.41/services/uses-${kind}2`, { pick: spec }),
  del(`/v1.41/services/uses-${kind}`),
  del(`/v1.41/${kind}s/$id`),
  post(
    '/v1.41/services/create',
    container(
      `uses-${kind}3`,
      kind === 'secret'
        ? { Secrets: [{ SecretID: '$id', SecretName: 'wrong', File: { Name: 'f' } }] }
        : { Configs: [{ ConfigID: '$id', ConfigName: 'wrong', File: { Name: '/f' } }] },
    ),
  ),
  del(`/v1.41/services/uses-${kind}2`),
  del(`/v1.41/services/uses-${kind}3`),
  del(`/v1.41/${kind}s/tpl`, { headersCompared: ['content-type', 'content-length'] }),
  del(`/v1.41/${kind}s/tpl`),
  del(`/v1.41/${kind}s/nope`),
]);
