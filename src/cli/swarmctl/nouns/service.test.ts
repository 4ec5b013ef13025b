import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, test } from 'vitest';

import { LogStream, SubscribeLogsMessageSchema, TaskState, timestampFromMs } from '../../../api/index.js';
import { TestWorld, workerNode } from '../world.test-helper.js';

let world: TestWorld;

beforeEach(async () => {
  world = new TestWorld();
  await world.putCluster();
  await world.put('node', workerNode('node1', 'alpha'));
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
    const service = world.service();
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
    expect(world.service().spec?.task?.runtime.value).toMatchObject({
      secrets: [{ secretName: 'pw', target: { value: { name: 'file' } } }],
      configs: [{ configName: 'cf' }],
    });
    expect(await world.run('service update web --rm-secret pw --add-config nope --detach')).toMatchObject({
      code: 1,
      err: 'swarmctl: config not found: nope\n',
    });
    await world.run('service update web --rm-secret pw --rm-config cf --detach');
    expect(world.service().spec?.task?.runtime.value).toMatchObject({ secrets: [], configs: [] });
  });

  test('are listed with their counts, and shown with their tasks', async () => {
    await world.run('service create --name web --image nginx --replicas 2 --ports www:80:8080 --label a=b --detach');
    await world.putTasks(TaskState.RUNNING);
    const { id } = world.service();
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
    expect(world.service().spec?.task?.runtime.value).toMatchObject({ image: 'nginx:1' });
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

describe('tasks', () => {
  beforeEach(async () => {
    await world.run('service create --name web --image nginx --detach');
    await world.putTasks(TaskState.PENDING, { err: 'no suitable node (not enough memory on 1 node)' });
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
    expect(out).toContain(world.service().id);
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
    await world.putTasks(TaskState.RUNNING);
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
      selector: { serviceIds: [world.service().id] },
      options: { follow: true, tail: -11n, since: { seconds: BigInt(world.clock.nowMs() / 1000 - 600) } },
    });
    await world.run('task logs task1');
    expect(world.logRequests.at(-1)).toMatchObject({
      selector: { taskIds: ['task1'] },
      options: { follow: false, tail: 0n },
    });
  });
});
