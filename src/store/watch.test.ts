import { describe, expect, it } from 'vitest';

import { Code, isSwarmError } from '../base/index.js';
import { MemoryStore } from './memory-store.js';
import type { StoreEvent } from './store.js';
import { fakeClock } from './test-log.js';
import { sampleObject } from './test-objects.js';

const newStore = (subscriberQueueMax?: number): MemoryStore =>
  new MemoryStore(subscriberQueueMax === undefined ? {} : { subscriberQueueMax }, { clock: fakeClock() });
const never = new AbortController().signal;
const label = (event: StoreEvent): string =>
  event.kind === 'commit' ? `commit ${event.version}` : `${event.kind} ${event.table} ${event.object.id}`;

describe('watch', () => {
  it('gives the changes in order and then the commit with its version', async () => {
    const store = newStore();
    const watch = store.watch();
    await store.update((tx) => {
      tx.create('node', sampleObject.node('n1', 'a'));
      tx.create('task', sampleObject.task('t1', 'a'));
      tx.update('node', sampleObject.node('n1', 'b'));
      tx.remove('task', 't1');
    });
    const events = await watch.next(never);
    expect(events.map(label)).toEqual([
      'create node n1',
      'create task t1',
      'update node n1',
      'remove task t1',
      'commit 1',
    ]);
    const update = events[2];
    expect(update?.kind === 'update' && update.table === 'node' && update.oldObject.description?.hostname).toBe(
      'Name-a',
    );
  });

  it('says nothing of transactions that failed or changed nothing', async () => {
    const store = newStore();
    const watch = store.watch();
    await store.update(() => undefined);
    const failing = store.update((tx) => {
      tx.create('node', sampleObject.node('n1', 'a'));
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(watch.take()).toEqual([]);
  });

  it('filters by table, by function, and commits', async () => {
    const store = newStore();
    const nodes = store.watch({ tables: ['node'] });
    const named = store.watch({ filter: (event) => event.object.id === 't1', commits: false });
    const commits = store.watch({ tables: [] });
    await store.update((tx) => {
      tx.create('node', sampleObject.node('n1', 'a'));
      tx.create('task', sampleObject.task('t1', 'a'));
    });
    expect(nodes.take().map(label)).toEqual(['create node n1', 'commit 1']);
    expect(named.take().map(label)).toEqual(['create task t1']);
    expect(commits.take().map(label)).toEqual(['commit 1']);
  });

  it('waits for the next event, until the signal aborts', async () => {
    const store = newStore();
    const watch = store.watch({ tables: ['node'], commits: false });
    const waiting = watch.next(never);
    await store.update((tx) => tx.create('node', sampleObject.node('n1', 'a')));
    expect((await waiting).map(label)).toEqual(['create node n1']);
    const controller = new AbortController();
    const aborted = watch.next(controller.signal);
    controller.abort(new Error('stop'));
    await expect(aborted).rejects.toThrow('stop');
  });

  it.each([
    ['its own bound', newStore(), { queueMax: 3 }],
    ["the store's bound", newStore(3), {}],
  ])('cuts off a subscriber beyond %s and drops what waited', async (_name, store, options) => {
    const slow = store.watch({ ...options, commits: false });
    const other = store.watch({ queueMax: 100 });
    await store.update((tx) => {
      for (let i = 0; i < 3; i += 1) tx.create('node', sampleObject.node(`n${i}`, 'a'));
    });
    await store.update((tx) => tx.create('node', sampleObject.node('n4', 'a')));
    expect(slow.take()).toEqual([]);
    await expect(slow.next(never)).rejects.toSatisfy((error) => isSwarmError(error, Code.RESOURCE_EXHAUSTED));
    expect(other.take().length).toBe(6);
  });

  it('a disposed subscription gets nothing more and wakes who waits', async () => {
    const store = newStore();
    const watch = store.watch();
    const waiting = watch.next(never);
    watch[Symbol.dispose]();
    await expect(waiting).rejects.toSatisfy((error) => isSwarmError(error, Code.CANCELED));
    await store.update((tx) => tx.create('node', sampleObject.node('n1', 'a')));
    expect(watch.take()).toEqual([]);
  });

  it('viewAndWatch has neither gap nor overlap', async () => {
    const store = newStore();
    await store.update((tx) => tx.create('node', sampleObject.node('n1', 'a')));
    const [count, watch] = store.viewAndWatch((tx) => tx.count('node'), { commits: false });
    await store.update((tx) => tx.create('node', sampleObject.node('n2', 'a')));
    expect(count).toBe(1);
    expect(watch.take().map(label)).toEqual(['create node n2']);
  });
});
