import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import {
  ConfigSchema,
  NodeRole,
  NodeSpec_Availability,
  NodeStatus_State,
  RaftMemberStatus_Reachability,
  SecretSchema,
  ServiceSchema,
  UpdateStatus_UpdateState,
  UpdateStatusSchema,
} from '../../api/index.js';
import { network, node, NOW_MS, serviceSpec, task } from '../../manager/control-api/test-fixture.js';
import { RoutesWorld } from './world.test-helper.js';

let world: RoutesWorld;
let stop: AbortController;
let running: Promise<void>;

beforeEach(async () => {
  world = new RoutesWorld();
  stop = new AbortController();
  running = world.events.run(stop.signal);
  await world.clock.settle();
});

afterEach(async () => {
  stop.abort(new Error('end'));
  await running;
});

const filters = (value: unknown): string => `&filters=${encodeURIComponent(JSON.stringify(value))}`;

interface Line {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
}

/** What happened so far. */
async function past(query = ''): Promise<readonly Line[]> {
  await world.clock.settle();
  const { bytes } = await world.get(`/events?until=9999999999${query}`, ended());
  const text = new TextDecoder().decode(bytes).trim();
  return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as Line);
}

/** A client that goes away once it has read what is there. */
function ended(): AbortSignal {
  const client = new AbortController();
  setImmediate(() => client.abort(new Error('gone')));
  return client.signal;
}

const short = (lines: readonly Line[]): readonly string[] =>
  lines.map(({ Type, Action, Actor }) => `${Type} ${Action} ${Actor.Attributes['name']}`);

async function populate(): Promise<void> {
  await world.fixture.put('secret', create(SecretSchema, { id: 'sec-id', spec: { annotations: { name: 'sec' } } }));
  await world.fixture.put('config', create(ConfigSchema, { id: 'cfg-id', spec: { annotations: { name: 'cfg' } } }));
  await world.fixture.put('network', network('net-id', { annotations: { name: 'net' } }));
  await world.fixture.put(
    'service',
    create(ServiceSchema, { id: 'svc-id', spec: serviceSpec({ annotations: { name: 'web' } }) }),
  );
  await world.fixture.put('node', node('nod-id', { description: { hostname: 'host' } }));
  await world.fixture.put('task', task('tsk-id'));
}

describe('an event (E-275)', () => {
  test('tells of every creation and removal of what is not a task', async () => {
    await populate();
    await world.fixture.store.update((tx) => tx.remove('secret', 'sec-id'));
    expect(short(await past())).toEqual([
      'secret create sec',
      'config create cfg',
      'network create net',
      'service create web',
      'node create host',
      'secret remove sec',
    ]);
  });

  test('is one line of JSON with the time of the object', async () => {
    await populate();
    const { bytes, headers } = await world.get(`/events?since=0&until=${NOW_MS / 1000 + 1}`, ended());
    expect(headers).toMatchObject({ 'Content-Type': 'application/json' });
    expect(new TextDecoder().decode(bytes).split('\n')[0]).toBe(
      `{"Type":"secret","Action":"create","Actor":{"ID":"sec-id","Attributes":{"name":"sec"}},"scope":"swarm","time":${NOW_MS / 1000},"timeNano":${NOW_MS}000000}`,
    );
  });

  test('of a service names its image, replicas and update state, old and new', async () => {
    await populate();
    await world.fixture.store.update((tx) => {
      const old = tx.get('service', 'svc-id');
      if (old === undefined) throw new Error('there is a service');
      const spec = serviceSpec({
        annotations: { name: 'web' },
        task: { runtime: { case: 'container', value: { image: 'other' } } },
        mode: { case: 'replicated', value: { replicas: 5n } },
      });
      tx.update(
        'service',
        create(ServiceSchema, {
          ...old,
          spec,
          updateStatus: create(UpdateStatusSchema, { state: UpdateStatus_UpdateState.UPDATING }),
        }),
      );
    });
    await world.fixture.store.update((tx) => {
      const old = tx.get('service', 'svc-id');
      if (old === undefined) throw new Error('there is a service');
      tx.update(
        'service',
        create(ServiceSchema, {
          ...old,
          updateStatus: create(UpdateStatusSchema, { state: UpdateStatus_UpdateState.COMPLETED }),
        }),
      );
    });
    const updates = (await past()).filter(({ Action }) => Action === 'update').map(({ Actor }) => Actor.Attributes);
    expect(updates).toEqual([
      {
        name: 'web',
        'image.old': 'nginx:1',
        'image.new': 'other',
        'replicas.old': '2',
        'replicas.new': '5',
        'updatestate.new': 'updating',
      },
      { name: 'web', 'updatestate.old': 'updating', 'updatestate.new': 'completed' },
    ]);
  });

  test('of a node names what changed in it', async () => {
    const base = {
      description: { hostname: 'host' },
      managerStatus: { leader: false, reachability: RaftMemberStatus_Reachability.UNREACHABLE },
    };
    await world.fixture.put('node', node('n', { ...base, status: { state: NodeStatus_State.UNKNOWN } }));
    await world.fixture.store.update((tx) => {
      const old = tx.get('node', 'n');
      tx.update(
        'node',
        node('n', {
          meta: old?.meta ?? {},
          description: { hostname: 'host' },
          spec: { availability: NodeSpec_Availability.DRAIN },
          role: NodeRole.MANAGER,
          status: { state: NodeStatus_State.READY },
          managerStatus: { leader: true, reachability: RaftMemberStatus_Reachability.REACHABLE },
        }),
      );
    });
    expect((await past())[1]?.Actor.Attributes).toEqual({
      name: 'host',
      'availability.old': 'active',
      'availability.new': 'drain',
      'role.old': 'worker',
      'role.new': 'manager',
      'state.old': 'unknown',
      'state.new': 'ready',
      'leader.old': 'false',
      'leader.new': 'true',
      'reachability.old': 'unreachable',
      'reachability.new': 'reachable',
    });
  });
});

describe('the stream (E-274)', () => {
  test('goes on with what happens next, and keeps nothing of the past unless asked', async () => {
    await populate();
    await world.clock.settle();
    const client = new AbortController();
    const answer = world.get('/events', client.signal);
    await world.clock.settle();
    await world.fixture.put('config', create(ConfigSchema, { id: 'c2', spec: { annotations: { name: 'later' } } }));
    await world.clock.settle();
    client.abort(new Error('gone'));
    const text = new TextDecoder().decode((await answer).bytes);
    expect(
      short(
        text
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Line),
      ),
    ).toEqual(['config create later']);
  });

  test('ends when the time named has come', async () => {
    const until = world.clock.nowMs() / 1000 + 5;
    let isOver = false;
    const answer = world.get(`/events?until=${until}`).then(() => (isOver = true));
    await world.clock.advance(4_999);
    expect(isOver).toBe(false);
    await world.clock.advance(1);
    await answer;
    expect(world.clock.pendingTimers).toBe(0);
  });

  test('shows what lies between two times in the past', async () => {
    await populate();
    await world.clock.settle();
    const at = NOW_MS / 1000;
    await world.clock.advance(NOW_MS - world.clock.nowMs() + 60_000);
    const shown = async (query: string): Promise<number> => (await world.get(`/events?${query}`)).bytes.length;
    expect(await shown(`since=${at - 1}&until=${at + 1}`)).toBeGreaterThan(0);
    expect(await shown(`until=${at + 1}`)).toBeGreaterThan(0);
    expect(await shown(`since=${at + 0.5}&until=${at + 1}`)).toBe(0);
    expect(await shown(`since=${at - 2}&until=${at - 1}`)).toBe(0);
  });

  test.each([
    ['since=x', 500, 'strconv.ParseInt: parsing "x": invalid syntax'],
    ['until=x', 500, 'strconv.ParseInt: parsing "x": invalid syntax'],
    ['since=2&until=1', 400, '`since` time (2) cannot be after `until` time (1)'],
    ['filters=bad', 400, 'invalid filter'],
  ])('with %s is refused', async (query, status, text) => {
    expect(await world.get(`/events?${query}`)).toMatchObject({ status, body: { message: text } });
  });

  test.each([
    [{ type: ['secret', 'config'] }, ['secret create sec', 'config create cfg']],
    [{ event: ['remove'] }, []],
    [{ scope: ['swarm'], type: ['node'] }, ['node create host']],
    [{ scope: ['local'] }, []],
    [{ secret: ['se'] }, ['secret create sec']],
    [{ config: ['cfg-id'] }, ['config create cfg']],
    [{ service: ['web'], config: ['cfg'] }, []],
    [{ service: ['web', 'host'] }, ['service create web', 'node create host']],
    [{ label: ['name=net'] }, ['network create net']],
    [{ label: ['absent'] }, []],
    [{ image: ['nginx'] }, []],
    [{ unknown: ['x'], type: ['node'] }, ['node create host']],
  ])('is filtered by %j', async (given, found) => {
    await populate();
    expect(short(await past(filters(given)))).toEqual(found);
  });

  test('remembers the last 256 events', async () => {
    for (let index = 0; index < 260; index++) {
      await world.fixture.put(
        'config',
        create(ConfigSchema, { id: `c${index}`, spec: { annotations: { name: `n${index}` } } }),
      );
    }
    const lines = await past();
    expect(lines).toHaveLength(256);
    expect(lines[0]?.Actor.ID).toBe('c4');
  });
});
