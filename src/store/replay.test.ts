import { ScalarType, create, fromBinary, mergeFromBinary, toBinary, type DescField } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from 'vitest';

import {
  InternalRaftRequestSchema,
  StoreActionKind,
  StoreActionSchema,
  StoreSnapshotSchema,
  TaskSchema,
  type StoreSnapshot,
  type Task,
} from '../api/index.js';
import { by } from './by.js';
import { encodeChange, encodeObject } from './encode.js';
import { deepFreeze } from './freeze.js';
import { MemoryStore } from './memory-store.js';
import type { StoreEvent } from './store.js';
import { TABLE_NAMES } from './tables.js';
import { FakeLog, fakeClock } from './test-log.js';
import { sampleObject } from './test-objects.js';

const newStore = (): MemoryStore => new MemoryStore({}, { clock: fakeClock() });
const label = (event: StoreEvent): string =>
  event.kind === 'commit' ? `commit ${event.version}` : `${event.kind} ${event.table} ${event.object.id}`;
const unknownField = { no: 999, wireType: WireType.LengthDelimited, data: new Uint8Array([2, 7, 8]) };

async function full(): Promise<MemoryStore> {
  const store = newStore();
  await store.update((tx) => {
    const extension = sampleObject.extension('e1', 'a');
    tx.create('extension', { ...extension, annotations: { ...extension.annotations!, name: 'kind-a' } });
    for (const table of TABLE_NAMES)
      if (table !== 'extension') tx.create(table, sampleObject[table](`${table}-1`, 'a'));
  });
  return store;
}

const reread = (snapshot: StoreSnapshot): StoreSnapshot =>
  fromBinary(StoreSnapshotSchema, toBinary(StoreSnapshotSchema, snapshot));

describe('snapshots', () => {
  it('hold every table and restore to the same state', async () => {
    const store = await full();
    const copy = newStore();
    const watch = copy.watch();
    copy.restore(reread(store.save()), 42n);
    expect(copy.save()).toEqual(store.save());
    expect(copy.version).toBe(42n);
    const events = watch.take().map(label);
    expect(events.length).toBe(TABLE_NAMES.length + 1);
    expect(events.at(-1)).toBe('commit 42');
    expect(copy.view((tx) => tx.find('task', by.referencedSecret('secret-a')).length)).toBe(1);
  });

  it('replace everything and tell only the difference', async () => {
    const store = newStore();
    await store.update((tx) => {
      for (const id of ['n1', 'n2', 'n3']) tx.create('node', sampleObject.node(id, 'a'));
    });
    const snapshot = store.save();
    await store.update((tx) => {
      tx.update('node', sampleObject.node('n2', 'b'));
      tx.remove('node', 'n3');
      tx.create('node', sampleObject.node('n4', 'b'));
    });
    const kept = store.view((tx) => tx.get('node', 'n1'));
    const watch = store.watch();
    store.restore(reread(snapshot), 50n);
    expect(watch.take().map(label)).toEqual(['update node n2', 'create node n3', 'remove node n4', 'commit 50']);
    expect(store.view((tx) => tx.get('node', 'n1'))).toBe(kept);
    expect(store.save()).toEqual(snapshot);
  });

  it('are not disturbed by later writes', async () => {
    const store = await full();
    const snapshot = store.save();
    await store.update((tx) => tx.remove('task', 'task-1'));
    expect(snapshot.tasks.map((task) => task.id)).toEqual(['task-1']);
  });
});

describe('entries of the log', () => {
  it('keep the meta with which they come and are atomic', () => {
    const store = newStore();
    const task = create(TaskSchema, { id: 't1', meta: { version: { index: 5n } } });
    const created = create(StoreActionSchema, {
      action: StoreActionKind.STORE_ACTION_CREATE,
      target: { case: 'task', value: task },
    });
    store.applyActions([created], 6n);
    expect(store.view((tx) => tx.get('task', 't1')?.meta?.version?.index)).toBe(5n);
    const other = create(StoreActionSchema, {
      action: StoreActionKind.STORE_ACTION_CREATE,
      target: { case: 'task', value: { ...task, id: 't2' } },
    });
    const watch = store.watch();
    expect(() => store.applyActions([other, created], 7n)).toThrow('object already exists');
    expect(() => store.applyActions([other, create(StoreActionSchema)], 7n)).toThrow('unrecognized action type');
    const unknownKind = mergeFromBinary(StoreActionSchema, { ...other }, new Uint8Array([8, 9]));
    expect(() => store.applyActions([unknownKind], 7n)).toThrow('unknown store action 9');
    expect(store.view((tx) => tx.count('task'))).toBe(1);
    expect(watch.take()).toEqual([]);
  });

  it('carry every kind of change of every table to a follower, unknown fields too', async () => {
    const log = new FakeLog();
    const leader = new MemoryStore({}, { clock: fakeClock(), proposer: log });
    const follower = newStore();
    const extension = sampleObject.extension('e1', 'a');
    const kind = { ...extension, annotations: { ...extension.annotations!, name: 'kind-a' } };
    const others = TABLE_NAMES.filter((table) => table !== 'extension');
    const changes = [
      leader.update((tx) => {
        tx.create('extension', kind);
        for (const table of others) {
          tx.create(table, { ...sampleObject[table](`${table}-1`, 'a'), $unknown: [unknownField] });
        }
      }),
      leader.update((tx) => {
        for (const table of others) tx.update(table, { ...tx.get(table, `${table}-1`)! });
      }),
      leader.update((tx) => {
        for (const table of others) tx.remove(table, `${table}-1`);
        tx.remove('extension', 'e1');
      }),
    ];
    const events = follower.watch({ commits: false });
    while (log.waiting.length > 0) {
      const { request, index } = log.commit();
      follower.applyActions(request.action, index);
      expect(follower.save()).toEqual(leader.save());
      for (const task of follower.save().tasks) expect(task.$unknown).toEqual([unknownField]);
    }
    await Promise.all(changes);
    const kinds = events.take().map((event) => event.kind);
    expect(kinds.filter((each) => each === 'update').length).toBe(others.length);
    expect(follower.view((tx) => TABLE_NAMES.map((table) => tx.count(table)))).toEqual(TABLE_NAMES.map(() => 0));
  });
});

describe('what objects share', () => {
  function withTasks(): { readonly store: MemoryStore; readonly log: FakeLog; readonly done: Promise<void> } {
    const log = new FakeLog();
    const store = new MemoryStore({}, { clock: fakeClock(), proposer: log });
    const done = store.update((tx) => {
      const service = { ...sampleObject.service('s1', 'a'), specVersion: sampleObject.node('n', 'a').meta?.version };
      tx.create('service', service);
      const spec = tx.get('service', 's1')?.spec?.task;
      const network = sampleObject.network('net1', 'a');
      for (let i = 0; i < 5; i += 1) {
        const task = create(TaskSchema, {
          id: `t${i}`,
          serviceId: 's1',
          networks: [{ network, addresses: [`10.0.0.${i}/24`] }],
        });
        tx.create('task', { ...task, spec });
      }
    });
    return { store, log, done };
  }

  it('tasks of one service version share one spec on the leader and on a follower', async () => {
    const { store, log, done } = withTasks();
    const follower = newStore();
    const { request, index } = log.commit();
    await done;
    follower.applyActions(request.action, index);
    const restored = newStore();
    restored.restore(reread(store.save()), 1n);
    for (const each of [store, follower, restored]) {
      const specs = new Set(each.save().tasks.map((task) => task.spec));
      expect([...specs]).toEqual([each.view((tx) => tx.get('service', 's1'))?.spec?.task]);
      expect(specs.has(each.view((tx) => tx.get('service', 's1'))?.spec?.task)).toBe(true);
      expect(new Set(each.save().tasks.map((task) => task.networks[0]?.network)).size).toBe(1);
      expect(each.save().tasks[3]?.networks[0]?.addresses).toEqual(['10.0.0.3/24']);
    }
  });

  it('an update on a follower shares what it did not change', async () => {
    const { store, log, done } = withTasks();
    const follower = newStore();
    const first = log.commit();
    await done;
    follower.applyActions(first.request.action, first.index);
    const before = follower.view((tx) => tx.get('task', 't1')) as Task;
    const update = store.update((tx) => tx.update('task', { ...tx.get('task', 't1')!, nodeId: 'n7' }));
    const second = log.commit();
    await update;
    follower.applyActions(second.request.action, second.index);
    const after = follower.view((tx) => tx.get('task', 't1')) as Task;
    expect(after.nodeId).toBe('n7');
    expect(after.networks).toBe(before.networks);
    expect(after.spec).toBe(before.spec);
  });

  it('encodes to the same message as the whole object does', async () => {
    const store = await full();
    const task = { ...store.save().tasks[0]!, $unknown: [unknownField] };
    expect(fromBinary(TaskSchema, encodeObject('task', task))).toEqual(
      fromBinary(TaskSchema, toBinary(TaskSchema, task)),
    );
    const bytes = encodeChange({ table: 'task', id: task.id, old: undefined, new: task });
    const request = fromBinary(InternalRaftRequestSchema, bytes);
    expect(request.action[0]?.target).toEqual({
      case: 'task',
      value: fromBinary(TaskSchema, toBinary(TaskSchema, task)),
    });
  });

  it('encodes tasks that share parts, and tasks that do not, each to its own message', async () => {
    const [model] = (await full()).save().tasks as [Task];
    const other = deepFreeze(structuredClone({ ...model, slot: 9n, meta: { ...model.meta!, version: undefined } }));
    const withoutParts = { ...model, status: undefined, endpoint: undefined };
    for (const task of [model, { ...model, id: 't2' }, other as Task, withoutParts as Task, model]) {
      expect(fromBinary(TaskSchema, encodeObject('task', task))).toEqual(
        fromBinary(TaskSchema, toBinary(TaskSchema, task)),
      );
    }
  });

  it.each(TaskSchema.fields.map((field) => [field.localName, field] as const))(
    'loses nothing of a task in which only %s is set',
    (_name, field) => {
      const task = { ...create(TaskSchema), [field.localName]: anyValueOf(field) } as Task;
      const encoded = encodeObject('task', task);
      expect(encoded.length).toBeGreaterThan(0);
      expect(fromBinary(TaskSchema, encoded)).toEqual(fromBinary(TaskSchema, toBinary(TaskSchema, task)));
    },
  );

  it('encodes objects of every table, and goes on after one that cannot be encoded', () => {
    for (const table of TABLE_NAMES) {
      const object = sampleObject[table]('x', 'a');
      const schema = StoreActionSchema.field[table].message!;
      const unencodable = { ...sampleObject.task('t', 'a'), slot: -1n };
      expect(() => encodeObject('task', unencodable)).toThrow('invalid uint64');
      expect(fromBinary(schema, encodeObject(table, object))).toEqual(fromBinary(schema, toBinary(schema, object)));
    }
  });

  it('never remembers the bytes of something that can still change', () => {
    const task = sampleObject.task('t1', 'a');
    const first = encodeObject('task', task);
    task.spec!.forceUpdate = 7n;
    expect(encodeObject('task', task)).not.toEqual(first);
  });
});

/** Something that is not the field's default. */
function anyValueOf(field: DescField): unknown {
  switch (field.fieldKind) {
    case 'scalar':
      return field.scalar === ScalarType.STRING ? 'text' : 7n;
    case 'enum':
      return field.enum.values.at(-1)?.number;
    case 'message':
      return create(field.message);
    default:
      return field.message === undefined ? [] : [create(field.message)];
  }
}
