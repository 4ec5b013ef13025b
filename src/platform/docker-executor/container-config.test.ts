import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import {
  Mount_BindOptions_Propagation,
  Mount_Type,
  Privileges_AppArmorOpts_AppArmorMode,
  Privileges_SeccompOpts_SeccompMode,
  MountSchema,
  PrivilegesSchema,
  TaskSchema,
  durationFromMs,
  type ContainerSpecSchema,
} from '../../api/index.js';
import { createRequest, imageName } from './container-config.js';
import { checkMounts, engineMount, shortBind, volumeRequests } from './mounts.js';
import { laterNetworks, networkMode, networkUses } from './networks.js';
import { securityOptions } from './privileges.js';
import { containerStatusOf, portStatusOf } from './status.js';
import { describeEngine } from './describe.js';
import type { ContainerInspect, EngineInfo } from '../docker-client/index.js';

type Fields<T> = Exclude<T, { $typeName: string }>;
type MountFields = Fields<MessageInitShape<typeof MountSchema>>;

function taskOf(
  container: Fields<MessageInitShape<typeof ContainerSpecSchema>>,
  fields: Fields<MessageInitShape<typeof TaskSchema>> = {},
) {
  const runtime = { case: 'container' as const, value: { image: 'app', ...container } };
  return create(TaskSchema, {
    id: 't',
    ...fields,
    spec: { ...fields.spec, runtime } as Fields<(typeof fields)['spec'] & object>,
  });
}

const LOCAL = { sharedFiles: true, boundFiles: [] };
const mount = (fields: MountFields) => create(MountSchema, fields);

describe('an image', () => {
  it.each([
    ['app', 'app:latest'],
    ['app:v1', 'app:v1'],
    ['registry:5000/app', 'registry:5000/app:latest'],
    [`app@sha256:${'a'.repeat(64)}`, `app@sha256:${'a'.repeat(64)}`],
    [`sha256:${'a'.repeat(64)}`, `sha256:${'a'.repeat(64)}`],
    ['NOT valid', 'NOT valid'],
  ])('%s is asked for as %s', (given, asked) => expect(imageName(given)).toBe(asked));
});

describe('a create request', () => {
  it('leaves to the image what the task does not say', () => {
    const request = createRequest(taskOf({}), LOCAL);
    expect(request).not.toHaveProperty('Entrypoint');
    expect(request).not.toHaveProperty('Cmd');
    expect(request).not.toHaveProperty('Healthcheck');
    for (const field of ['Memory', 'NanoCpus', 'PidsLimit', 'Init', 'NetworkMode', 'LogConfig', 'Dns']) {
      expect(request).not.toHaveProperty(`HostConfig.${field}`);
    }
  });

  it('counts memory and swap together', () => {
    const resources = { limits: { memoryBytes: 100n }, memorySwappiness: 7n };
    const swap = (swapBytes: bigint) =>
      createRequest(taskOf({}, { spec: { resources: { ...resources, swapBytes } } }), LOCAL);
    expect(swap(50n)).toMatchObject({ HostConfig: { Memory: 100, MemorySwap: 150, MemorySwappiness: 7 } });
    expect(swap(-1n)).toMatchObject({ HostConfig: { MemorySwap: -1 } });
  });

  it('gives times of the health check in nanoseconds', () => {
    const healthcheck = {
      test: ['NONE'],
      interval: durationFromMs(1500),
      retries: 4,
      startInterval: durationFromMs(1),
    };
    expect(createRequest(taskOf({ healthcheck }), LOCAL)).toMatchObject({
      Healthcheck: { Test: ['NONE'], Interval: 1_500_000_000, Timeout: 0, Retries: 4, StartInterval: 1_000_000 },
    });
  });

  it('turns hosts around and leaves out what is no entry', () => {
    const hosts = ['10.0.0.1 a alias', 'lonely', '::1  b'];
    expect(createRequest(taskOf({ hosts }), LOCAL)).toMatchObject({
      HostConfig: { ExtraHosts: ['a:10.0.0.1', 'b:::1'] },
    });
  });

  it('binds files of secrets read-only', () => {
    const boundFiles = [{ source: '/run/x', target: '/run/secrets/x' }];
    const mounts = [{ Type: 'bind', Source: '/run/x', Target: '/run/secrets/x', ReadOnly: true }];
    expect(createRequest(taskOf({}), { sharedFiles: true, boundFiles })).toMatchObject({
      HostConfig: { Mounts: mounts },
    });
  });

  it('lets a remote engine check the sources of bind mounts', () => {
    const task = taskOf({ mounts: [{ type: Mount_Type.BIND, source: '/a', target: '/b' }] });
    expect(createRequest(task, LOCAL)).toMatchObject({ HostConfig: { Binds: ['/a:/b'], Mounts: [] } });
    expect(createRequest(task, { ...LOCAL, sharedFiles: false })).toMatchObject({
      HostConfig: { Binds: [], Mounts: [{ Source: '/a' }] },
    });
  });
});

describe('mounts', () => {
  it.each([
    ['invalid mount target, must be an absolute path: x', { type: Mount_Type.VOLUME, target: 'x' }],
    ['invalid bind mount source, must be an absolute path: x', { type: Mount_Type.BIND, source: 'x', target: '/x' }],
    [
      'invalid volume mount source, must not be an absolute path: /x',
      { type: Mount_Type.VOLUME, source: '/x', target: '/x' },
    ],
    ['invalid tmpfs source, source must be empty', { type: Mount_Type.TMPFS, source: 'x', target: '/x' }],
    ['invalid npipe source, source must not be empty', { type: Mount_Type.NPIPE, target: 'x' }],
    ['mounts: cluster volumes', { type: Mount_Type.CLUSTER, source: 'v', target: '/x' }],
  ])('are refused: %s', (message, fields) => expect(() => checkMounts([mount(fields)])).toThrow(message));

  it('keep every option', () => {
    const all = mount({
      type: Mount_Type.VOLUME,
      source: 'v',
      target: '/v',
      readonly: true,
      volumeOptions: {
        nocopy: true,
        labels: { a: '1' },
        subpath: 'sub',
        driverConfig: { name: 'd', options: { o: '2' } },
      },
    });
    expect(engineMount(all)).toEqual({
      Type: 'volume',
      Source: 'v',
      Target: '/v',
      ReadOnly: true,
      VolumeOptions: {
        NoCopy: true,
        Labels: { a: '1' },
        Subpath: 'sub',
        DriverConfig: { Name: 'd', Options: { o: '2' } },
      },
    });
    expect(volumeRequests([all])).toEqual([{ Name: 'v', Driver: 'd', DriverOpts: { o: '2' }, Labels: { a: '1' } }]);
    const tmpfs = mount({
      type: Mount_Type.TMPFS,
      target: '/t',
      tmpfsOptions: { sizeBytes: 5n, mode: 0o700, options: '[["exec"]]' },
    });
    expect(engineMount(tmpfs)).toMatchObject({ TmpfsOptions: { SizeBytes: 5, Mode: 0o700, Options: [['exec']] } });
    const broken = mount({ type: Mount_Type.TMPFS, target: '/t', tmpfsOptions: { options: 'no json' } });
    expect(engineMount(broken).TmpfsOptions).not.toHaveProperty('Options');
  });

  it('of plain paths are short binds', () => {
    const bind = { type: Mount_Type.BIND, source: '/a', target: '/b' };
    expect(shortBind(mount(bind))).toBe('/a:/b');
    const bindOptions = { propagation: Mount_BindOptions_Propagation.RSLAVE };
    expect(shortBind(mount({ ...bind, readonly: true, bindOptions }))).toBe('/a:/b:ro,rslave');
    expect(shortBind(mount({ ...bind, source: '/a:b' }))).toBeUndefined();
    expect(shortBind(mount({ ...bind, bindOptions: { nonrecursive: true } }))).toBeUndefined();
    expect(shortBind(mount({ type: Mount_Type.VOLUME, source: 'v', target: '/b' }))).toBeUndefined();
  });
});

describe('security options', () => {
  it('say what the task asks for', () => {
    const privileges = create(PrivilegesSchema, {
      credentialSpec: { source: { case: 'registry', value: 'k' } },
      selinuxContext: { disable: true, user: 'u', role: 'r', level: 'l', type: 't' },
      seccomp: { mode: Privileges_SeccompOpts_SeccompMode.CUSTOM, profile: Buffer.from('{}') },
      apparmor: { mode: Privileges_AppArmorOpts_AppArmorMode.DISABLED },
      noNewPrivileges: true,
    });
    expect(securityOptions(privileges)).toEqual([
      'credentialspec=registry://k',
      'label=disable',
      'label=user:u',
      'label=role:r',
      'label=level:l',
      'label=type:t',
      'seccomp={}',
      'apparmor=unconfined',
      'no-new-privileges=true',
    ]);
    const unconfined = create(PrivilegesSchema, { seccomp: { mode: Privileges_SeccompOpts_SeccompMode.UNCONFINED } });
    expect(securityOptions(unconfined)).toEqual(['seccomp=unconfined']);
    expect(securityOptions(create(PrivilegesSchema))).toEqual([]);
    expect(securityOptions(undefined)).toEqual([]);
  });
});

describe('networks', () => {
  const predefined = {
    network: { spec: { annotations: { name: 'host', labels: { 'com.docker.swarm.predefined': 'true' } } } },
  };
  const ingress = { network: { spec: { annotations: { name: 'ingress' }, ingress: true } } };
  const own = (name: string) => ({
    network: { id: `id-${name}`, spec: { annotations: { name } } },
    addresses: ['10.0.0.5/24', 'fd00::5/64'],
    aliases: ['a'],
  });

  it('that every engine has are used by name, and the ingress network not at all', () => {
    const task = taskOf({}, { networks: [ingress, predefined] });
    expect(networkMode(task)).toBe('host');
    expect(networkUses(task)).toEqual([]);
  });

  it('of the swarm are made with the container, or connected later', () => {
    const task = taskOf({}, { networks: [own('one'), own('two')] });
    expect(createRequest(task, LOCAL)).toMatchObject({
      HostConfig: { NetworkMode: 'one' },
      NetworkingConfig: {
        EndpointsConfig: { one: { IPAMConfig: { IPv4Address: '10.0.0.5', IPv6Address: 'fd00::5' }, Aliases: ['a'] } },
      },
    });
    expect(laterNetworks(task).map(({ name }) => name)).toEqual(['two']);
  });
});

describe('what an engine tells', () => {
  it('of a container becomes status and ports, each port once', () => {
    const container = {
      Id: 'abc',
      State: { Status: 'running', Pid: 5, ExitCode: 0 },
      NetworkSettings: {
        Ports: {
          '80/tcp': [
            { HostPort: '32768', HostIp: '0.0.0.0' },
            { HostPort: '32768', HostIp: '::' },
          ],
          '53/udp': [{ HostPort: '53' }],
          '81/tcp': null,
        },
      },
    } as unknown as ContainerInspect;
    expect(containerStatusOf(container)).toMatchObject({ containerId: 'abc', pid: 5, exitCode: 0 });
    const ports = portStatusOf(container).ports.map(({ targetPort, publishedPort, protocol }) => [
      targetPort,
      publishedPort,
      protocol,
    ]);
    expect(ports).toEqual([
      [53, 53, 1],
      [80, 32_768, 0],
    ]);
  });

  it('of its plugins is sorted and without doubles', () => {
    const info: EngineInfo = {
      Name: 'n',
      Architecture: 'x86_64',
      OSType: 'linux',
      NCPU: 2,
      MemTotal: 10,
      ServerVersion: '1',
      Labels: ['a=b=c', 'bad'],
      Plugins: { Volume: ['local'], Network: ['overlay', 'bridge'], Authorization: null, Log: null },
    };
    const plugins = [
      { Name: 'new', Enabled: true, Config: { Interface: { Types: ['docker.networkdriver/1.0'] } } },
      {
        Name: 'old',
        Enabled: true,
        Config: { Interface: { Types: [{ Prefix: 'docker', Capability: 'volumedriver' }] } },
      },
      { Name: 'csi', Enabled: true, Config: { Interface: { Types: ['docker.csinode/1.0', 'other.thing/1.0'] } } },
      { Name: 'off', Enabled: false, Config: { Interface: { Types: ['docker.logdriver/1.0'] } } },
    ];
    const description = describeEngine(info, plugins, { engineAddr: '', labels: { mine: '1' }, hostname: 'h' });
    expect(description.hostname).toBe('h');
    expect(description.engine?.labels).toEqual({ a: 'b=c', mine: '1' });
    expect(description.engine?.plugins.map(({ type, name }) => `${type}/${name}`)).toEqual([
      'Network/bridge',
      'Network/new',
      'Network/overlay',
      'Volume/local',
      'Volume/old',
      'csinode/csi',
    ]);
  });
});
