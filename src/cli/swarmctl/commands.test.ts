import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, test } from 'vitest';

import {
  LogStream,
  NodeRole,
  NodeSchema,
  NodeStatus_State,
  SubscribeLogsMessageSchema,
  TaskSchema,
  TaskState,
  timestampFromMs,
  UpdateStatus_UpdateState,
  type Service,
} from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import { TestWorld } from './world.test-helper.js';

let world: TestWorld;

beforeEach(async () => {
  world = new TestWorld();
  await world.putCluster();
  await world.put('node', node('node1', 'alpha'));
});

function node(id: string, hostname: string): ReturnType<typeof create<typeof NodeSchema>> {
  return create(NodeSchema, {
    id,
    spec: { annotations: { labels: { zone: 'a' } } },
    description: { hostname, resources: { nanoCpus: 2_000_000_000n, memoryBytes: 4n << 30n } },
    status: { state: NodeStatus_State.READY, addr: '10.0.0.1' },
  });
}

function onlyService(): Service {
  const [service] = world.store.view((tx) => tx.find('service', { kind: 'all' }));
  if (service === undefined) throw new Error('there is no service');
  return service;
}

/** Gives a service tasks in a state, as orchestrator and agents would. */
async function runTasks(service: Service, state: TaskState, fields: { readonly err?: string } = {}): Promise<void> {
  const replicas = service.spec?.mode.case === 'replicated' ? Number(service.spec.mode.value.replicas) : 1;
  for (let slot = 1; slot <= replicas; slot++) {
    await world.put(
      'task',
      create(TaskSchema, {
        id: `task${slot}`,
        serviceId: service.id,
        serviceAnnotations: service.spec!.annotations!,
        slot: BigInt(slot),
        nodeId: 'node1',
        spec: service.spec!.task!,
        ...(service.specVersion === undefined ? {} : { specVersion: service.specVersion }),
        desiredState: TaskState.RUNNING,
        status: { state, timestamp: timestampFromMs(world.clock.nowMs() - 60_000), ...fields },
      }),
    );
  }
}

describe('finding the manager', () => {
  test('by default, by the environment, by the flag wherever it stands', async () => {
    await world.run('node ls');
    world.environment['SWARM_SOCKET'] = '/env.sock';
    await world.run('node ls');
    await world.run('node ls -s /after.sock');
    await world.run('-s /before.sock node ls');
    await world.run('node --socket unix:///between.sock ls');
    expect(world.dialled).toEqual([
      '/var/run/swarmd.sock',
      '/env.sock',
      '/after.sock',
      '/before.sock',
      '/between.sock',
    ]);
  });

  test('says where nobody listens and what to do', async () => {
    const refused = async (): Promise<never> => {
      throw new SwarmError(Code.UNAVAILABLE, 'connection error');
    };
    world.channel = { unary: refused, serverStream: () => failing(), clientStream: refused, close: () => undefined };
    world.socketProblem = 'no such file';
    const { code, err } = await world.run('-s /gone.sock node ls');
    expect(code).toBe(1);
    expect(err).toMatch(/^swarmctl: no swarmd listens at \/gone\.sock \(no such file\): .*--socket.*SWARM_SOCKET.*\n$/);
    world.socketProblem = undefined;
    expect(await world.run('node ls')).toMatchObject({ code: 1, err: 'swarmctl: connection error\n' });
  });
});

describe('wrong usage', () => {
  test.each([
    ['node lss', 'unknown command'],
    ['node ls extra', 'too many arguments'],
    ['node inspect', 'missing required argument'],
    ['node ls --frobnicate', "unknown option '--frobnicate'"],
    ['node ls --format yaml', 'Allowed choices are table, json'],
    ['service create', '--name and --image'],
    ['service create --name a --image b --ports 80', '--ports'],
    ['service update nothing --memory-limit lots', '--memory-limit'],
    ['service create --name a --image b --detach --timeout 5s', '--timeout'],
    ['service scale web', 'service=replicas'],
    ['service scale web=-1', 'whole number'],
    ['service logs web --tail x', '--tail'],
    ['cluster join-token boss', 'worker, manager'],
    ['cluster update', 'nothing to change'],
    ['cluster update --certexpiry soon', '--certexpiry'],
    ['cluster update --rotate-join-token boss', '--rotate-join-token'],
    ['node update alpha', 'nothing to change'],
    ['node update alpha --label x', '--label'],
    ['secret create a --file /x --driver y', 'exclude each other'],
    ['secret create a --file /missing', 'cannot read /missing'],
    ['secret update a', 'nothing to change'],
    ['network create', '--name'],
    ['network create --name a --subnet x', '--subnet'],
    ['network create --name a --subnet 10.0.0.0/8 --gateway 11.0.0.1', '--gateway'],
    ['network create --name a --opts a=b', '--driver'],
  ])('%s: one line that says what is wrong, code 2, nothing written', async (command, text) => {
    const before = world.store.version;
    const { code, out, err } = await world.run(command);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^swarmctl: [^\n]*\n$/);
    expect(err).toContain(text);
    expect(world.store.version).toBe(before);
  });

  test('no command shows the help', async () => {
    expect(await world.run('')).toMatchObject({ code: 2, out: '', err: expect.stringContaining('Usage: swarmctl') });
    expect(await world.run('service')).toMatchObject({ code: 2, err: expect.stringContaining('scale') });
    expect(await world.run('service --help')).toMatchObject({
      code: 0,
      err: '',
      out: expect.stringContaining('rollback'),
    });
  });

  test('version', async () => {
    expect(await world.run('version')).toEqual({ code: 0, out: 'swarmctl 1.2.3\n', err: '' });
    expect(await world.run('--version')).toEqual({ code: 0, out: '1.2.3\n', err: '' });
    expect(JSON.parse((await world.run('version --json')).out)).toEqual({ version: '1.2.3' });
  });
});

describe('objects are found', () => {
  beforeEach(async () => {
    await world.put('node', node('nodf2', 'beta'));
    await world.put('node', node('nodf3', 'beta'));
  });

  test('by id, by name, by the beginning of the id', async () => {
    for (const given of ['node1', 'alpha', 'node']) {
      expect((await world.run(`node inspect ${given} --json`)).out).toContain('"id": "node1"');
    }
  });

  test('unless several match, which are named, or none', async () => {
    expect(await world.run('node inspect beta')).toMatchObject({
      code: 1,
      err: 'swarmctl: node beta is ambiguous: 2 nodes have that name (nodf2, nodf3)\n',
    });
    expect((await world.run('node inspect nod')).err).toContain('3 nodes have ids that begin so (node1, nodf2, nodf3)');
    expect(await world.run('task inspect zzz')).toMatchObject({ code: 1, err: 'swarmctl: task zzz not found\n' });
  });
});

describe('nodes', () => {
  test('as a table, as ids, as JSON', async () => {
    expect((await world.run('node ls')).out).toBe(
      'ID     Name   Membership  Status  Availability  Manager Status\nnode1  alpha  PENDING     READY   ACTIVE\n',
    );
    expect((await world.run('node ls -q')).out).toBe('node1\n');
    expect(JSON.parse((await world.run('node ls --format json')).out)).toMatchObject([
      { id: 'node1', status: { state: 'READY' }, description: { resources: { nanoCpus: 2_000_000_000 } } },
    ]);
  });

  test('one in detail', async () => {
    const { out } = await world.run('node inspect alpha');
    for (const text of ['Hostname', 'alpha', 'zone', '4 GiB', 'READY', 'ACTIVE']) expect(out).toContain(text);
  });

  test('change their availability, role and labels', async () => {
    const spec = (): unknown => world.store.view((tx) => tx.get('node', 'node1')?.spec);
    expect(await world.run('node drain alpha')).toEqual({ code: 0, out: 'alpha\n', err: '' });
    expect(spec()).toMatchObject({ availability: 2 });
    expect(await world.run('node drain alpha')).toEqual({ code: 0, out: '', err: 'node alpha: nothing to change\n' });
    await world.run('node pause alpha');
    expect(spec()).toMatchObject({ availability: 1 });
    await world.run('node activate alpha');
    expect(spec()).toMatchObject({ availability: 0 });
    await world.run('node promote alpha');
    expect(spec()).toMatchObject({ desiredRole: NodeRole.MANAGER });
    await world.run('node update alpha --add-label disk=ssd,rack=1 --rm-label zone');
    expect(spec()).toMatchObject({ annotations: { labels: { disk: 'ssd', rack: '1' } } });
  });

  test('refusals are the server’s own words; the others still get their turn', async () => {
    const refusal = await world.run('node rm alpha');
    expect(refusal.code).toBe(1);
    expect(refusal.err).toMatch(/^swarmctl: node node1 is not down/);
    await world.put('node', { ...node('node2', 'beta'), status: undefined } as never);
    expect(await world.run('node rm nothing beta')).toEqual({
      code: 1,
      out: 'beta\n',
      err: 'swarmctl: node nothing not found\n',
    });
    expect(await world.run('node rm --force alpha')).toMatchObject({ code: 0 });
    expect((await world.run('node ls -q')).out).toBe('');
  });
});

describe('services', () => {
  test('are created with all flags, and printed by id', async () => {
    const command = [
      'service',
      'create',
      '--name',
      'web',
      '--image',
      'nginx',
      '--detach',
      '--args',
      '-c,"a,b"',
      '--env-file',
      '/env',
      '--env',
      'B=2',
      '--tty=true',
      '--init=false',
      '--tmpfs',
      '/run:size=1m,mode=700',
    ];
    world.terminal.files.set('/env', 'A=1\n');
    const { code, out, err } = await world.run(command);
    const service = onlyService();
    expect({ code, out, err }).toEqual({ code: 0, out: `${service.id}\n`, err: '' });
    expect(service.spec?.task?.runtime.value).toMatchObject({
      args: ['-c', 'a,b'],
      env: ['A=1', 'B=2'],
      tty: true,
      init: false,
      mounts: [{ target: '/run', tmpfsOptions: { sizeBytes: 1n << 20n, mode: 0o700 } }],
    });
  });

  test('get secrets and configs by name; a missing one is named', async () => {
    world.terminal.input = 'data';
    await world.run('secret create pw');
    await world.run('config create cf');
    await world.run('service create --name web --image nginx --secret pw:file --config cf --detach');
    expect(onlyService().spec?.task?.runtime.value).toMatchObject({
      secrets: [{ secretName: 'pw', target: { value: { name: 'file' } } }],
      configs: [{ configName: 'cf' }],
    });
    expect(await world.run('service update web --rm-secret pw --add-config nope --detach')).toMatchObject({
      code: 1,
      err: 'swarmctl: config not found: nope\n',
    });
    await world.run('service update web --rm-secret pw --rm-config cf --detach');
    expect(onlyService().spec?.task?.runtime.value).toMatchObject({ secrets: [], configs: [] });
  });

  test('are listed with their counts, and shown with their tasks', async () => {
    await world.run('service create --name web --image nginx --replicas 2 --ports www:80:8080 --label a=b --detach');
    await runTasks(onlyService(), TaskState.RUNNING);
    const { id } = onlyService();
    expect((await world.run('svc ls')).out).toBe(
      `ID                         Name  Mode        Image  Replicas  Ports\n${id}  web   replicated  nginx  2/2       www *:8080->80/tcp on each node\n`,
    );
    const { out } = await world.run('service inspect web');
    for (const text of ['Name', 'web', '2/2', 'nginx', 'RUNNING 1 minute ago', 'alpha']) expect(out).toContain(text);
    expect((await world.run('service ps web -q')).out).toBe('task1\ntask2\n');
    expect(JSON.parse((await world.run('service inspect web --json')).out)).toMatchObject({
      spec: { replicated: { replicas: 2 }, annotations: { labels: { a: 'b' } } },
    });
  });

  test('nothing to change is said and no failure', async () => {
    await world.run('service create --name web --image nginx --detach');
    const before = world.store.version;
    expect(await world.run('service update web --image nginx')).toMatchObject({
      code: 0,
      out: '',
      err: 'service web: nothing to change\n',
    });
    expect(world.store.version).toBe(before);
  });

  test('are scaled, only where they have replicas', async () => {
    await world.run('service create --name web --image nginx --detach');
    await world.run('service create --name agent --image nginx --mode global --detach');
    expect(await world.run('service scale web=7 --detach')).toMatchObject({ code: 0 });
    expect((await world.run('service ls')).out).toContain('0/7');
    expect(await world.run('service scale agent=2')).toMatchObject({ code: 2 });
  });

  test('go back to what they were; without a past the server refuses', async () => {
    await world.run('service create --name web --image nginx:1 --detach');
    expect(await world.run('service rollback web')).toMatchObject({
      code: 1,
      err: expect.stringContaining('does not have a previous spec'),
    });
    await world.run('service update web --image nginx:2 --detach');
    expect(await world.run('service rollback web --detach')).toMatchObject({ code: 0 });
    expect(onlyService().spec?.task?.runtime.value).toMatchObject({ image: 'nginx:1' });
  });

  test('are removed', async () => {
    await world.run('service create --name web --image nginx --detach');
    expect(await world.run('service rm web')).toEqual({ code: 0, out: 'web\n', err: '' });
    expect(await world.run('service rm web')).toMatchObject({ code: 1, err: 'swarmctl: service web not found\n' });
  });

  test('names taken and other refusals come through in one line', async () => {
    await world.run('service create --name web --image nginx --detach');
    const { code, err } = await world.run('service create --name web --image nginx --detach');
    expect(code).toBe(1);
    expect(err).toMatch(/^swarmctl: [^\n]*web[^\n]*\n$/);
  });
});

describe('waiting for a service', () => {
  const create3 = 'service create --name web --image nginx --replicas 3';

  /** Runs a command and lets something happen each time it has looked. */
  async function waited(
    command: string,
    steps: readonly (() => Promise<void>)[],
  ): Promise<Awaited<ReturnType<TestWorld['run']>>> {
    let outcome: Awaited<ReturnType<TestWorld['run']>> | undefined;
    const running = world.run(command).then((result) => (outcome = result));
    for (const step of steps) {
      await world.clock.advance(600);
      await step();
    }
    await world.clock.runUntil(() => outcome !== undefined, 60_000);
    return running;
  }

  test('prints a line for every change and ends when all runs', async () => {
    const { code, out, err } = await waited(create3, [
      () => runTasks(onlyService(), TaskState.PENDING, { err: 'no suitable node (missing plugin on 3 nodes)' }),
      () => runTasks(onlyService(), TaskState.STARTING),
      () => runTasks(onlyService(), TaskState.RUNNING),
    ]);
    expect(code).toBe(0);
    expect(out).toBe(`${onlyService().id}\n`);
    expect(err).toBe(
      [
        'web: 0/3 running',
        'web: 0/3 running: 3 pending; 3 tasks pending: no suitable node (missing plugin on 3 nodes)',
        'web: 0/3 running: 3 starting',
        'web: 3/3 running',
        '',
      ].join('\n'),
    );
  });

  test('redraws a block that fits a terminal', async () => {
    world.terminal.errorColumns = 40;
    const { err } = await waited(create3, [
      () => runTasks(onlyService(), TaskState.PENDING, { err: 'no suitable node (missing plugin on 3 nodes)' }),
      () => runTasks(onlyService(), TaskState.RUNNING),
    ]);
    expect(err).toBe(
      'web: 0/3 running\n' +
        '\u001b[1A\u001b[Jweb: 0/3 running: 3 pending\n  3 tasks pending: no suitable node (m…\n' +
        '\u001b[2A\u001b[Jweb: 3/3 running\n',
    );
  });

  test('goes on when tasks start and fail again', async () => {
    const { code, err } = await waited(`${create3} --timeout 5s`, [
      () => runTasks(onlyService(), TaskState.RUNNING),
      () => runTasks(onlyService(), TaskState.FAILED, { err: 'exit 1' }),
    ]);
    expect(code).toBe(1);
    expect(err).toContain('3 tasks failed: exit 1');
  });

  test('gives up after the time that was set', async () => {
    const { code, err } = await world.runInTime(`${create3} --timeout 2s`);
    expect(code).toBe(1);
    expect(err.split('\n').at(-2)).toBe('swarmctl: service web: gave up waiting: 0/3 running');
  });

  test.each([
    [UpdateStatus_UpdateState.PAUSED, 'update paused due to failure of task t1'],
    [UpdateStatus_UpdateState.ROLLBACK_PAUSED, 'rollback paused due to failure of task t1'],
  ])('an update that stops is a failure: %s', async (state, message) => {
    await world.run(`${create3} --detach`);
    const { code, err } = await waited('service update web --image nginx:2', [
      () => runTasks(onlyService(), TaskState.RUNNING),
      () => world.put('service', { ...onlyService(), updateStatus: updateStatus(state, message) }),
    ]);
    expect(code).toBe(1);
    expect(err.split('\n').at(-2)).toBe(`swarmctl: service web: ${message}`);
  });

  test('an update that was rolled back is a failure that says why it was', async () => {
    await world.run(`${create3} --detach`);
    const set = (state: UpdateStatus_UpdateState, message: string) => (): Promise<void> =>
      world.put('service', { ...onlyService(), updateStatus: updateStatus(state, message) });
    const { code, err } = await waited('service update web --image nginx:2', [
      () => runTasks(onlyService(), TaskState.RUNNING),
      set(UpdateStatus_UpdateState.ROLLBACK_STARTED, 'update rolled back due to failure of task t1'),
      set(UpdateStatus_UpdateState.ROLLBACK_COMPLETED, 'rollback completed'),
    ]);
    expect(code).toBe(1);
    expect(err.split('\n').at(-2)).toBe('swarmctl: service web: update rolled back due to failure of task t1');
  });

  test('a service that is removed meanwhile is a failure', async () => {
    const { code, err } = await waited(create3, [
      () => world.store.update((tx) => void tx.remove('service', onlyService().id)),
    ]);
    expect(code).toBe(1);
    expect(err).toContain('was removed meanwhile');
  });

  test('an interrupt leaves the cluster to go on, says so, and gives 130', async () => {
    const { code, err } = await waited(create3, [
      async () => world.interrupt.abort(new SwarmError(Code.CANCELED, 'swarmctl was stopped')),
    ]);
    expect(code).toBe(130);
    expect(err).toContain('the cluster goes on without us: see swarmctl service ps');
  });
});

function updateStatus(state: UpdateStatus_UpdateState, message: string): NonNullable<Service['updateStatus']> {
  return { $typeName: 'docker.swarmkit.v1.UpdateStatus', state, message };
}

describe('tasks', () => {
  beforeEach(async () => {
    await world.run('service create --name web --image nginx --detach');
    await runTasks(onlyService(), TaskState.PENDING, { err: 'no suitable node (not enough memory on 1 node)' });
  });

  test('say why they are pending', async () => {
    expect((await world.run('task ls')).out).toBe(
      'ID     Service  Desired State  Last State            Node   Ports  Error\n' +
        'task1  web.1    RUNNING        PENDING 1 minute ago  alpha         no suitable node (not enough memory on 1 node)\n',
    );
  });

  test('fit the terminal', async () => {
    world.terminal.columns = 60;
    const { out } = await world.run('task ls');
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(60);
    expect(out).toContain('web.1');
    expect(out).toContain('PENDING');
  });

  test('with --no-resolve show ids', async () => {
    const { out } = await world.run('task ls -n');
    expect(out).toContain('node1');
    expect(out).not.toContain('alpha');
    expect(out).toContain(onlyService().id);
  });

  test('leave out what is not meant to run, unless all are asked for', async () => {
    await world.store.update((tx) => {
      const task = tx.get('task', 'task1')!;
      tx.update('task', { ...task, desiredState: TaskState.SHUTDOWN });
    });
    expect((await world.run('task ls -q')).out).toBe('');
    expect((await world.run('task ls -q -a')).out).toBe('task1\n');
    expect((await world.run('service ps web -q --all')).out).toBe('task1\n');
  });

  test('one in detail, in JSON, and removed', async () => {
    const { out } = await world.run('task inspect task1');
    for (const text of ['Slot', 'web', 'alpha', 'nginx', 'not enough memory', '2019-12-31T23:59:00Z'])
      expect(out).toContain(text);
    expect(JSON.parse((await world.run('task inspect task1 --json')).out)).toMatchObject({
      status: { state: 'PENDING' },
    });
    expect(await world.run('task rm task1')).toEqual({ code: 0, out: 'task1\n', err: '' });
  });
});

describe('logs', () => {
  const message = (stream: LogStream, text: string): ReturnType<typeof create<typeof SubscribeLogsMessageSchema>> =>
    create(SubscribeLogsMessageSchema, {
      messages: [
        {
          context: { taskId: 'task1', nodeId: 'node1' },
          stream,
          timestamp: timestampFromMs(0),
          data: new TextEncoder().encode(text),
        },
      ],
    });

  beforeEach(async () => {
    await world.run('service create --name web --image nginx --detach');
    await runTasks(onlyService(), TaskState.RUNNING);
    world.logReplies = [message(LogStream.STDOUT, 'hello\n'), message(LogStream.STDERR, 'no line break')];
  });

  test('name task and node, and keep the streams apart', async () => {
    expect(await world.run('service logs web')).toEqual({
      code: 0,
      out: 'web.1@alpha❯ hello\n',
      err: 'web.1@alpha❯ no line break\n',
    });
    expect((await world.run('service log web -n -t')).out).toBe('1970-01-01T00:00:00Z task1@node1❯ hello\n');
  });

  test('ask for what the flags say', async () => {
    await world.run('service logs web -f --tail 10 --since 10m');
    expect(world.logRequests.at(-1)).toMatchObject({
      selector: { serviceIds: [onlyService().id] },
      options: { follow: true, tail: -11n, since: { seconds: BigInt(world.clock.nowMs() / 1000 - 600) } },
    });
    await world.run('task logs task1');
    expect(world.logRequests.at(-1)).toMatchObject({
      selector: { taskIds: ['task1'] },
      options: { follow: false, tail: 0n },
    });
  });
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
      ...node('node2', 'beta'),
      managerStatus: {
        $typeName: 'docker.swarmkit.v1.ManagerStatus',
        raftId: 1n,
        addr: '10.0.0.9:4242',
        leader: true,
        reachability: 2,
      },
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
    await world.put('network', {
      $typeName: 'docker.swarmkit.v1.Network',
      id: 'net1',
      spec: {
        $typeName: 'docker.swarmkit.v1.NetworkSpec',
        annotations: annotations('front'),
        ipv6Enabled: false,
        internal: true,
        attachable: false,
        ingress: false,
        configFrom: { case: undefined },
      },
      pendingDelete: false,
    });
  });

  test('are listed and shown', async () => {
    expect((await world.run('network ls')).out).toBe('ID    Name   Driver  Subnets\nnet1  front\n');
    expect((await world.run('network inspect front')).out).toMatch(/Internal +: yes/);
  });

  test('are attached to services by name', async () => {
    await world.run('service create --name web --image nginx --network front --detach');
    expect(onlyService().spec?.task?.networks).toMatchObject([{ target: 'net1' }]);
    expect((await world.run('service inspect web')).out).toMatch(/Networks +: front/);
    expect((await world.run('service inspect web -n')).out).toMatch(/Networks +: net1/);
  });
});

function annotations(name: string): NonNullable<NonNullable<Service['spec']>['annotations']> {
  return { $typeName: 'docker.swarmkit.v1.Annotations', name, labels: {}, indices: [] };
}

async function* failing(): AsyncIterable<never> {
  throw new SwarmError(Code.UNAVAILABLE, 'connection error');
}
