import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import {
  InternalRaftRequestSchema,
  NodeSchema,
  ServiceSchema,
  StoreActionKind,
  TaskSchema,
  TaskState,
} from '../api/index.js';
import { Code, isSwarmError } from '../base/index.js';
import { by } from './by.js';
import { fakeClock, FakeLog } from './test-log.js';
import { MemoryStore } from './memory-store.js';

const service = (id: string, name: string) =>
  create(ServiceSchema, {
    id,
    spec: { annotations: { name }, task: { runtime: { case: 'container', value: { image: 'x' } } } },
  });

describe('a store without a proposer', () => {
  it('commits at once, stamps objects and freezes them', async () => {
    const store = new MemoryStore({}, { clock: fakeClock() });
    const watch = store.watch();
    await store.update((tx) => tx.create('node', create(NodeSchema, { id: 'n1', description: { hostname: 'Alpha' } })));
    const node = store.view((tx) => tx.get('node', 'n1'));
    expect(node?.meta?.version?.index).toBe(1n);
    expect(node?.meta?.createdAt?.seconds).toBe(1000n);
    expect(Object.isFrozen(node?.description)).toBe(true);
    expect(store.view((tx) => tx.find('node', by.name('alpha')))).toEqual([node]);
    expect(watch.take().map((event) => event.kind)).toEqual(['create', 'commit']);
    expect(store.version).toBe(1n);
  });
});

describe('a store with a proposer', () => {
  it('shows to reads only what is committed and to writes all that waits', async () => {
    const log = new FakeLog();
    const store = new MemoryStore({}, { clock: fakeClock(), proposer: log });
    const first = store.update((tx) => tx.create('service', service('s1', 'web')));
    const second = store.update((tx) => {
      expect(tx.get('service', 's1')).toBeDefined();
      tx.create('task', create(TaskSchema, { id: 't1', serviceId: 's1', desiredState: TaskState.RUNNING }));
    });
    const conflict = store.update((tx) => tx.create('service', service('s2', 'WEB')));
    await expect(conflict).rejects.toSatisfy((error) => isSwarmError(error, Code.ALREADY_EXISTS));
    expect(store.view((tx) => tx.count('service'))).toBe(0);
    log.commit();
    await first;
    expect(store.view((tx) => tx.count('service'))).toBe(1);
    expect(store.view((tx) => tx.count('task'))).toBe(0);
    log.lose();
    await expect(second).rejects.toSatisfy((error) => isSwarmError(error, Code.UNAVAILABLE));
    await store.update((tx) => expect(tx.count('task')).toBe(0));
  });

  it('proposes what a follower applies to the same state', async () => {
    const log = new FakeLog();
    const store = new MemoryStore({}, { clock: fakeClock(), proposer: log });
    const follower = new MemoryStore({}, { clock: fakeClock() });
    const done = store.batch((batch) => {
      for (let i = 0; i < 450; i += 1) batch.update((tx) => tx.create('service', service(`s${i}`, `name${i}`)));
    });
    expect(log.waiting.length).toBe(3);
    while (log.waiting.length > 0) {
      const { request, index } = log.commit();
      expect(request.action[0]?.action).toBe(StoreActionKind.STORE_ACTION_CREATE);
      follower.applyActions(request.action, index);
    }
    expect(await done).toBe(450);
    expect(follower.save()).toEqual(store.save());
    expect(toBinary(InternalRaftRequestSchema, create(InternalRaftRequestSchema)).length).toBe(0);
  });
});
