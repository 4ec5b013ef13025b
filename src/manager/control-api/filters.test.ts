import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import {
  ConfigSchema,
  ExtensionSchema,
  NodeRole,
  NodeSchema,
  NodeSpec_Membership,
  ResourceSchema,
  SecretSchema,
  ServiceSchema,
  TaskState,
  VolumeSchema,
  type AnnotationsSchema,
  type TaskSpecSchema,
} from '../../api/index.js';
import { CALL, cluster, fixture, network, node, serviceSpec, task, type Fixture, type Init } from './test-fixture.js';

interface Filters {
  readonly names?: string[];
  readonly namePrefixes?: string[];
  readonly idPrefixes?: string[];
  readonly labels?: Record<string, string>;
}

/** How a list with the common filters is filled and read. */
interface Listed {
  readonly noun: string;
  readonly put: (f: Fixture, id: string, annotations: Init<typeof AnnotationsSchema>) => Promise<unknown>;
  readonly list: (f: Fixture, filters: Filters) => Promise<readonly { readonly id: string }[]>;
  /** Names and ids are alternatives to each other. */
  readonly union: boolean;
}

const LISTS: readonly Listed[] = [
  {
    noun: 'services',
    put: (f, id, annotations) => f.put('service', create(ServiceSchema, { id, spec: serviceSpec({ annotations }) })),
    list: async (f, filters) => (await f.control.listServices({ filters }, CALL)).services,
    union: false,
  },
  {
    noun: 'networks',
    put: (f, id, annotations) => f.put('network', network(id, { annotations })),
    list: async (f, filters) => (await f.control.listNetworks({ filters }, CALL)).networks,
    union: false,
  },
  {
    noun: 'clusters',
    put: (f, id, annotations) => f.put('cluster', cluster({ id, spec: { annotations } })),
    list: async (f, filters) => (await f.control.listClusters({ filters }, CALL)).clusters,
    union: false,
  },
  {
    noun: 'volumes',
    put: (f, id, annotations) => f.put('volume', create(VolumeSchema, { id, spec: { annotations } })),
    list: async (f, filters) => (await f.control.listVolumes({ filters }, CALL)).volumes,
    union: false,
  },
  {
    noun: 'secrets',
    put: (f, id, annotations) => f.put('secret', create(SecretSchema, { id, spec: { annotations } })),
    list: async (f, filters) => (await f.control.listSecrets({ filters }, CALL)).secrets,
    union: true,
  },
  {
    noun: 'configs',
    put: (f, id, annotations) => f.put('config', create(ConfigSchema, { id, spec: { annotations } })),
    list: async (f, filters) => (await f.control.listConfigs({ filters }, CALL)).configs,
    union: true,
  },
  {
    noun: 'resources',
    put: async (f, id, annotations) => {
      if (f.get('extension', 'kind') === undefined) {
        await f.put('extension', create(ExtensionSchema, { id: 'kind', annotations: { name: 'kind' } }));
      }
      return f.put('resource', create(ResourceSchema, { id, annotations, kind: 'kind' }));
    },
    list: async (f, filters) => (await f.control.listResources({ filters }, CALL)).resources,
    union: true,
  },
];

const ids = (objects: readonly { readonly id: string }[]): string[] => objects.map(({ id }) => id);

describe.each(LISTS)('the list of $noun', ({ put, list, union }) => {
  async function filled(): Promise<Fixture> {
    const f = fixture();
    await put(f, 'a1', { name: 'web', labels: { tier: 'front', team: 'x' } });
    await put(f, 'a2', { name: 'web-2', labels: { tier: 'back' } });
    await put(f, 'b1', { name: 'db', labels: { team: '' } });
    return f;
  }

  it.each<readonly [string, Filters, readonly string[]]>([
    ['no filter', {}, ['a1', 'a2', 'b1']],
    ['one name', { names: ['web'] }, ['a1']],
    ['several names', { names: ['web', 'db', 'nope'] }, ['a1', 'b1']],
    ['a name prefix', { namePrefixes: ['we'] }, ['a1', 'a2']],
    ['several name prefixes', { namePrefixes: ['web-', 'd'] }, ['a2', 'b1']],
    ['an id prefix', { idPrefixes: ['a'] }, ['a1', 'a2']],
    ['several id prefixes', { idPrefixes: ['a2', 'b'] }, ['a2', 'b1']],
    ['a label', { labels: { tier: 'front' } }, ['a1']],
    ['the presence of a label', { labels: { team: '' } }, ['a1', 'b1']],
    ['all of several labels', { labels: { tier: '', team: 'x' } }, ['a1']],
    ['a label that only every object has', { labels: { constructor: '' } }, []],
    ['a name and a label', { names: ['web', 'db'], labels: { team: 'x' } }, ['a1']],
    ['nothing that exists', { names: ['nope'] }, []],
  ])('selects by %s', async (_, filters, expected) => {
    const f = await filled();
    expect(ids(await list(f, filters))).toEqual(expected);
  });

  it(union ? 'takes names and ids as alternatives' : 'wants names and ids to match both', async () => {
    const f = await filled();
    const filters = { names: ['web'], namePrefixes: ['d'], idPrefixes: ['a2'] };
    expect(ids(await list(f, filters))).toEqual(union ? ['a1', 'a2', 'b1'] : []);
    const both = { namePrefixes: ['web'], idPrefixes: ['a2', 'b'] };
    expect(ids(await list(f, both))).toEqual(union ? ['a1', 'a2', 'b1'] : ['a2']);
  });

  it('answers without any filters message', async () => {
    const f = await filled();
    const [first] = await list(f, undefined as never);
    expect(first?.id).toBe('a1');
  });
});

describe('the list of services', () => {
  it('selects by runtime', async () => {
    const f = fixture();
    const put = (id: string, runtime: Init<typeof TaskSpecSchema>['runtime']) =>
      f.put('service', create(ServiceSchema, { id, spec: { annotations: { name: id }, task: { runtime: runtime! } } }));
    await put('container', { case: 'container', value: {} });
    await put('plugin', { case: 'generic', value: { kind: 'Plugin' } });
    const list = async (runtimes: string[], names: string[] = []) =>
      ids((await f.control.listServices({ filters: { runtimes, names } }, CALL)).services);
    expect(await list(['container'])).toEqual(['container']);
    expect(await list(['plugin'])).toEqual(['plugin']);
    expect(await list(['plugin', 'container'])).toEqual(['container', 'plugin']);
    expect(await list(['container'], ['plugin'])).toEqual([]);
    expect(await list(['Plugin'])).toEqual([]);
  });
});

describe('the list of volumes', () => {
  it('selects by group and driver', async () => {
    const f = fixture();
    const put = (id: string, group: string, driver: string) =>
      f.put(
        'volume',
        create(VolumeSchema, { id, spec: { annotations: { name: id }, group, driver: { name: driver } } }),
      );
    await put('v1', 'g1', 'd1');
    await put('v2', 'g1', 'd2');
    await put('v3', 'g2', 'd2');
    const list = async (filters: { groups?: string[]; drivers?: string[]; names?: string[] }) =>
      ids((await f.control.listVolumes({ filters }, CALL)).volumes);
    expect(await list({ groups: ['g1'] })).toEqual(['v1', 'v2']);
    expect(await list({ drivers: ['d2'] })).toEqual(['v2', 'v3']);
    expect(await list({ groups: ['g1'], drivers: ['d2'] })).toEqual(['v2']);
    expect(await list({ groups: ['g1', 'g2'], names: ['v3'] })).toEqual(['v3']);
  });
});

describe('the list of resources', () => {
  it('selects by kind, together with names', async () => {
    const f = fixture();
    for (const kind of ['k1', 'k2']) {
      await f.put('extension', create(ExtensionSchema, { id: kind, annotations: { name: kind } }));
    }
    const put = (id: string, kind: string) =>
      f.put('resource', create(ResourceSchema, { id, annotations: { name: `name-${id}` }, kind }));
    await put('r1', 'k1');
    await put('r2', 'k2');
    await put('r3', 'k2');
    const list = async (filters: { kind?: string; namePrefixes?: string[]; idPrefixes?: string[] }) =>
      ids((await f.control.listResources({ filters }, CALL)).resources);
    expect(await list({ kind: 'k2' })).toEqual(['r2', 'r3']);
    expect(await list({ kind: 'k2', namePrefixes: ['name-r1', 'name-r2'] })).toEqual(['r2']);
    expect(await list({ kind: 'nope' })).toEqual([]);
  });
});

describe('the list of secrets', () => {
  it('never shows internal ones', async () => {
    const f = fixture();
    await f.put('secret', create(SecretSchema, { id: 's1', spec: { annotations: { name: 'x' } }, internal: true }));
    for (const filters of [{}, { names: ['x'] }, { idPrefixes: ['s'] }]) {
      expect((await f.control.listSecrets({ filters }, CALL)).secrets).toEqual([]);
    }
  });
});

describe('the list of nodes', () => {
  async function filled(): Promise<Fixture> {
    const f = fixture();
    const labels = (tier: string) => ({ annotations: { name: 'ignored', labels: { tier } } });
    await f.put(
      'node',
      node('a1', {
        description: { hostname: 'alpha', engine: { labels: { disk: 'ssd' } } },
        spec: { ...labels('front'), membership: NodeSpec_Membership.ACCEPTED },
        role: NodeRole.MANAGER,
      }),
    );
    await f.put('node', node('a2', { description: { hostname: 'alpine', engine: {} }, spec: labels('back') }));
    await f.put('node', create(NodeSchema, { id: 'b1' }));
    return f;
  }

  it.each<readonly [string, object, readonly string[]]>([
    ['no filter', {}, ['a1', 'a2', 'b1']],
    ['hostname', { names: ['alpha'] }, ['a1']],
    ['annotation name, which is not looked at', { names: ['ignored'] }, []],
    ['hostname prefix', { namePrefixes: ['alp'] }, ['a1', 'a2']],
    ['id prefix', { idPrefixes: ['a2', 'b'] }, ['a2', 'b1']],
    ['engine label', { labels: { disk: 'ssd' } }, ['a1']],
    ['spec label', { nodeLabels: { tier: 'back' } }, ['a2']],
    ['presence of a spec label', { nodeLabels: { tier: '' } }, ['a1', 'a2']],
    ['role', { roles: [NodeRole.MANAGER] }, ['a1']],
    ['several roles', { roles: [NodeRole.MANAGER, NodeRole.WORKER] }, ['a1', 'a2', 'b1']],
    ['membership', { memberships: [NodeSpec_Membership.PENDING] }, ['a2', 'b1']],
    ['membership and role', { memberships: [NodeSpec_Membership.PENDING], roles: [NodeRole.MANAGER] }, []],
    ['hostname prefix and label', { namePrefixes: ['al'], nodeLabels: { tier: 'back' } }, ['a2']],
  ])('selects by %s', async (_, filters, expected) => {
    const f = await filled();
    expect(ids((await f.control.listNodes({ filters }, CALL)).nodes)).toEqual(expected);
  });
});

describe('the list of tasks', () => {
  const container = { runtime: { case: 'container', value: {} } } as const;

  async function filled(): Promise<Fixture> {
    const f = fixture();
    const web = { name: 'web', labels: { tier: 'front' } };
    await f.put(
      'task',
      task('a1', {
        serviceId: 's1',
        slot: 1n,
        nodeId: 'n1',
        spec: container,
        serviceAnnotations: web,
        desiredState: TaskState.RUNNING,
      }),
    );
    await f.put(
      'task',
      task('a2', {
        serviceId: 's1',
        slot: 2n,
        nodeId: 'n2',
        spec: container,
        serviceAnnotations: web,
        desiredState: TaskState.SHUTDOWN,
      }),
    );
    await f.put(
      'task',
      task('b1', {
        serviceId: 's2',
        nodeId: 'n1',
        spec: { runtime: { case: 'generic', value: { kind: 'Plugin' } } },
        serviceAnnotations: { name: 'agent' },
        desiredState: TaskState.RUNNING,
      }),
    );
    await f.put('task', task('b2', { annotations: { name: 'custom' }, nodeId: 'n3' }));
    return f;
  }

  it.each<readonly [string, object, readonly string[]]>([
    ['no filter', {}, ['a1', 'a2', 'b1', 'b2']],
    ['full name', { names: ['web.1.a1', 'agent.n1.b1', 'custom'] }, ['a1', 'b1', 'b2']],
    ['name prefix', { namePrefixes: ['web.'] }, ['a1', 'a2']],
    ['id prefix', { idPrefixes: ['a'] }, ['a1', 'a2']],
    ['label of its service', { labels: { tier: 'front' } }, ['a1', 'a2']],
    ['service', { serviceIds: ['s2', 's1'] }, ['a1', 'a2', 'b1']],
    ['node', { nodeIds: ['n1'] }, ['a1', 'b1']],
    ['desired state', { desiredStates: [TaskState.SHUTDOWN, TaskState.NEW] }, ['a2', 'b2']],
    ['runtime', { runtimes: ['plugin'] }, ['b1']],
    ['an empty runtime, which no task has', { runtimes: [''] }, []],
    ['service and node', { serviceIds: ['s1'], nodeIds: ['n1'] }, ['a1']],
    [
      'node and desired state and runtime',
      { nodeIds: ['n1'], desiredStates: [TaskState.RUNNING], runtimes: ['container'] },
      ['a1'],
    ],
    ['name and service that do not go together', { names: ['web.1.a1'], serviceIds: ['s2'] }, []],
  ])('selects by %s', async (_, filters, expected) => {
    const f = await filled();
    expect(ids((await f.control.listTasks({ filters }, CALL)).tasks)).toEqual(expected);
  });

  it.each<readonly [string, object, string]>([
    ['service', { serviceIds: ['s1'], runtimes: ['container'] }, 'service'],
    ['node', { nodeIds: ['n1'], runtimes: ['container'], desiredStates: [TaskState.RUNNING] }, 'node'],
    ['desired state', { desiredStates: [TaskState.RUNNING], runtimes: ['container'] }, 'desiredState'],
    ['runtime', { runtimes: ['container'] }, 'runtime'],
    ['id', { idPrefixes: ['a'], serviceIds: ['s1'] }, 'idPrefix'],
    ['name', { names: ['web.1.a1'], serviceIds: ['s1'] }, 'name'],
  ])('uses the index by %s', async (_, filters, kind) => {
    const f = await filled();
    await f.control.listTasks({ filters }, CALL);
    expect(f.lookups).toEqual([{ table: 'task', by: expect.objectContaining({ kind }) as unknown }]);
  });

  it('hands out the stored objects themselves', async () => {
    const f = await filled();
    const { tasks } = await f.control.listTasks({ filters: { serviceIds: ['s1'] } }, CALL);
    expect(tasks).toHaveLength(2);
    for (const listed of tasks) expect(listed).toBe(f.get('task', listed.id));
  });

  it('leaves the event loop free between slices, and finds the same', async () => {
    const f = fixture({}, { sliceMs: 0 });
    await f.store.batch((batch) => {
      for (let at = 0; at < 1000; at++) {
        batch.update((tx) =>
          tx.create('task', task(`t${at}`, { serviceId: at % 2 === 0 ? 'even' : 'odd', nodeId: 'n' })),
        );
      }
    });
    const { tasks } = await f.control.listTasks({ filters: { nodeIds: ['n'], serviceIds: ['even'] } }, CALL);
    expect(tasks).toHaveLength(500);
    expect(f.yields()).toBe(7);
  });

  it('tells which tasks are up to date', async () => {
    const f = fixture();
    const present = serviceSpec();
    await f.put('service', create(ServiceSchema, { id: 's1', spec: present, specVersion: { index: 5n } }));
    const other = serviceSpec({ task: { runtime: { case: 'container', value: { image: 'nginx:2' } } } });
    await f.put('task', task('same-version', { serviceId: 's1', spec: other.task!, specVersion: { index: 5n } }));
    await f.put('task', task('same-spec', { serviceId: 's1', spec: present.task!, specVersion: { index: 4n } }));
    await f.put('task', task('stale', { serviceId: 's1', spec: other.task!, specVersion: { index: 4n } }));
    await f.put('task', task('orphan', { serviceId: 'gone', spec: present.task! }));
    const { tasks } = await f.control.listTasks({ filters: { upToDate: true } }, CALL);
    expect(ids(tasks)).toEqual(['same-spec', 'same-version']);
  });
});
