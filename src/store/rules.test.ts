import { describe, expect, it } from 'vitest';

import { Code, isSwarmError } from '../base/index.js';
import { MemoryStore } from './memory-store.js';
import type { WriteTransaction } from './store.js';
import { TABLE_NAMES, type TableName } from './tables.js';
import { FakeLog, fakeClock } from './test-log.js';
import { sampleObject } from './test-objects.js';

const UNIQUE: readonly TableName[] = ['service', 'network', 'secret', 'config', 'cluster', 'extension', 'volume'];

function newStore(): MemoryStore {
  return new MemoryStore({}, { clock: fakeClock() });
}

async function expectRefusal(
  store: MemoryStore,
  change: (tx: WriteTransaction) => void,
  code: Code,
  message: string,
): Promise<void> {
  const before = store.save();
  const refused = (error: unknown): boolean => isSwarmError(error, code) && error.message === message;
  await expect(store.update(change)).rejects.toSatisfy(refused);
  expect(store.save()).toEqual(before);
}

describe('names', () => {
  it.each(UNIQUE)('of table %s are unique whatever their case', async (table) => {
    const store = newStore();
    await store.update((tx) => tx.create(table, sampleObject[table]('id1', 'a')));
    const conflict = 'name conflicts with an existing object';
    await expectRefusal(
      store,
      (tx) => tx.create(table, sampleObject[table]('id2', 'A')),
      Code.ALREADY_EXISTS,
      conflict,
    );
    if (table === 'extension') return;
    await store.update((tx) => tx.update(table, sampleObject[table]('id1', 'A')));
    await store.update((tx) => tx.create(table, sampleObject[table]('id2', 'b')));
    await expectRefusal(
      store,
      (tx) => tx.update(table, sampleObject[table]('id2', 'a')),
      Code.ALREADY_EXISTS,
      conflict,
    );
  });

  it.each(['node', 'task'] as const)('of table %s may repeat', async (table) => {
    const store = newStore();
    await store.update((tx) => {
      tx.create(table, sampleObject[table]('id1', 'a'));
      tx.create(table, sampleObject[table]('id2', 'a'));
    });
    expect(store.view((tx) => tx.count(table))).toBe(2);
  });

  it('are free again once the holder is gone, within the transaction', async () => {
    const store = newStore();
    await store.update((tx) => {
      tx.create('service', sampleObject.service('id1', 'a'));
      tx.remove('service', 'id1');
      tx.create('service', sampleObject.service('id2', 'a'));
    });
    expect(store.view((tx) => tx.count('service'))).toBe(1);
  });
});

describe('ids', () => {
  it.each(TABLE_NAMES)('of table %s: taken, missing and empty ones are refused', async (table) => {
    const store = newStore();
    if (table === 'resource') await withKind(store);
    await store.update((tx) => tx.create(table, sampleObject[table]('id1', 'a')));
    await expectRefusal(
      store,
      (tx) => tx.create(table, sampleObject[table]('id1', 'b')),
      Code.ALREADY_EXISTS,
      'object already exists',
    );
    await expectRefusal(
      store,
      (tx) => tx.create(table, sampleObject[table]('', 'b')),
      Code.INVALID_ARGUMENT,
      'object has no id',
    );
    await expectRefusal(store, (tx) => tx.remove(table, 'gone'), Code.NOT_FOUND, 'object does not exist');
    if (table === 'extension') return;
    await expectRefusal(
      store,
      (tx) => tx.update(table, sampleObject[table]('gone', 'b')),
      Code.NOT_FOUND,
      'object does not exist',
    );
  });
});

async function withKind(store: MemoryStore): Promise<void> {
  for (const tag of ['a', 'b']) {
    const extension = sampleObject.extension(`e-${tag}`, tag);
    await store.update((tx) => {
      tx.create('extension', { ...extension, annotations: { ...extension.annotations!, name: `Kind-${tag}` } });
    });
  }
}

describe('extensions and resources', () => {
  it('a resource needs the extension of its kind', async () => {
    const store = newStore();
    const text = 'object kind is unregistered';
    await expectRefusal(
      store,
      (tx) => tx.create('resource', sampleObject.resource('r1', 'a')),
      Code.INVALID_ARGUMENT,
      text,
    );
    await withKind(store);
    await store.update((tx) => tx.create('resource', sampleObject.resource('r1', 'a')));
    await expectRefusal(
      store,
      (tx) => tx.update('resource', sampleObject.resource('r1', 'c')),
      Code.INVALID_ARGUMENT,
      text,
    );
  });

  it('resource names are unique across kinds', async () => {
    const store = newStore();
    await withKind(store);
    await store.update((tx) => tx.create('resource', sampleObject.resource('r1', 'a')));
    await expectRefusal(
      store,
      (tx) => tx.create('resource', { ...sampleObject.resource('r2', 'a'), kind: 'kind-b' }),
      Code.ALREADY_EXISTS,
      'name conflicts with an existing object',
    );
  });

  it('an extension in use cannot go, an unused one can', async () => {
    const store = newStore();
    await withKind(store);
    await store.update((tx) => tx.create('resource', sampleObject.resource('r1', 'a')));
    const text = 'cannot delete extension because objects of this type exist in the data store';
    await expectRefusal(store, (tx) => tx.remove('extension', 'e-a'), Code.INVALID_ARGUMENT, text);
    await store.update((tx) => {
      tx.remove('extension', 'e-b');
      tx.remove('resource', 'r1');
      tx.remove('extension', 'e-a');
    });
    expect(store.view((tx) => tx.count('extension'))).toBe(0);
  });

  it('extensions cannot change, nor take the name of a table', async () => {
    const store = newStore();
    await withKind(store);
    const changed = { ...sampleObject.extension('e-a', 'a'), description: 'x' };
    await expectRefusal(
      store,
      (tx) => tx.update('extension', changed),
      Code.INVALID_ARGUMENT,
      'extensions are immutable',
    );
    const table = sampleObject.extension('e-c', 'c');
    await expectRefusal(
      store,
      (tx) => tx.create('extension', { ...table, annotations: { ...table.annotations!, name: 'service' } }),
      Code.ALREADY_EXISTS,
      'name conflicts with an existing object',
    );
  });
});

describe('versions', () => {
  it('an update must carry the stored version when there is a log', async () => {
    const log = new FakeLog();
    const store = new MemoryStore({}, { clock: fakeClock(), proposer: log });
    const created = store.update((tx) => tx.create('node', sampleObject.node('n1', 'a')));
    log.commit();
    await created;
    const node = store.view((tx) => tx.get('node', 'n1'))!;
    expect(node.meta?.version?.index).toBe(10n);
    const first = store.update((tx) => tx.update('node', node));
    await expectRefusal(store, (tx) => tx.update('node', node), Code.UNKNOWN, 'update out of sequence');
    await expectRefusal(
      store,
      (tx) => tx.update('node', sampleObject.node('n1', 'a')),
      Code.UNKNOWN,
      'update out of sequence',
    );
    const second = store.update((tx) => tx.update('node', tx.get('node', 'n1')!));
    log.commit();
    log.commit();
    await Promise.all([first, second]);
    expect(store.view((tx) => tx.get('node', 'n1')?.meta?.version?.index)).toBe(12n);
  });

  it('are not compared without a log, and the time of creation stays', async () => {
    let nowMs = 1000;
    const store = new MemoryStore({}, { clock: { ...fakeClock(), nowMs: () => nowMs } });
    await store.update((tx) => tx.create('node', sampleObject.node('n1', 'a')));
    nowMs = 5000;
    await store.update((tx) => tx.update('node', sampleObject.node('n1', 'b')));
    const meta = store.view((tx) => tx.get('node', 'n1')?.meta);
    expect([meta?.createdAt?.seconds, meta?.updatedAt?.seconds, meta?.version?.index]).toEqual([1n, 5n, 2n]);
  });
});

describe('transactions', () => {
  it('cannot be nested, nor used after their end', async () => {
    const store = newStore();
    let leaked: WriteTransaction | undefined;
    await store.update((tx) => {
      leaked = tx;
    });
    expect(() => leaked?.get('node', 'n1')).toThrow('used after its end');
    let inner: Promise<void> | undefined;
    await store.update(() => {
      inner = store.update(() => undefined);
    });
    await expect(inner).rejects.toThrow('within another');
  });

  it('that change nothing propose nothing', async () => {
    const log = new FakeLog();
    const store = new MemoryStore({}, { clock: fakeClock(), proposer: log });
    expect(await store.update((tx) => tx.count('node'))).toBe(0);
    expect(log.waiting).toEqual([]);
  });

  it('leave frozen objects and the given one unchanged', async () => {
    const store = newStore();
    const node = sampleObject.node('n1', 'a');
    await store.update((tx) => tx.create('node', node));
    expect(node.meta).toBeUndefined();
    const stored = store.view((tx) => tx.get('node', 'n1'))!;
    expect(() => {
      (stored.spec!.annotations!.indices as unknown[]).push(1);
    }).toThrow(TypeError);
  });
});
