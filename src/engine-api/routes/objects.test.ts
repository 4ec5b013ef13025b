import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';

import {
  ConfigSchema,
  NodeRole,
  NodeSpec_Availability,
  NodeSpec_Membership,
  NodeStatus_State,
  SecretSchema,
  ServiceSchema,
  TaskState,
} from '../../api/index.js';
import { network, node, serviceSpec, task } from '../../manager/control-api/test-fixture.js';
import { RoutesWorld } from './world.test-helper.js';

const filters = (value: unknown): string => `filters=${encodeURIComponent(JSON.stringify(value))}`;
const ids = (body: unknown): readonly string[] => (body as readonly { ID: string }[]).map(({ ID }) => ID).sort();
const message = (text: string): object => ({ message: text });

const KINDS = ['node', 'service', 'task', 'secret', 'config'] as const;

/** Objects of a kind whose ids and names collide on purpose. */
async function populated(kind: (typeof KINDS)[number]): Promise<RoutesWorld> {
  const world = new RoutesWorld();
  const named = (
    name: string,
    labels: Record<string, string> = {},
  ): { annotations: { name: string; labels: Record<string, string> } } => ({
    annotations: { name, labels },
  });
  for (const [id, name] of [
    ['abc1', 'one'],
    ['abd2', 'abc1'],
    ['abe3', 'three'],
  ] as const) {
    if (kind === 'node')
      await world.fixture.put('node', node(id, { spec: named(name), description: { hostname: name } }));
    if (kind === 'service')
      await world.fixture.put('service', create(ServiceSchema, { id, spec: serviceSpec(named(name)) }));
    if (kind === 'task') {
      const spec = { runtime: { case: 'container', value: {} } } as const;
      await world.fixture.put('task', task(id, { annotations: { name }, spec, serviceAnnotations: { name } }));
    }
    if (kind === 'secret') await world.fixture.put('secret', create(SecretSchema, { id, spec: named(name) }));
    if (kind === 'config') await world.fixture.put('config', create(ConfigSchema, { id, spec: named(name) }));
  }
  return world;
}

describe.each(KINDS)('a %s is found (E-212)', (kind) => {
  test('by id before name before prefix of the id', async () => {
    const world = await populated(kind);
    const found = async (given: string): Promise<unknown> =>
      ((await world.get(`/${kind}s/${given}`)).body as { ID?: string }).ID;
    expect(await found('abc1')).toBe('abc1');
    expect(await found('abe')).toBe('abe3');
    if (kind !== 'task') expect(await found('three')).toBe('abe3');
  });

  test('or refused where there is none or several', async () => {
    const world = await populated(kind);
    expect(await world.get(`/${kind}s/nope`)).toMatchObject({ status: 404, body: message(`${kind} nope not found`) });
    expect(await world.get(`/${kind}s/ab`)).toMatchObject({
      status: 400,
      body: message(`${kind} ab is ambiguous (3 matches found)`),
    });
  });
});

describe.each(KINDS)('a list of %ss', (kind) => {
  test('is empty as []', async () => {
    const answer = await new RoutesWorld().get(`/${kind}s`);
    expect(new TextDecoder().decode(answer.bytes)).toBe('[]\n');
    expect(answer.headers).toMatchObject({ 'Content-Type': 'application/json' });
  });

  test('is filtered by prefixes of id and name, in both shapes of filters (E-110)', async () => {
    const world = await populated(kind);
    expect(ids((await world.get(`/${kind}s?${filters({ id: ['abc', 'abe'] })}`)).body)).toEqual(['abc1', 'abe3']);
    expect(ids((await world.get(`/${kind}s?${filters({ id: { abd: true, abe: false } })}`)).body)).toEqual([
      'abd2',
      'abe3',
    ]);
  });

  test.each(['bad', '[]', '"x"', '{"id":"x"}', '{"id":[1]}'])('with filters %s is refused', async (text) => {
    const world = new RoutesWorld();
    expect(await world.get(`/${kind}s?filters=${encodeURIComponent(text)}`)).toMatchObject({
      status: 400,
      body: message('invalid filter'),
    });
  });

  test('with a filter of another route is refused by its name', async () => {
    expect(await new RoutesWorld().get(`/${kind}s?${filters({ weird: ['x'] })}`)).toMatchObject({
      status: 400,
      body: message("invalid filter 'weird'"),
    });
  });

  test('of great length is sent in slices that make one list', async () => {
    const world = await populated(kind);
    for (let index = 0; index < 450; index++) {
      const id = `z${index}`;
      if (kind === 'secret')
        await world.fixture.put('secret', create(SecretSchema, { id, spec: { annotations: { name: id } } }));
    }
    expect((await world.get(`/${kind}s`)).body).toHaveLength(kind === 'secret' ? 453 : 3);
  });
});

describe('nodes (E-211, E-213, E-214)', () => {
  async function nodes(): Promise<RoutesWorld> {
    const world = await new RoutesWorld().withCluster();
    const annotations = { name: 'alias', labels: { zone: 'a' } };
    const description = { hostname: 'host-a', engine: { labels: { disk: 'ssd' } } };
    await world.fixture.put(
      'node',
      node('a', {
        status: { state: NodeStatus_State.READY },
        role: NodeRole.MANAGER,
        spec: { annotations, membership: NodeSpec_Membership.ACCEPTED },
        description,
      }),
    );
    await world.fixture.put(
      'node',
      node('b', { spec: { membership: NodeSpec_Membership.PENDING }, status: { state: NodeStatus_State.DOWN } }),
    );
    return world;
  }

  test.each([
    [{ role: ['manager'] }, ['a']],
    [{ role: ['MANAGER', 'Worker'] }, ['a', 'b']],
    [{ role: [''] }, ['a', 'b']],
    [{ membership: ['accepted'] }, ['a']],
    [{ membership: ['PENDING'] }, ['b']],
    [{ membership: [''] }, ['a', 'b']],
    [{ 'node.label': ['zone'] }, ['a']],
    [{ 'node.label': ['zone=b'] }, []],
    [{ label: ['disk=ssd'] }, ['a']],
  ])('are filtered by %j', async (given, found) => {
    const world = await nodes();
    expect(ids((await world.get(`/nodes?${filters(given)}`)).body)).toEqual(found);
  });

  test.each([
    [{ role: ['boss'] }, "Invalid role filter: 'boss'"],
    [{ membership: ['boss'] }, "Invalid membership filter: 'boss'"],
  ])('with a filter of %j are a plain error', async (given, text) => {
    expect(await (await nodes()).get(`/nodes?${filters(given)}`)).toMatchObject({ status: 500, body: message(text) });
  });

  test('are updated at a version and answered without a body', async () => {
    const world = await nodes();
    const spec = { Role: 'worker', Availability: 'drain', Name: 'new', Labels: { x: 'y' } };
    expect(await world.post('/nodes/b/update', spec)).toMatchObject({
      status: 400,
      body: message(`invalid node version '': strconv.ParseUint: parsing "": invalid syntax`),
    });
    const index = world.fixture.get('node', 'b')?.meta?.version?.index;
    const answer = await world.post(`/nodes/b/update?version=${index}`, spec);
    expect([answer.status, answer.bytes.length]).toEqual([200, 0]);
    expect(world.fixture.get('node', 'b')?.spec).toMatchObject({
      annotations: { name: 'new', labels: { x: 'y' } },
      desiredRole: NodeRole.WORKER,
      availability: NodeSpec_Availability.DRAIN,
      membership: NodeSpec_Membership.PENDING,
    });
    expect(await world.post(`/nodes/b/update?version=${index}`, spec)).toMatchObject({
      status: 500,
      body: message('rpc error: code = Unknown desc = update out of sequence'),
    });
  });

  test('are removed with 200, or refused with the reason', async () => {
    const world = await nodes();
    const answer = await world.delete('/nodes/b');
    expect([answer.status, answer.bytes.length]).toEqual([200, 0]);
    expect(await world.delete('/nodes/a')).toMatchObject({
      status: 400,
      body: message("rpc error: code = FailedPrecondition desc = node a is not down and can't be removed"),
    });
    expect(await world.delete('/nodes/a?force=1')).toMatchObject({ status: 200 });
    expect(await world.delete('/nodes/b')).toMatchObject({ status: 404, body: message('node b not found') });
  });
});

describe('services (E-221 to E-225)', () => {
  const template = { ContainerSpec: { Image: 'nginx' } };

  test('are created with 201 and their id', async () => {
    const world = new RoutesWorld();
    const answer = await world.post('/services/create', { Name: 'web', TaskTemplate: template });
    expect(answer).toMatchObject({ status: 201, body: { ID: expect.stringMatching(/^[0-9a-z]{25}$/) } });
    expect(await world.post('/services/create', { Name: 'web', TaskTemplate: template })).toMatchObject({
      status: 409,
      body: message(
        'rpc error: code = AlreadyExists desc = name conflicts with an existing object: service web already exists',
      ),
    });
  });

  test('get a name of two words where they have none', async () => {
    const world = new RoutesWorld();
    const { body } = await world.post('/services/create', { TaskTemplate: template });
    expect(world.fixture.get('service', (body as { ID: string }).ID)?.spec?.annotations?.name).toMatch(
      /^[a-z]+_[a-z]+$/,
    );
  });

  test('are refused as the converter and the store refuse them', async () => {
    const world = new RoutesWorld();
    expect(await world.post('/services/create', {})).toMatchObject({
      status: 400,
      body: message('mismatched Runtime and *Spec fields'),
    });
    expect(await world.post('/services/create', { Name: 'x', TaskTemplate: { ContainerSpec: {} } })).toMatchObject({
      status: 400,
      body: { message: expect.stringMatching(/^rpc error: code = InvalidArgument desc = /) },
    });
  });

  test('name networks by name or prefix; an unknown one is a plain error (E-256)', async () => {
    const world = new RoutesWorld();
    await world.fixture.put('network', network('net-id', { annotations: { name: 'ov' } }));
    for (const [name, target] of [
      ['by-name', 'ov'],
      ['by-id', 'net-id'],
      ['by-prefix', 'net'],
    ] as const) {
      const answer = await world.post('/services/create', {
        Name: name,
        TaskTemplate: { ...template, Networks: [{ Target: target }] },
      });
      const { ID: id } = answer.body as { ID: string };
      expect(world.fixture.get('service', id)?.spec?.task?.networks[0]?.target).toBe('net-id');
    }
    expect(
      await world.post('/services/create', {
        Name: 'x',
        TaskTemplate: { ...template, Networks: [{ Target: 'nonet' }] },
      }),
    ).toMatchObject({
      status: 500,
      body: message('network nonet not found'),
    });
  });

  async function web(): Promise<{
    readonly world: RoutesWorld;
    readonly update: (
      query: string,
      changes?: object,
      headers?: Record<string, string>,
    ) => ReturnType<RoutesWorld['post']>;
    readonly auth: () => string | undefined;
  }> {
    const world = new RoutesWorld();
    const created = await world.post(
      '/services/create',
      { Name: 'web', TaskTemplate: template },
      { 'x-registry-auth': 'first' },
    );
    const { ID: id } = created.body as { ID: string };
    return {
      world,
      update: (query, changes = {}, headers = {}) => {
        const index = world.fixture.get('service', id)?.meta?.version?.index;
        return world.post(
          `/services/web/update?version=${index}${query}`,
          { Name: 'web', TaskTemplate: template, ...changes },
          headers,
        );
      },
      auth: () => {
        const runtime = world.fixture.get('service', id)?.spec?.task?.runtime;
        return runtime?.case === 'container' ? runtime.value.pullOptions?.registryAuth : undefined;
      },
    };
  }

  test('keep their credentials through an update that brings none (E-224)', async () => {
    const { update, auth } = await web();
    expect(auth()).toBe('first');
    expect(await update('', { Labels: { a: 'b' } })).toMatchObject({ status: 200, body: { Warnings: null } });
    expect(auth()).toBe('first');
    await update('', {}, { 'x-registry-auth': 'second' });
    expect(auth()).toBe('second');
    await update('&registryAuthFrom=previous-spec');
    expect(auth()).toBe('first');
    await update('&registryAuthFrom=spec');
    expect(auth()).toBe('first');
  });

  test.each([
    ['&registryAuthFrom=weird', 500, 'unsupported registryAuthFrom value'],
    ['&registryAuthFrom=previous-spec', 500, 'service does not have a previous spec'],
    ['&rollback=weird', 500, 'unrecognized rollback option weird'],
    [
      '&rollback=previous',
      400,
      /^rpc error: code = FailedPrecondition desc = service [0-9a-z]{25} does not have a previous spec$/,
    ],
  ])('are not updated with %s', async (query, status, text) => {
    const { update } = await web();
    expect(await update(query)).toMatchObject({ status, body: { message: expect.stringMatching(text) } });
  });

  test('are neither renamed nor changed in mode', async () => {
    const { update } = await web();
    for (const changes of [{ Name: 'other' }, { Name: '' }, { Mode: { Global: {} } }]) {
      expect(await update('', changes)).toMatchObject({ status: 501 });
    }
  });

  test('go back to their previous spec', async () => {
    const { world, update } = await web();
    await update('', { Labels: { a: 'b' } });
    expect(await update('&rollback=previous')).toMatchObject({ status: 200 });
    expect((await world.get('/services/web')).body).toMatchObject({
      Spec: { Labels: {} },
      PreviousSpec: { Labels: { a: 'b' } },
    });
  });

  test('need a version', async () => {
    const { world } = await web();
    expect(await world.post('/services/web/update?version=x', { TaskTemplate: template })).toMatchObject({
      status: 400,
      body: message(`invalid service version 'x': strconv.ParseUint: parsing "x": invalid syntax`),
    });
    expect(await world.post('/services/web/update?version=999', { Name: 'web', TaskTemplate: template })).toMatchObject(
      {
        status: 500,
        body: message('rpc error: code = Unknown desc = update out of sequence'),
      },
    );
  });

  test('are removed with 200', async () => {
    const { world } = await web();
    const answer = await world.delete('/services/web');
    expect([answer.status, answer.bytes.length]).toEqual([200, 0]);
    expect(await world.get('/services/web')).toMatchObject({ status: 404 });
  });

  test('show defaults where they are asked for', async () => {
    const { world } = await web();
    expect((await world.get('/services/web')).body).not.toHaveProperty('Spec.UpdateConfig');
    expect((await world.get('/services/web?insertDefaults=true')).body).toMatchObject({
      Spec: { UpdateConfig: { Parallelism: 1 } },
    });
    expect(await world.get('/services/web?insertDefaults=maybe')).toMatchObject({
      status: 400,
      body: message('invalid value for insertDefaults: maybe: strconv.ParseBool: parsing "maybe": invalid syntax'),
    });
  });

  test.each([
    [{ mode: ['global'] }, ['g']],
    [{ mode: ['replicated', 'global'] }, ['g', 'r']],
    [{ mode: ['replicated-job'] }, []],
    [{ mode: ['Global'] }, []],
    [{ name: ['re'] }, ['r']],
    [{ label: ['a'] }, ['r']],
    [{ label: ['a=b', 'c'] }, []],
    [{ runtime: ['plugin'] }, []],
    [{ runtime: ['container'] }, ['g', 'r']],
  ])('are filtered by %j', async (given, found) => {
    const world = new RoutesWorld();
    await world.fixture.put(
      'service',
      create(ServiceSchema, {
        id: 'g',
        spec: serviceSpec({ annotations: { name: 'glob' }, mode: { case: 'global', value: {} } }),
      }),
    );
    await world.fixture.put(
      'service',
      create(ServiceSchema, { id: 'r', spec: serviceSpec({ annotations: { name: 'repl', labels: { a: 'b' } } }) }),
    );
    expect(ids((await world.get(`/services?${filters(given)}`)).body)).toEqual(found);
  });

  test('come with their counts where these are asked for, from 1.41', async () => {
    const { world } = await web();
    const { ID: id } = ((await world.get('/services')).body as [{ ID: string }])[0];
    await world.fixture.put('node', node('n', { status: { state: NodeStatus_State.READY } }));
    await world.fixture.put(
      'task',
      task('t', { serviceId: id, nodeId: 'n', desiredState: TaskState.RUNNING, status: { state: TaskState.RUNNING } }),
    );
    expect((await world.get('/services?status=true')).body).toMatchObject([
      { ServiceStatus: { RunningTasks: 1, DesiredTasks: 1, CompletedTasks: 0 } },
    ]);
    for (const path of ['/services', '/services?status=0', '/v1.40/services?status=maybe']) {
      expect((await world.get(path)).body).not.toHaveProperty('0.ServiceStatus');
    }
    expect(await world.get('/services?status=maybe')).toMatchObject({
      status: 400,
      body: message('invalid value for status: maybe: strconv.ParseBool: parsing "maybe": invalid syntax'),
    });
  });
});

describe('tasks (E-231)', () => {
  async function tasks(): Promise<RoutesWorld> {
    const world = new RoutesWorld();
    const spec = { runtime: { case: 'container', value: {} } } as const;
    await world.fixture.put('node', node('n1', { description: { hostname: 'host' } }));
    await world.fixture.put(
      'service',
      create(ServiceSchema, { id: 's1', spec: serviceSpec({ annotations: { name: 'web' } }) }),
    );
    const serviceAnnotations = { name: 'web', labels: { tier: 'front' } };
    await world.fixture.put(
      'task',
      task('a', { spec, serviceId: 's1', slot: 1n, nodeId: 'n1', desiredState: TaskState.RUNNING, serviceAnnotations }),
    );
    await world.fixture.put(
      'task',
      task('b', { spec, serviceId: 's1', slot: 2n, desiredState: TaskState.SHUTDOWN, serviceAnnotations }),
    );
    await world.fixture.put('task', task('c', { spec: { runtime: { case: 'attachment', value: {} } } }));
    return world;
  }

  test.each([
    [{}, ['a', 'b']],
    [{ service: ['web'] }, ['a', 'b']],
    [{ service: ['s1'] }, ['a', 'b']],
    [{ node: ['n1'] }, ['a']],
    [{ node: ['n'] }, ['a']],
    [{ 'desired-state': ['running'] }, ['a']],
    [{ 'desired-state': ['Running', 'shutdown'] }, ['a', 'b']],
    [{ 'desired-state': [''] }, ['a', 'b']],
    [{ label: ['tier=front'] }, ['a', 'b']],
    [{ label: ['tier=back'] }, []],
    [{ id: ['a'], service: ['web'] }, ['a']],
    [{ runtime: ['attachment'] }, ['c']],
  ])('are filtered by %j', async (given, found) => {
    expect(ids((await (await tasks()).get(`/tasks?${filters(given)}`)).body)).toEqual(found);
  });

  test.each([
    [{ service: ['nope'] }, 404, 'service nope not found'],
    [{ node: ['nope'] }, 404, 'node nope not found'],
    [{ 'desired-state': ['weird'] }, 500, "Invalid desired-state filter: 'weird'"],
    [{ 'desired-state': ['0'] }, 500, "Invalid desired-state filter: '0'"],
  ])('with a filter of %j are refused', async (given, status, text) => {
    expect(await (await tasks()).get(`/tasks?${filters(given)}`)).toMatchObject({ status, body: message(text) });
  });
});

describe.each(['secret', 'config'] as const)('a %s (E-241 to E-245)', (kind) => {
  const make = (world: RoutesWorld, changes: object = {}): ReturnType<RoutesWorld['post']> =>
    world.post(`/${kind}s/create`, { Name: 'one', Data: 'c2VjcmV0', Labels: { a: 'b' }, ...changes });

  test('is created, read, listed, updated and removed', async () => {
    const world = await new RoutesWorld().withCluster();
    const created = await make(world);
    expect(created).toMatchObject({ status: 201, body: { ID: expect.stringMatching(/^[0-9a-z]{25}$/) } });
    const read = await world.get(`/${kind}s/one`);
    const shown = { Name: 'one', Labels: { a: 'b' }, ...(kind === 'config' ? { Data: 'c2VjcmV0' } : {}) };
    expect((read.body as { Spec: unknown }).Spec).toEqual(shown);
    const { Index: index } = (read.body as { Version: { Index: number } }).Version;
    const updated = await world.post(`/${kind}s/one/update?version=${index}`, {
      Name: 'one',
      Labels: { c: 'd' },
      Data: 'c2VjcmV0',
    });
    expect([updated.status, updated.bytes.length]).toEqual([200, 0]);
    expect((await world.get(`/${kind}s?${filters({ label: ['c=d'] })}`)).body).toHaveLength(1);
    const removed = await world.delete(`/${kind}s/one`);
    expect([removed.status, removed.bytes.length]).toEqual([204, 0]);
    expect(await world.delete(`/${kind}s/one`)).toMatchObject({ status: 404, body: message(`${kind} one not found`) });
  });

  test('is refused by its store, rendered as such', async () => {
    const world = new RoutesWorld();
    await make(world);
    expect(await make(world)).toMatchObject({
      status: 409,
      body: message(`rpc error: code = AlreadyExists desc = ${kind} one already exists`),
    });
    expect(await make(world, { Name: 'bad name' })).toMatchObject({ status: 400 });
    expect(await make(world, { Name: 'two', Data: '???' })).toMatchObject({
      status: 400,
      body: message('illegal base64 data at input byte 0'),
    });
    expect(
      await world.post(`/v1.36/${kind}s/create`, { Name: 'two', Data: 'AAAA', Templating: { Name: 'golang' } }),
    ).toMatchObject({
      status: 400,
    });
  });

  test.each(['', '?version=', '?version=x', '?version=99999999999999999999'])(
    'with %s for a version is refused in few words',
    async (query) => {
      const world = new RoutesWorld();
      await make(world);
      expect(await world.post(`/${kind}s/one/update${query}`, {})).toMatchObject({
        status: 400,
        body: message(`invalid ${kind} version`),
      });
    },
  );

  test('changes nothing but its labels', async () => {
    const world = await new RoutesWorld().withCluster();
    await make(world);
    const { Index: index } = ((await world.get(`/${kind}s/one`)).body as { Version: { Index: number } }).Version;
    expect(
      await world.post(`/${kind}s/one/update?version=${index}`, { Name: 'other', Data: 'c2VjcmV0' }),
    ).toMatchObject({
      status: 400,
      body: message('rpc error: code = InvalidArgument desc = only updates to Labels are allowed'),
    });
  });
});

test('secrets are found by exact names as well', async () => {
  const world = await populated('secret');
  expect(ids((await world.get(`/secrets?${filters({ names: ['one'] })}`)).body)).toEqual(['abc1']);
});

describe('networks, reading (E-251, E-252)', () => {
  async function networks(): Promise<RoutesWorld> {
    const world = new RoutesWorld();
    await world.fixture.put('network', network('id-1', { annotations: { name: 'ov' } }));
    await world.fixture.put('network', network('id-2', { annotations: { name: 'id-1' } }));
    await world.fixture.put(
      'network',
      network('id-3', { annotations: { name: 'host', labels: { 'com.docker.swarm.predefined': 'true' } } }),
    );
    return world;
  }

  test('hides the mirrors of local ones, and is empty without a manager', async () => {
    const world = await networks();
    const listed = (await world.get('/networks')).body as readonly { Id: string }[];
    expect(listed.map(({ Id }) => Id).sort()).toEqual(['id-1', 'id-2']);
    world.status = { ...world.status, isManager: false };
    expect((await world.get('/networks')).body).toEqual([]);
    expect(await world.get('/networks/ov')).toMatchObject({ status: 404, body: message('network ov not found') });
  });

  test('finds one by id, name or prefix', async () => {
    const world = await networks();
    const found = async (given: string): Promise<unknown> =>
      ((await world.get(`/networks/${given}`)).body as { Id?: string }).Id;
    expect([await found('id-1'), await found('ov'), await found('id-2')]).toEqual(['id-1', 'id-1', 'id-2']);
    expect(await world.get('/networks/id-')).toMatchObject({
      status: 400,
      body: message('3 matches found based on ID prefix: network id- is ambiguous'),
    });
    expect(await world.get('/networks/nope')).toMatchObject({ status: 404, body: message('network nope not found') });
  });
});
