import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { NodeRole, NodeSpec_Membership, ServiceSchema, TaskSchema, TaskState } from '../api/index.js';
import { Code, isSwarmError } from '../base/index.js';
import { by, type By } from './by.js';
import { INDEXES } from './indexes.js';
import { MemoryStore } from './memory-store.js';
import { TABLE_NAMES, type TableName } from './tables.js';
import { FakeLog, fakeClock } from './test-log.js';
import { sampleObject } from './test-objects.js';

/** For every finder: one that finds only the sample tagged `a`. */
const FINDERS: { readonly [K in Exclude<By['kind'], 'all' | 'or'>]: By } = {
  idPrefix: by.idPrefix('id-a'),
  name: by.name('NAME-a'),
  namePrefix: by.namePrefix('nAMe-A'),
  custom: by.custom('zone', 'rack-a'),
  customPrefix: by.customPrefix('zone', 'rack-a'),
  role: by.role(NodeRole.MANAGER),
  membership: by.membership(NodeSpec_Membership.ACCEPTED),
  runtime: by.runtime('container'),
  service: by.service('service-a'),
  node: by.node('node-a'),
  slot: by.slot('service-a', 1n),
  desiredState: by.desiredState(TaskState.RUNNING),
  taskState: by.taskState(TaskState.READY),
  referencedNetwork: by.referencedNetwork('network-a'),
  referencedSecret: by.referencedSecret('secret-a'),
  referencedConfig: by.referencedConfig('config-a'),
  volumeAttachment: by.volumeAttachment('volume-a'),
  resourceKind: by.resourceKind('kind-a'),
  group: by.group('group-a'),
  driver: by.driver('driver-a'),
};

/** The finders of each table beside all, or, id prefix, and custom, which every table has. Source: SwarmKit. */
const SUPPORTED: { readonly [T in TableName]: readonly By['kind'][] } = {
  cluster: ['name', 'namePrefix'],
  network: ['name', 'namePrefix'],
  secret: ['name', 'namePrefix'],
  config: ['name', 'namePrefix'],
  extension: ['name', 'namePrefix'],
  resource: ['name', 'namePrefix', 'resourceKind'],
  volume: ['name', 'namePrefix', 'group', 'driver'],
  node: ['name', 'namePrefix', 'role', 'membership'],
  service: ['name', 'namePrefix', 'runtime', 'referencedNetwork', 'referencedSecret', 'referencedConfig'],
  task: [
    'name',
    'namePrefix',
    'runtime',
    'service',
    'node',
    'slot',
    'desiredState',
    'taskState',
    'referencedNetwork',
    'referencedSecret',
    'referencedConfig',
    'volumeAttachment',
  ],
};
const ALWAYS: readonly By['kind'][] = ['idPrefix', 'custom', 'customPrefix'];
const FINDER_KINDS = Object.keys(FINDERS) as (keyof typeof FINDERS)[];

async function filled(table: TableName): Promise<MemoryStore> {
  const store = new MemoryStore({}, { clock: fakeClock() });
  await store.update((tx) => {
    if (table === 'resource') {
      tx.create('extension', { ...sampleObject.extension('e1', 'a'), annotations: annotations('kind-a') });
      tx.create('extension', { ...sampleObject.extension('e2', 'b'), annotations: annotations('kind-b') });
    }
    tx.create(table, sampleObject[table]('id-b', 'b'));
    tx.create(table, sampleObject[table]('id-a', 'a'));
  });
  return store;
}

function annotations(name: string) {
  return { ...sampleObject.extension('e', 'x').annotations!, name, indices: [] };
}

const ids = (objects: readonly { readonly id: string }[]) => objects.map((object) => object.id);

describe.each(TABLE_NAMES)('finders of table %s', (table) => {
  it.each(FINDER_KINDS.filter((kind) => [...ALWAYS, ...SUPPORTED[table]].includes(kind)))(
    'finds by %s',
    async (kind) => {
      const store = await filled(table);
      expect(ids(store.view((tx) => tx.find(table, FINDERS[kind])))).toEqual(['id-a']);
    },
  );

  it.each(FINDER_KINDS.filter((kind) => ![...ALWAYS, ...SUPPORTED[table]].includes(kind)))(
    'refuses %s, also within or',
    async (kind) => {
      const store = await filled(table);
      const refused = (error: unknown) => isSwarmError(error, Code.INVALID_ARGUMENT);
      expect(() => store.view((tx) => tx.find(table, FINDERS[kind]))).toThrow(expect.toSatisfy(refused));
      expect(() => store.view((tx) => tx.find(table, by.or(by.all(), FINDERS[kind])))).toThrow(
        expect.toSatisfy(refused),
      );
    },
  );

  it('has an index for exactly its finders', () => {
    const expected = [...SUPPORTED[table], 'custom'].filter((kind) => !kind.endsWith('Prefix'));
    expect(Object.keys(INDEXES[table]).sort()).toEqual(expected.sort());
  });

  it('gives each object once, in the order of ids', async () => {
    const store = await filled(table);
    expect(ids(store.view((tx) => tx.find(table, by.all())))).toEqual(['id-a', 'id-b']);
    const either = by.or(by.idPrefix('id-b'), by.custom('zone', 'rack-a'), by.idPrefix('id'));
    expect(ids(store.view((tx) => tx.find(table, either)))).toEqual(['id-a', 'id-b']);
    expect(store.view((tx) => tx.find(table, by.or()))).toEqual([]);
  });

  it('follows updates and removals', async () => {
    const store = await filled(table);
    if (table !== 'extension') {
      await store.update((tx) => {
        tx.remove(table, 'id-b');
        if (table !== 'resource') tx.update(table, sampleObject[table]('id-a', 'b'));
        else tx.update(table, { ...sampleObject.resource('id-a', 'b'), kind: 'kind-b' });
      });
      for (const kind of SUPPORTED[table])
        expect(store.view((tx) => tx.find(table, FINDERS[kind as 'name']))).toEqual([]);
    }
    await store.update((tx) => tx.remove(table, 'id-a'));
    expect(store.view((tx) => tx.find(table, by.namePrefix('name-a')))).toEqual([]);
  });

  it('finds the same among what waits for the log', async () => {
    const log = new FakeLog();
    const store = await filled(table);
    store.setProposer(log);
    const done = store.update((tx) => tx.remove(table, 'id-b'));
    const check = store.update((tx) => {
      expect(ids(tx.find(table, by.all()))).toEqual(['id-a']);
      expect(ids(tx.find(table, by.namePrefix('name')))).toEqual(['id-a']);
      expect(tx.count(table)).toBe(1);
    });
    log.commit();
    await Promise.all([done, check]);
  });
});

describe('what finders look at', () => {
  it('finds a task without a name by service, slot or node, and id', async () => {
    const store = new MemoryStore({}, { clock: fakeClock() });
    await store.update((tx) => {
      tx.create('task', create(TaskSchema, { id: 't1', slot: 3n, serviceAnnotations: { name: 'Web' } }));
      tx.create('task', create(TaskSchema, { id: 't2', nodeId: 'n1', serviceAnnotations: { name: 'Web' } }));
    });
    expect(ids(store.view((tx) => tx.find('task', by.name('web.3.t1'))))).toEqual(['t1']);
    expect(ids(store.view((tx) => tx.find('task', by.namePrefix('web.n1'))))).toEqual(['t2']);
  });

  it('uses the deprecated networks of a service only where its task names none', async () => {
    const store = new MemoryStore({}, { clock: fakeClock() });
    await store.update((tx) => {
      const both = { networks: [{ target: 'old' }], task: { networks: [{ target: 'new' }] } };
      tx.create('service', create(ServiceSchema, { id: 's1', spec: { annotations: { name: 'a' }, ...both } }));
      const oldOnly = { networks: [{ target: 'old' }], task: {} };
      tx.create('service', create(ServiceSchema, { id: 's2', spec: { annotations: { name: 'b' }, ...oldOnly } }));
    });
    expect(ids(store.view((tx) => tx.find('service', by.referencedNetwork('old'))))).toEqual(['s2']);
    expect(ids(store.view((tx) => tx.find('service', by.referencedNetwork('new'))))).toEqual(['s1']);
  });

  it('spells generic runtimes in lower case and does not find tasks without a runtime', async () => {
    const store = new MemoryStore({}, { clock: fakeClock() });
    await store.update((tx) => {
      tx.create('task', sampleObject.task('t1', 'b'));
      tx.create('task', create(TaskSchema, { id: 't2' }));
    });
    expect(ids(store.view((tx) => tx.find('task', by.runtime('plugin'))))).toEqual(['t1']);
    expect(store.view((tx) => tx.find('task', by.runtime('')))).toEqual([]);
  });
});
