import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  EndpointSpecSchema,
  NetworkAttachmentConfigSchema,
  NetworkSchema,
  PortConfigSchema,
  ServiceSchema,
  ServiceSpecSchema,
  TaskSchema,
  TaskSpecSchema,
  TaskState,
  TaskStatusSchema,
  type NetworkAttachmentConfig,
  type Service,
  type ServiceSpec,
  type Task,
} from '../../api/index.js';
import { SILENT_LOGGER } from '../../base/index.js';
import { SimClock } from '../../sim/index.js';
import { by, MemoryStore, type ObjectEvent } from '../../store/index.js';
import { Allocator } from './allocator.js';
import type { NetworkProvider } from './network-provider.js';

let clock: SimClock;
let store: MemoryStore;
let stop: AbortController;
let running: Promise<void> | undefined;

beforeEach(() => {
  clock = new SimClock();
  store = new MemoryStore({}, { clock });
  stop = new AbortController();
  running = undefined;
});

afterEach(async () => {
  stop.abort(new Error('the test is over'));
  await running;
});

function start(networks?: NetworkProvider): void {
  const deps = { store, clock, log: SILENT_LOGGER };
  running = new Allocator(networks === undefined ? deps : { ...deps, networks }).run(stop.signal);
}

function publishing(...published: readonly number[]): Partial<ServiceSpec> {
  const ports = published.map((publishedPort, index) =>
    create(PortConfigSchema, { targetPort: 80 + index, publishedPort }),
  );
  return { endpoint: create(EndpointSpecSchema, { ports }) };
}

function attached(...targets: readonly string[]): NetworkAttachmentConfig[] {
  return targets.map((target) => create(NetworkAttachmentConfigSchema, { target }));
}

async function service(id: string, change: Partial<ServiceSpec> = {}): Promise<void> {
  const spec = { ...create(ServiceSpecSchema, { annotations: { name: id }, task: {} }), ...change };
  await store.update((tx) => tx.create('service', { ...create(ServiceSchema, { id }), spec }));
}

async function updateService(id: string, change: Partial<ServiceSpec>): Promise<void> {
  const present = getService(id);
  const spec = { ...(present.spec as ServiceSpec), ...change };
  await store.update((tx) => tx.update('service', { ...present, spec }));
}

async function task(id: string, serviceId: string, change: Partial<Task> = {}): Promise<void> {
  const status = create(TaskStatusSchema, { state: TaskState.NEW, message: 'created' });
  const base = create(TaskSchema, { id, serviceId, desiredState: TaskState.RUNNING, status, spec: {} });
  await store.update((tx) => tx.create('task', { ...base, ...change }));
}

function getService(id: string): Service {
  return store.view((tx) => tx.get('service', id)) as Service;
}

function getTask(id: string): Task {
  return store.view((tx) => tx.get('task', id)) as Task;
}

function published(id: string): readonly number[] {
  return (getService(id).endpoint?.ports ?? []).map((port) => port.publishedPort);
}

describe('tasks', () => {
  it('move from NEW to PENDING once their service has all it needs', async () => {
    start();
    await service('s');
    await task('t', 's');
    await clock.settle();
    expect(getTask('t').status).toMatchObject({
      state: TaskState.PENDING,
      message: 'pending task scheduling',
      err: '',
    });
  });

  it('carry the endpoint of their service, shared', async () => {
    start();
    await service('s', publishing(8080));
    await task('t', 's');
    await task('u', 's');
    await clock.settle();
    expect(getTask('t').endpoint?.ports.map((port) => port.publishedPort)).toEqual([8080]);
    expect(getTask('t').endpoint).toBe(getService('s').endpoint);
    expect(getTask('u').endpoint).toBe(getService('s').endpoint);
  });

  it('without a service move as well', async () => {
    start();
    await task('t', '');
    await clock.settle();
    expect(getTask('t').status?.state).toBe(TaskState.PENDING);
  });

  it('that are there at start are dealt with', async () => {
    await service('s');
    await task('new', 's');
    await task('old', 's', { status: create(TaskStatusSchema, { state: TaskState.RUNNING, message: 'started' }) });
    start();
    await clock.settle();
    expect(getTask('new').status?.state).toBe(TaskState.PENDING);
    expect(getTask('old').status?.message).toBe('started');
  });

  it('of a service that does not exist are left to the orchestrator', async () => {
    start();
    await task('t', 'gone');
    await clock.settle();
    expect(getTask('t').status?.state).toBe(TaskState.NEW);
  });

  it('that nobody wants any more do not wait', async () => {
    start();
    await service('s', { task: create(TaskSpecSchema, { networks: attached('nowhere') }) });
    await task('t', 's', { spec: getService('s').spec?.task });
    await clock.settle();
    expect(getTask('t').status?.state).toBe(TaskState.NEW);
    await store.update((tx) => tx.update('task', { ...getTask('t'), desiredState: TaskState.SHUTDOWN }));
    await clock.settle();
    expect(getTask('t').status?.state).toBe(TaskState.PENDING);
  });

  it('move in one transaction, however many they are', async () => {
    await service('s');
    await store.update((tx) => {
      const status = create(TaskStatusSchema, { state: TaskState.NEW });
      for (let number = 0; number < 5_000; number++) {
        tx.create(
          'task',
          create(TaskSchema, { id: `t${number}`, serviceId: 's', desiredState: TaskState.RUNNING, status }),
        );
      }
    });
    const before = store.version;
    start();
    await clock.settle();
    const tasks = store.view((tx) => tx.find('task', by.taskState(TaskState.PENDING)));
    expect(tasks).toHaveLength(5_000);
    expect(Number(store.version - before)).toBeLessThanOrEqual(5_000 / 200);
    expect(new Set(tasks.map((each) => each.status)).size).toBe(1);
  });
});

describe('services', () => {
  it('get an endpoint with their spec and ports', async () => {
    start();
    await service('s', publishing(8080, 0));
    await clock.settle();
    expect(getService('s').endpoint).toMatchObject({
      virtualIps: [],
      ports: [{ publishedPort: 8080 }, { publishedPort: 30_000 }],
    });
    expect(getService('s').endpoint?.spec).toBe(getService('s').spec?.endpoint);
  });

  it('that publish nothing get none', async () => {
    start();
    await service('s', { endpoint: create(EndpointSpecSchema) });
    await clock.settle();
    expect(getService('s').endpoint).toBeUndefined();
  });

  it('keep dynamic ports when they are updated, and lose what they no longer publish', async () => {
    start();
    await service('s', publishing(0));
    await clock.settle();
    await updateService('s', publishing(0, 9_000));
    await clock.settle();
    expect(published('s')).toEqual([30_000, 9_000]);
    await updateService('s', { endpoint: undefined });
    await clock.settle();
    expect(getService('s').endpoint).toMatchObject({ ports: [] });
    expect(getService('s').endpoint?.spec).toBeUndefined();
  });

  it('are written only when something changes', async () => {
    start();
    await service('s', publishing(8080));
    await clock.settle();
    const events: ObjectEvent[] = [];
    const subscription = store.watch({ tables: ['service'], commits: false });
    await updateService('s', { task: create(TaskSpecSchema, { forceUpdate: 1n }) });
    await clock.settle();
    for (const event of subscription.take()) if (event.kind !== 'commit') events.push(event);
    subscription[Symbol.dispose]();
    expect(events).toHaveLength(1);
  });

  it('keep the ports that the store says they have when another leader begins', async () => {
    start();
    await service('b', publishing(0));
    await service('a', publishing(0));
    await clock.settle();
    expect(published('b')).toEqual([30_000]);
    stop.abort(new Error('lost leadership'));
    await running;
    stop = new AbortController();
    await service('0', publishing(0));
    start();
    await clock.settle();
    expect([published('b'), published('a'), published('0')]).toEqual([[30_000], [30_001], [30_002]]);
  });
});

describe('conflicts', () => {
  it('let the second service wait, with the reason on its tasks, until the port is free', async () => {
    start();
    await service('first', publishing(80));
    await clock.settle();
    await service('second', publishing(80));
    await task('t', 'second');
    await clock.settle();
    expect(getService('second').endpoint).toBeUndefined();
    expect(getTask('t').status).toMatchObject({ state: TaskState.NEW, err: 'port 80/tcp is in use by service first' });
    await store.update((tx) => tx.remove('service', 'first'));
    await clock.settle();
    expect(published('second')).toEqual([80]);
    expect(getTask('t').status).toMatchObject({ state: TaskState.PENDING, err: '' });
  });

  it('end when the other service publishes another port', async () => {
    start();
    await service('first', publishing(80));
    await service('second', publishing(80));
    await clock.settle();
    await updateService('first', publishing(81));
    await clock.settle();
    expect(published('second')).toEqual([80]);
  });

  it('do not keep two services from swapping their ports', async () => {
    start();
    await service('a', publishing(80));
    await service('b', publishing(81));
    await clock.settle();
    await store.update((tx) => {
      tx.update('service', {
        ...getService('a'),
        spec: { ...(getService('a').spec as ServiceSpec), ...publishing(81) },
      });
      tx.update('service', {
        ...getService('b'),
        spec: { ...(getService('b').spec as ServiceSpec), ...publishing(80) },
      });
    });
    await clock.settle();
    expect([published('a'), published('b')]).toEqual([[81], [80]]);
  });

  it('are told once', async () => {
    start();
    await service('first', publishing(80));
    await service('second', publishing(80));
    await task('t', 'second');
    await clock.settle();
    const version = store.version;
    await service('third', publishing(90));
    await clock.settle();
    // The service and its endpoint.
    expect(store.version - version).toBe(2n);
  });
});

describe('networks', () => {
  it('that do not exist make services and tasks wait, with the reason', async () => {
    start();
    await service('s', { task: create(TaskSpecSchema, { networks: attached('nowhere') }) });
    await task('t', 's');
    await task('free', '', { spec: create(TaskSpecSchema, { networks: attached('nowhere') }) });
    await clock.settle();
    expect(getTask('t').status).toMatchObject({ state: TaskState.NEW, err: 'network nowhere does not exist' });
    expect(getTask('free').status).toMatchObject({ state: TaskState.NEW, err: 'network nowhere does not exist' });
  });

  it('of the deprecated list of the service count where its tasks name none', async () => {
    start();
    await service('s', { networks: attached('nowhere') });
    await task('t', 's');
    await clock.settle();
    expect(getTask('t').status?.err).toBe('network nowhere does not exist');
  });

  it('without a provider make them wait as well', async () => {
    start();
    await store.update((tx) =>
      tx.create('network', create(NetworkSchema, { id: 'n', spec: { annotations: { name: 'blue' } } })),
    );
    await service('s', { task: create(TaskSpecSchema, { networks: attached('n') }) });
    await task('t', 's');
    await clock.settle();
    expect(getTask('t').status?.err).toBe('this manager cannot provide network blue');
  });

  it('are tried again when one appears, and freed when tasks end', async () => {
    const freed: string[] = [];
    start({
      restore: () => undefined,
      allocateService: (_service, networks) => ({
        kind: 'allocated',
        value: networks.map(({ network }) => ({
          $typeName: 'docker.swarmkit.v1.Endpoint.VirtualIP',
          networkId: network.id,
          addr: '10.0.0.2/24',
        })),
      }),
      releaseService: (id) => freed.push(id) > 0,
      allocateTask: (_task, networks) => ({
        kind: 'allocated',
        value: networks.map(({ network }) => ({
          $typeName: 'docker.swarmkit.v1.NetworkAttachment',
          network,
          addresses: ['10.0.0.3/24'],
          aliases: [],
          driverAttachmentOpts: {},
        })),
      }),
      releaseTask: (id) => freed.push(id) > 0,
    });
    await service('s', { task: create(TaskSpecSchema, { networks: attached('n') }) });
    await task('t', 's', { spec: create(TaskSpecSchema, { networks: attached('n') }) });
    await clock.settle();
    expect(getTask('t').status?.state).toBe(TaskState.NEW);
    await store.update((tx) =>
      tx.create('network', create(NetworkSchema, { id: 'n', spec: { annotations: { name: 'n' } } })),
    );
    await clock.settle();
    expect(getTask('t')).toMatchObject({
      status: { state: TaskState.PENDING },
      networks: [{ addresses: ['10.0.0.3/24'] }],
    });
    expect(getService('s').endpoint?.virtualIps).toMatchObject([{ networkId: 'n', addr: '10.0.0.2/24' }]);
    await store.update((tx) =>
      tx.update('task', { ...getTask('t'), status: create(TaskStatusSchema, { state: TaskState.FAILED }) }),
    );
    await store.update((tx) => tx.remove('service', 's'));
    await clock.settle();
    expect(freed).toEqual(['s', 't']);
  });
});
