import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { ExitError, TemporaryError, type Dependencies } from '../src/agent/exec/index.js';
import {
  ConfigSchema,
  LogStream,
  LogSubscriptionOptionsSchema,
  Mount_Type,
  PortConfig_PublishMode,
  SecretSchema,
  TaskSchema,
  durationFromMs,
  namedResource,
  type ContainerSpecSchema,
  type Task,
} from '../src/api/index.js';
import { SILENT_LOGGER } from '../src/base/index.js';
import { CryptoRandom, SystemClock } from '../src/platform/index.js';
import { DockerClient } from '../src/platform/docker-client/index.js';
import { DockerExecutor } from '../src/platform/docker-executor/index.js';
import { Dockerd, dockerdMissing } from './support/engine.js';

type Fields<T> = Exclude<T, { $typeName: string }>;
type TaskFields = Fields<MessageInitShape<typeof TaskSchema>>;
type ContainerFields = Fields<MessageInitShape<typeof ContainerSpecSchema>>;
type Controller = ReturnType<DockerExecutor['controller']>;

const NEVER = new AbortController().signal;
const NO_DEPENDENCIES: Dependencies = { secret: () => undefined, config: () => undefined, volume: () => undefined };
const QUICK_STOP = durationFromMs(1000);

const why = dockerdMissing();
let dockerd: Dockerd;
let executor: DockerExecutor;
let dir: string;
let count = 0;

function newExecutor(engineAddr = dockerd.address): DockerExecutor {
  const options = { engineAddr, runtimeDir: join(dir, 'run'), labels: { extra: 'yes' } };
  return new DockerExecutor(options, { clock: new SystemClock(), random: new CryptoRandom(), log: SILENT_LOGGER });
}

function shell(line: string, container: ContainerFields = {}, fields: TaskFields = {}): Task {
  count++;
  return create(TaskSchema, {
    id: `task${count}`,
    serviceId: 'service1',
    nodeId: 'node1',
    slot: BigInt(count),
    serviceAnnotations: { name: 'web' },
    ...fields,
    spec: {
      ...fields.spec,
      runtime: {
        case: 'container',
        value: { image: 'busybox', command: ['sh', '-c', line], stopGracePeriod: QUICK_STOP, ...container },
      },
    } as Fields<TaskFields['spec'] & object>,
  });
}

async function run(task: Task, dependencies = NO_DEPENDENCIES): Promise<Controller> {
  const controller = executor.controller(task, dependencies);
  onTestFinished(() => controller.remove(NEVER));
  await controller.prepare(NEVER);
  await controller.start(NEVER);
  return controller;
}

async function linesOf(
  controller: Controller,
  options: Fields<MessageInitShape<typeof LogSubscriptionOptionsSchema>> = {},
): Promise<string[]> {
  const lines: string[] = [];
  for await (const { data } of controller.logs(create(LogSubscriptionOptionsSchema, options), NEVER)) {
    lines.push(Buffer.from(data).toString('utf8'));
  }
  return lines;
}

async function inspect<T>(path: string): Promise<T> {
  const client = new DockerClient(dockerd.address);
  try {
    return await client.json<T>({ method: 'GET', path }, NEVER);
  } finally {
    client.close();
  }
}

describe.skipIf(why !== undefined)(`the docker executor ${why ?? ''}`, () => {
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'swarmkit-docker-executor-'));
    dockerd = await Dockerd.start(['--label', 'rack=r1', '--node-generic-resource', 'gpu=g1']);
    await dockerd.importBusybox();
    executor = newExecutor();
  });
  afterAll(async () => {
    await executor?.close();
    await dockerd?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('describes the node from what the engine says', async () => {
    const description = await executor.describe(NEVER);
    const info = await inspect<{ Name: string; NCPU: number; MemTotal: number; ServerVersion: string }>('/info');
    expect(description).toMatchObject({
      hostname: info.Name,
      platform: { os: 'linux' },
      resources: { nanoCpus: BigInt(info.NCPU) * 1_000_000_000n, memoryBytes: BigInt(info.MemTotal) },
      engine: { engineVersion: info.ServerVersion, labels: { rack: 'r1', extra: 'yes' } },
    });
    expect(description.resources?.generic).toEqual([namedResource('gpu', 'g1')]);
    const plugins = description.engine?.plugins.map(({ type, name }) => `${type}/${name}`) ?? [];
    expect(plugins).toContain('Network/overlay');
    expect(plugins).toContain('Log/json-file');
    expect(plugins).toEqual([...plugins].sort());
  });

  it('runs a task to its end and keeps its output', async () => {
    const controller = await run(shell('echo out; echo err >&2'));
    await controller.wait(NEVER);
    expect((await linesOf(controller)).sort()).toEqual(['err\n', 'out\n']);
    expect(await linesOf(controller, { streams: [LogStream.STDERR] })).toEqual(['err\n']);
    expect((await controller.containerStatus(NEVER))?.containerId).toMatch(/^[0-9a-f]{64}$/);
  });

  it('fails a task with the exit code of its container', async () => {
    const controller = await run(shell('exit 3'));
    await expect(controller.wait(NEVER)).rejects.toThrow(new ExitError(3, ''));
    expect(await controller.containerStatus(NEVER)).toMatchObject({ exitCode: 3 });
  });

  it('makes the container as the task asks', async () => {
    const task = shell(
      'exec sleep 60',
      {
        env: ['A=1'],
        labels: { mine: 'yes' },
        hostname: 'myhost',
        dir: '/tmp',
        user: 'nobody',
        groups: ['staff'],
        hosts: ['10.0.0.1 other alias'],
        dnsConfig: { nameservers: ['10.0.0.2'], search: ['example.test'], options: ['ndots:1'] },
        readOnly: true,
        stopSignal: 'SIGINT',
        pidsLimit: 50n,
        ulimits: [{ name: 'nofile', soft: 100n, hard: 200n }],
        capabilityAdd: ['CAP_NET_ADMIN'],
        capabilityDrop: ['CAP_CHOWN'],
        sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0' },
        oomScoreAdj: 200n,
        privileges: { noNewPrivileges: true },
        init: true,
        mounts: [
          { type: Mount_Type.TMPFS, target: '/scratch', tmpfsOptions: { sizeBytes: 1_048_576n, mode: 0o700 } },
          {
            type: Mount_Type.VOLUME,
            source: 'data1',
            target: '/data',
            volumeOptions: { labels: { v: '1' }, driverConfig: { name: 'local' } },
          },
          { type: Mount_Type.BIND, source: dir, target: '/host', readonly: true },
        ],
      },
      {
        assignedGenericResources: [namedResource('gpu', 'g1')],
        logDriver: { name: 'json-file', options: { 'max-size': '1m' } },
        spec: { resources: { limits: { memoryBytes: 33_554_432n, nanoCpus: 500_000_000n } } },
      },
    );
    const controller = await run(task);
    const name = `web.${task.slot}.${task.id}`;
    const container = await inspect<Record<string, Record<string, unknown>>>(`/containers/${name}/json`);
    expect(container['Config']).toMatchObject({
      Hostname: 'myhost',
      WorkingDir: '/tmp',
      User: 'nobody',
      StopSignal: 'SIGINT',
      Labels: { mine: 'yes', 'com.docker.swarm.task.id': task.id, 'com.docker.swarm.service.name': 'web' },
    });
    expect(container['Config']?.['Env']).toEqual(expect.arrayContaining(['A=1', 'DOCKER_RESOURCE_GPU=g1']));
    expect(container['HostConfig']).toMatchObject({
      Memory: 33_554_432,
      NanoCpus: 500_000_000,
      PidsLimit: 50,
      GroupAdd: ['staff'],
      ReadonlyRootfs: true,
      ExtraHosts: ['other:10.0.0.1'],
      Dns: ['10.0.0.2'],
      CapAdd: ['CAP_NET_ADMIN'],
      CapDrop: ['CAP_CHOWN'],
      OomScoreAdj: 200,
      SecurityOpt: ['no-new-privileges=true'],
      Init: true,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m' } },
    });
    expect(await inspect('/volumes/data1')).toMatchObject({ Labels: { v: '1' } });
    await controller.terminate(NEVER);
    await expect(controller.wait(NEVER)).rejects.toThrow('(137)');
  });

  it('gives args alone to the entrypoint of the image', async () => {
    const controller = await run(shell('', { command: [], args: ['echo', 'args'] }));
    await controller.wait(NEVER);
    expect(await linesOf(controller)).toEqual(['args\n']);
  });

  it('takes a container that exists for prepared, and one that runs for started', async () => {
    const task = shell('echo once; exec sleep 60');
    await run(task);
    const again = newExecutor();
    onTestFinished(() => again.close());
    const controller = again.controller(task, NO_DEPENDENCIES);
    await controller.prepare(NEVER);
    await controller.start(NEVER);
    const waited = controller.wait(NEVER).catch((error: unknown) => error);
    await controller.terminate(NEVER);
    expect(await waited).toEqual(new ExitError(137, ''));
    expect(await linesOf(controller)).toEqual(['once\n']);
  });

  it('stops with the signal and kills after the grace period', async () => {
    const gentle = await run(
      shell('trap "exit 7" INT; echo ready; while :; do sleep 0.1; done', { stopSignal: 'SIGINT' }),
    );
    for await (const _ of gentle.logs(create(LogSubscriptionOptionsSchema, { follow: true }), NEVER)) break;
    await gentle.shutdown(NEVER);
    await expect(gentle.wait(NEVER)).rejects.toThrow('(7)');
    const stubborn = await run(shell('trap "" TERM; exec sleep 60', { stopGracePeriod: durationFromMs(1000) }));
    await stubborn.shutdown(NEVER);
    await expect(stubborn.wait(NEVER)).rejects.toThrow('(137)');
    await stubborn.shutdown(NEVER);
    await stubborn.terminate(NEVER);
  });

  it('is running only once it is healthy', async () => {
    const healthcheck = { test: ['CMD-SHELL', 'test -e /tmp/ok'], interval: durationFromMs(100), retries: 100 };
    const controller = await run(shell('sleep 0.5; touch /tmp/ok; exec sleep 60', { healthcheck }));
    const state = await controller.containerStatus(NEVER);
    expect(state?.pid).toBeGreaterThan(0);
  });

  it('stops and fails an unhealthy task, while it starts and later', async () => {
    const never = { test: ['CMD', 'false'], interval: durationFromMs(100), retries: 1 };
    await expect(run(shell('exec sleep 60', { healthcheck: never }))).rejects.toThrow(
      'task: non-zero exit (137): dockerexec: unhealthy container',
    );
    const until = {
      test: ['CMD-SHELL', 'test -e /tmp/sick && exit 1 || exit 0'],
      interval: durationFromMs(100),
      retries: 1,
    };
    const controller = await run(shell('sleep 0.5; touch /tmp/sick; exec sleep 60', { healthcheck: until }));
    await expect(controller.wait(NEVER)).rejects.toThrow('dockerexec: unhealthy container');
  });

  it('follows the output from before the start to the end', async () => {
    const controller = executor.controller(shell('for i in 1 2 3; do echo $i; sleep 0.1; done'), NO_DEPENDENCIES);
    onTestFinished(() => controller.remove(NEVER));
    const lines = linesOf(controller, { follow: true });
    await controller.prepare(NEVER);
    await controller.start(NEVER);
    expect(await lines).toEqual(['1\n', '2\n', '3\n']);
    expect(await linesOf(controller, { tail: -2n })).toEqual(['3\n']);
    expect(await linesOf(controller, { tail: -1n })).toEqual([]);
  });

  it('reads the output of a terminal', async () => {
    const controller = await run(shell('echo tty', { tty: true }));
    await controller.wait(NEVER);
    expect(await linesOf(controller)).toEqual(['tty\r\n']);
  });

  it('reports host ports as bound', async () => {
    const port = (targetPort: number, publishedPort: number) => ({
      targetPort,
      publishedPort,
      publishMode: PortConfig_PublishMode.HOST,
    });
    const endpoint = {
      ports: [port(81, 0), port(80, 18_080), { targetPort: 82, publishMode: PortConfig_PublishMode.INGRESS }],
    };
    const controller = await run(shell('exec sleep 60', {}, { endpoint }));
    const ports = (await controller.portStatus(NEVER))?.ports ?? [];
    expect(ports.map(({ targetPort }) => targetPort)).toEqual([80, 81]);
    expect(ports[0]?.publishedPort).toBe(18_080);
    expect(ports[1]?.publishedPort).toBeGreaterThan(0);
  });

  it('shows secrets and configs as files that go with the container', async () => {
    const dependencies = {
      secret: (id: string) => create(SecretSchema, { id, spec: { data: Buffer.from('psst') } }),
      config: (id: string) => create(ConfigSchema, { id, spec: { data: Buffer.from('conf') } }),
      volume: () => undefined,
    };
    const file = (name: string, mode: number) => ({
      case: 'file' as const,
      value: { name, uid: '65534', gid: '50', mode },
    });
    const task = shell(
      'cat /run/secrets/token /etc/app.conf; stat -c " %u %g %a" /run/secrets/token; echo x >/etc/app.conf',
      {
        secrets: [{ secretId: 's1', secretName: 'token', target: file('token', 0o400) }],
        configs: [{ configId: 'c1', configName: 'app', target: file('/etc/app.conf', 0o444) }],
      },
    );
    const controller = await run(task, dependencies);
    await expect(controller.wait(NEVER)).rejects.toThrow(ExitError);
    expect((await linesOf(controller, { streams: [LogStream.STDOUT] })).join('')).toBe('psstconf 65534 50 400\n');
    expect(readdirSync(join(dir, 'run'))).toContain(task.id);
    await controller.remove(NEVER);
    expect(readdirSync(join(dir, 'run'))).not.toContain(task.id);
  });

  it('rejects what cannot be made, with the words of the engine', async () => {
    await expect(run(shell('true', { image: 'nothing:here' }))).rejects.toThrow('No such image: nothing:here');
    const missing = shell('true', { mounts: [{ type: Mount_Type.BIND, source: '/no/source', target: '/x' }] });
    const controller = executor.controller(missing, NO_DEPENDENCIES);
    onTestFinished(() => controller.remove(NEVER));
    await controller.prepare(NEVER);
    await expect(controller.start(NEVER)).rejects.toThrow(
      'invalid bind mount source, source path not found: /no/source',
    );
    await expect(run(shell('', { command: ['/no/program'] }))).rejects.toThrow('starting container failed: ');
    const volume = shell('true', { mounts: [{ type: Mount_Type.VOLUME, source: '/x', target: '/x' }] });
    expect(() => executor.controller(volume, NO_DEPENDENCIES)).toThrow(
      'invalid volume mount source, must not be an absolute path: /x',
    );
  });

  it('attaches tasks to copies of networks and takes these away with the last one', async () => {
    const network = (id: string, subnet: string) => ({
      network: {
        id,
        spec: { annotations: { name: `net-${id}` } },
        driverState: { name: 'bridge' },
        ipam: { driver: { name: 'default' }, configs: [{ subnet }] },
      },
      aliases: ['web'],
    });
    const networks = [network('n1', '10.77.0.0/24'), network('n2', '10.78.0.0/24')];
    const first = await run(shell('exec sleep 60', {}, { networks }));
    const second = await run(shell('exec sleep 60', {}, { networks }));
    const attached = await inspect<{ Containers: object }>('/networks/net-n2');
    expect(Object.keys(attached.Containers)).toHaveLength(2);
    await first.remove(NEVER);
    expect(await inspect('/networks/net-n1')).toMatchObject({ Name: 'net-n1' });
    await second.remove(NEVER);
    await expect(inspect('/networks/net-n1')).rejects.toThrow('not found');
  });

  it('removes anonymous volumes with the container', async () => {
    const task = shell('exec sleep 60', { mounts: [{ type: Mount_Type.VOLUME, target: '/anonymous' }] });
    const before = await inspect<{ Volumes: unknown[] | null }>('/volumes');
    const controller = await run(task);
    await controller.remove(NEVER);
    const after = await inspect<{ Volumes: unknown[] | null }>('/volumes');
    expect((after.Volumes ?? []).length).toBe((before.Volumes ?? []).length);
    expect(await controller.containerStatus(NEVER)).toBeUndefined();
  });

  it('fails a task whose container was removed by somebody else', async () => {
    const controller = await run(shell('exec sleep 60'));
    const waited = controller.wait(NEVER).catch((error: unknown) => error);
    const { containerId } = (await controller.containerStatus(NEVER)) ?? { containerId: '' };
    const client = new DockerClient(dockerd.address);
    await client.json({ method: 'DELETE', path: `/containers/${containerId}`, query: { force: true } }, NEVER);
    client.close();
    expect(String(await waited)).toMatch(/No such container|non-zero exit \(137\)/);
  });

  it('refuses a container of the same name that is not its own', async () => {
    const other = await run(shell('exec sleep 60'));
    const { containerId } = (await other.containerStatus(NEVER)) ?? { containerId: '' };
    expect(containerId).not.toBe('');
    const impostor = shell('true', {}, { annotations: { name: `web.${count}.task${count}` } });
    await expect(executor.controller(impostor, NO_DEPENDENCIES).prepare(NEVER)).rejects.toThrow('is not of this task');
  });

  it('removes all tasks of a node when it leaves', async () => {
    const task = shell('exec sleep 60', {}, { nodeId: 'leaver' });
    const controller = await run(task);
    await executor.removeAll('leaver', NEVER);
    expect(await controller.containerStatus(NEVER)).toBeUndefined();
  });

  it('takes an engine that cannot be reached for a failure that may pass', async () => {
    const away = newExecutor(`unix://${join(dir, 'nobody.sock')}`);
    onTestFinished(() => away.close());
    await expect(away.controller(shell('true'), NO_DEPENDENCIES).prepare(NEVER)).rejects.toBeInstanceOf(TemporaryError);
  });
});
