import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, test } from 'vitest';

import { NodeRole, NodeSchema } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import { TestWorld, workerNode } from './world.test-helper.js';

let world: TestWorld;

beforeEach(async () => {
  world = new TestWorld();
  await world.putCluster();
  await world.put('node', workerNode('node1', 'alpha'));
});

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
    await world.put('node', workerNode('nodf2', 'beta'));
    await world.put('node', workerNode('nodf3', 'beta'));
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
    await world.put('node', create(NodeSchema, { id: 'node2', description: { hostname: 'beta' } }));
    expect(await world.run('node rm nothing beta')).toEqual({
      code: 1,
      out: 'beta\n',
      err: 'swarmctl: node nothing not found\n',
    });
    expect(await world.run('node rm --force alpha')).toMatchObject({ code: 0 });
    expect((await world.run('node ls -q')).out).toBe('');
  });
});

function failing(): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('not reached')) }) };
}
