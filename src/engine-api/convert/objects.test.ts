import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  ClusterSchema,
  ClusterSpecSchema,
  ConfigSchema,
  namedResource,
  NetworkSchema,
  NodeRole,
  NodeSchema,
  NodeSpec_Availability,
  NodeStatus_State,
  PortConfig_PublishMode,
  RaftMemberStatus_Reachability,
  SecretSchema,
  TaskSchema,
  TaskState,
} from '../../api/index.js';
import { ApiError, ApiVersion, JsonObject, parseJson, printJson } from '../http/index.js';
import { timeText } from './codec.js';
import { networkResourceToJson, networkToJson } from './network.js';
import { nodeSpecFromJson, nodeToJson } from './node.js';
import { configSpecFromJson, configToJson, secretSpecFromJson, secretToJson } from './secret.js';
import { clusterInfoToJson, clusterSpecFromJson, swarmToJson } from './swarm.js';
import { taskToJson } from './task.js';

const NEWEST = ApiVersion.parse('1.51');
const NO_ISSUER = { certIssuerSubject: new Uint8Array(), certIssuerPublicKey: new Uint8Array() };
const META = {
  version: { index: 7n },
  createdAt: { seconds: 1_767_225_600n, nanos: 0 },
  updatedAt: { seconds: 1_767_225_600n, nanos: 5_000 },
};
const HEADER = {
  Version: { Index: 7 },
  CreatedAt: '2026-01-01T00:00:00Z',
  UpdatedAt: '2026-01-01T00:00:00.000005Z',
};

const json = (value: unknown): JsonObject => new JsonObject(parseJson(printJson(value)) as never, '');
const shown = (value: unknown): Record<string, unknown> => parseJson(printJson(value)) as Record<string, unknown>;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function refusal(action: () => unknown): readonly [number, string] {
  try {
    action();
  } catch (error) {
    if (error instanceof ApiError) return [error.status, error.message];
    throw error;
  }
  throw new Error('it was not refused');
}

test('times have up to nine digits and no trailing zeros, as in Go', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 4_102_444_800 }),
      fc.integer({ min: 0, max: 999_999_999 }),
      (seconds, nanos) => {
        const text = timeText({ $typeName: 'google.protobuf.Timestamp', seconds: BigInt(seconds), nanos });
        expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z$/);
        expect(Date.parse(text.replace(/\.\d+/, ''))).toBe(seconds * 1000);
        expect(Number((/\.(\d+)/.exec(text)?.[1] ?? '0').padEnd(9, '0'))).toBe(nanos);
      },
    ),
  );
});

describe('a swarm spec', () => {
  const FULL = {
    Name: 'default',
    Labels: { a: 'b' },
    Orchestration: { TaskHistoryRetentionLimit: 2 },
    Raft: {
      SnapshotInterval: 77,
      KeepOldSnapshots: 3,
      LogEntriesForSlowFollowers: 11,
      ElectionTick: 20,
      HeartbeatTick: 2,
    },
    Dispatcher: { HeartbeatPeriod: 7_000_000_000 },
    CAConfig: {
      NodeCertExpiry: 7_200_000_000_000,
      ExternalCAs: [{ Protocol: 'cfssl', URL: 'https://ca', Options: { x: 'y' }, CACert: 'pem' }],
      ForceRotate: 4,
    },
    TaskDefaults: { LogDriver: { Name: 'syslog', Options: { c: 'd' } } },
    EncryptionConfig: { AutoLockManagers: true },
  };
  const specOf = (spec: ReturnType<typeof clusterSpecFromJson>): unknown =>
    shown(clusterInfoToJson(create(ClusterSchema, { spec }), NO_ISSUER))['Spec'];

  test('comes back as it was given', () => {
    expect(specOf(clusterSpecFromJson(json(FULL)))).toEqual(FULL);
  });

  test('never shows the signing key or certificate', () => {
    const spec = clusterSpecFromJson(json({ CAConfig: { SigningCACert: 'cert', SigningCAKey: 'key' } }));
    expect(spec.caConfig).toMatchObject({ signingCaCert: bytes('cert'), signingCaKey: bytes('key') });
    expect(specOf(spec)).toMatchObject({ CAConfig: {} });
  });

  test('of an update is complete: what is absent is zero (E-324)', () => {
    expect(specOf(clusterSpecFromJson(json({})))).toEqual({
      Name: '',
      Labels: {},
      Orchestration: { TaskHistoryRetentionLimit: 0 },
      Raft: { KeepOldSnapshots: 0, ElectionTick: 0, HeartbeatTick: 0 },
      Dispatcher: {},
      CAConfig: {},
      TaskDefaults: {},
      EncryptionConfig: { AutoLockManagers: false },
    });
  });

  test('of an init overrides defaults where it says something', () => {
    const base = clusterSpecFromJson(json({ ...FULL, CAConfig: { NodeCertExpiry: 9_000_000_000 } }));
    expect(specOf(clusterSpecFromJson(json({}), base))).toEqual({
      ...FULL,
      CAConfig: { NodeCertExpiry: 9_000_000_000 },
      EncryptionConfig: { AutoLockManagers: false },
    });
    expect(
      specOf(
        clusterSpecFromJson(
          json({ Orchestration: { TaskHistoryRetentionLimit: 0 }, Raft: { KeepOldSnapshots: 0, SnapshotInterval: 0 } }),
          base,
        ),
      ),
    ).toMatchObject({
      Orchestration: { TaskHistoryRetentionLimit: 0 },
      Raft: { SnapshotInterval: 77, KeepOldSnapshots: 0 },
    });
    expect(specOf(clusterSpecFromJson(json(FULL), create(ClusterSpecSchema)))).toEqual(FULL);
  });

  test('names an external CA of a known protocol', () => {
    expect(refusal(() => clusterSpecFromJson(json({ CAConfig: { ExternalCAs: [{ Protocol: 'x' }] } })))).toEqual([
      400,
      'invalid protocol: "x"',
    ]);
  });
});

test('a swarm shows its tokens, info does not (E-204, E-272)', () => {
  const cluster = create(ClusterSchema, {
    id: 'c1',
    meta: META,
    rootCa: { caCert: bytes('pem'), joinTokens: { worker: 'w', manager: 'm' }, rootRotation: {} },
    defaultAddressPool: ['10.0.0.0/8'],
    subnetSize: 24,
    VXLANUDPPort: 4789,
  });
  const issuer = { certIssuerSubject: bytes('subject'), certIssuerPublicKey: bytes('key') };
  const info = shown(clusterInfoToJson(cluster, issuer));
  expect(info).toMatchObject({
    ID: 'c1',
    ...HEADER,
    TLSInfo: { TrustRoot: 'pem', CertIssuerSubject: 'c3ViamVjdA==', CertIssuerPublicKey: 'a2V5' },
    RootRotationInProgress: true,
    DefaultAddrPool: ['10.0.0.0/8'],
    SubnetSize: 24,
    DataPathPort: 4789,
  });
  expect(info).not.toHaveProperty('JoinTokens');
  expect(shown(swarmToJson(cluster, issuer))).toEqual({ ...info, JoinTokens: { Worker: 'w', Manager: 'm' } });
});

describe('a node', () => {
  test('shows all there is', () => {
    const node = create(NodeSchema, {
      id: 'n1',
      meta: META,
      spec: {
        annotations: { name: 'alias', labels: { a: 'b' } },
        desiredRole: NodeRole.MANAGER,
        availability: NodeSpec_Availability.DRAIN,
      },
      description: {
        hostname: 'host',
        platform: { architecture: 'x86_64', os: 'linux' },
        resources: { nanoCpus: 2n, memoryBytes: 3n, generic: [namedResource('gpu', 'g1')] },
        engine: { engineVersion: '1', labels: { c: 'd' }, plugins: [{ type: 'Log', name: 'x' }] },
        tlsInfo: { trustRoot: bytes('pem'), certIssuerSubject: bytes('subject'), certIssuerPublicKey: bytes('key') },
        csiInfo: [
          { pluginName: 'p', nodeId: 'x', maxVolumesPerNode: 5n, accessibleTopology: { segments: { z: 'a' } } },
        ],
      },
      status: { state: NodeStatus_State.DOWN, message: 'gone', addr: '192.0.2.1' },
      managerStatus: { leader: true, reachability: RaftMemberStatus_Reachability.REACHABLE, addr: '192.0.2.1:2377' },
    });
    expect(shown(nodeToJson(node))).toEqual({
      ID: 'n1',
      ...HEADER,
      Spec: { Name: 'alias', Labels: { a: 'b' }, Role: 'manager', Availability: 'drain' },
      Description: {
        Hostname: 'host',
        Platform: { Architecture: 'x86_64', OS: 'linux' },
        Resources: {
          NanoCPUs: 2,
          MemoryBytes: 3,
          GenericResources: [{ NamedResourceSpec: { Kind: 'gpu', Value: 'g1' } }],
        },
        Engine: { EngineVersion: '1', Labels: { c: 'd' }, Plugins: [{ Type: 'Log', Name: 'x' }] },
        TLSInfo: { TrustRoot: 'pem', CertIssuerSubject: 'c3ViamVjdA==', CertIssuerPublicKey: 'a2V5' },
        CSIInfo: [{ PluginName: 'p', NodeID: 'x', MaxVolumesPerNode: 5, AccessibleTopology: { Segments: { z: 'a' } } }],
      },
      Status: { State: 'down', Message: 'gone', Addr: '192.0.2.1' },
      ManagerStatus: { Leader: true, Reachability: 'reachable', Addr: '192.0.2.1:2377' },
    });
  });

  test('shows little where little is known', () => {
    expect(shown(nodeToJson(create(NodeSchema, { id: 'n1', meta: META })))).toEqual({
      ID: 'n1',
      ...HEADER,
      Spec: { Labels: {}, Role: 'worker', Availability: 'active' },
      Description: { Platform: {}, Resources: {}, Engine: {}, TLSInfo: {} },
      Status: { State: 'unknown' },
    });
  });

  test.each(['active', 'Pause', 'DRAIN'])('takes availability %s in any case', (availability) => {
    const spec = nodeSpecFromJson(json({ Role: 'Worker', Availability: availability, Name: 'n', Labels: { a: 'b' } }));
    expect(spec).toMatchObject({
      annotations: { name: 'n', labels: { a: 'b' } },
      desiredRole: NodeRole.WORKER,
      availability: NodeSpec_Availability[availability.toUpperCase() as 'ACTIVE'],
    });
  });

  test.each([
    [{}, 'invalid Role: ""'],
    [{ Role: 'boss', Availability: 'active' }, 'invalid Role: "boss"'],
    [{ Role: 'manager' }, 'invalid Availability: ""'],
    [{ Role: 'manager', Availability: 'gone' }, 'invalid Availability: "gone"'],
  ])('with a spec of %j is refused (E-213)', (spec, message) => {
    expect(refusal(() => nodeSpecFromJson(json(spec)))).toEqual([400, message]);
  });
});

describe('secrets and configs', () => {
  const SPEC = { Name: 's', Labels: { a: 'b' }, Data: 'c2VjcmV0', Templating: { Name: 'golang', Options: { c: 'd' } } };

  test('secrets never show their data, configs do (E-243)', () => {
    const secret = create(SecretSchema, {
      id: 'x',
      meta: META,
      spec: secretSpecFromJson(json({ ...SPEC, Driver: { Name: 'v' } }), NEWEST),
    });
    expect(secret.spec?.data).toEqual(bytes('secret'));
    const { Data: data, ...rest } = SPEC;
    expect(shown(secretToJson(secret))).toEqual({ ID: 'x', ...HEADER, Spec: { ...rest, Driver: { Name: 'v' } } });
    const config = create(ConfigSchema, { id: 'x', meta: META, spec: configSpecFromJson(json(SPEC), NEWEST) });
    expect(shown(configToJson(config))).toEqual({ ID: 'x', ...HEADER, Spec: { ...rest, Data: data } });
    expect(shown(configToJson(create(ConfigSchema, { id: 'x' })))['Spec']).toEqual({ Name: '', Labels: {} });
    expect(shown(secretToJson(create(SecretSchema, { id: 'x' })))['Spec']).toEqual({ Name: '', Labels: {} });
  });

  test.each([
    ['secret', secretSpecFromJson],
    ['config', configSpecFromJson],
  ] as const)('%s templating is refused below 1.37 (E-130)', (kind, decode) => {
    expect(refusal(() => decode(json(SPEC), ApiVersion.parse('1.36')))).toEqual([
      400,
      `${kind} templating is not supported on the specified API version: 1.36`,
    ]);
    expect(decode(json(SPEC), ApiVersion.parse('1.37')).templating?.name).toBe('golang');
  });
});

describe('a task', () => {
  test('shows all there is, and no name of its own', () => {
    const task = create(TaskSchema, {
      id: 't1',
      meta: META,
      annotations: { name: 'web.1.t1', labels: { a: 'b' } },
      spec: { runtime: { case: 'container', value: { image: 'nginx' } } },
      serviceId: 's1',
      slot: 3n,
      nodeId: 'n1',
      status: {
        timestamp: META.updatedAt,
        state: TaskState.RUNNING,
        message: 'started',
        err: 'none',
        runtimeStatus: { case: 'container', value: { containerId: 'c', pid: 5, exitCode: 0 } },
        portStatus: { ports: [{ targetPort: 80, publishedPort: 8080, publishMode: PortConfig_PublishMode.HOST }] },
      },
      desiredState: TaskState.COMPLETE,
      networks: [
        {
          network: { id: 'net', meta: META, spec: { annotations: { name: 'ov', labels: {} } } },
          addresses: ['10.0.0.2/24'],
        },
      ],
      assignedGenericResources: [namedResource('gpu', 'g1')],
      jobIteration: { index: 2n },
      volumes: [{ id: 'v', source: 'a', target: '/b' }],
    });
    expect(shown(taskToJson(task))).toEqual({
      ID: 't1',
      ...HEADER,
      Name: 'web.1.t1',
      Labels: { a: 'b' },
      Spec: { ContainerSpec: { Image: 'nginx', Isolation: 'default' }, ForceUpdate: 0 },
      ServiceID: 's1',
      Slot: 3,
      NodeID: 'n1',
      Status: {
        Timestamp: HEADER.UpdatedAt,
        State: 'running',
        Message: 'started',
        Err: 'none',
        ContainerStatus: { ContainerID: 'c', PID: 5, ExitCode: 0 },
        PortStatus: { Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'host' }] },
      },
      DesiredState: 'complete',
      NetworksAttachments: [
        {
          Network: { ID: 'net', ...HEADER, Spec: { Name: 'ov', Labels: {}, Scope: 'swarm' } },
          Addresses: ['10.0.0.2/24'],
        },
      ],
      GenericResources: [{ NamedResourceSpec: { Kind: 'gpu', Value: 'g1' } }],
      JobIteration: { Index: 2 },
      Volumes: [{ ID: 'v', Source: 'a', Target: '/b' }],
    });
  });

  test('shows an empty port status rather than none (E-42x)', () => {
    expect(shown(taskToJson(create(TaskSchema, { id: 't1', meta: META })))).toEqual({
      ID: 't1',
      ...HEADER,
      Labels: {},
      Spec: { ForceUpdate: 0 },
      Status: { Timestamp: '1970-01-01T00:00:00Z', State: 'new', PortStatus: {} },
      DesiredState: 'new',
    });
  });

  test('that attaches a container to a network says so', () => {
    const task = create(TaskSchema, {
      id: 't1',
      spec: { runtime: { case: 'attachment', value: { containerId: 'c' } } },
    });
    expect(shown(taskToJson(task))['Spec']).toEqual({
      NetworkAttachmentSpec: { ContainerID: 'c' },
      ForceUpdate: 0,
      Runtime: 'attachment',
    });
  });
});

test('a network shows what the cluster allocated (E-253)', () => {
  const network = create(NetworkSchema, {
    id: 'net',
    meta: META,
    spec: {
      annotations: { name: 'ov', labels: { a: 'b' } },
      driverConfig: { name: 'overlay', options: {} },
      ipv6Enabled: true,
      internal: true,
      attachable: true,
      ingress: true,
      ipam: { driver: { name: 'default' }, configs: [{ subnet: '10.0.0.0/24' }] },
      configFrom: { case: 'network', value: 'other' },
    },
    driverState: { name: 'overlay', options: { vxlanid: '4097' } },
    ipam: {
      driver: { name: 'default', options: {} },
      configs: [{ subnet: '10.0.0.0/24', range: '10.0.0.0/25', gateway: '10.0.0.1' }],
    },
  });
  expect(shown(networkResourceToJson(network))).toEqual({
    Name: 'ov',
    Id: 'net',
    Created: HEADER.CreatedAt,
    Scope: 'swarm',
    Driver: 'overlay',
    EnableIPv4: true,
    EnableIPv6: true,
    IPAM: {
      Driver: 'default',
      Options: {},
      Config: [{ Subnet: '10.0.0.0/24', IPRange: '10.0.0.0/25', Gateway: '10.0.0.1' }],
    },
    Internal: true,
    Attachable: true,
    Ingress: true,
    ConfigFrom: { Network: 'other' },
    ConfigOnly: false,
    Containers: null,
    Options: { vxlanid: '4097' },
    Labels: { a: 'b' },
  });
  expect(shown(networkToJson(network))).toEqual({
    ID: 'net',
    ...HEADER,
    Spec: {
      Name: 'ov',
      Labels: { a: 'b' },
      DriverConfiguration: { Name: 'overlay' },
      IPv6Enabled: true,
      Internal: true,
      Attachable: true,
      Ingress: true,
      IPAMOptions: { Driver: { Name: 'default' }, Configs: [{ Subnet: '10.0.0.0/24' }] },
      Scope: 'swarm',
    },
    DriverState: { Name: 'overlay', Options: { vxlanid: '4097' } },
    IPAMOptions: {
      Driver: { Name: 'default' },
      Configs: [{ Subnet: '10.0.0.0/24', Range: '10.0.0.0/25', Gateway: '10.0.0.1' }],
    },
  });
});
