import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Code, isSwarmError, SwarmError } from '../base/index.js';
import { by } from './by.js';
import { MemoryStore } from './memory-store.js';
import { TRANSACTION_BYTES_MAX, type ObjectEvent } from './store.js';
import { FakeLog, fakeClock } from './test-log.js';
import { sampleObject } from './test-objects.js';

function replicated(): { readonly store: MemoryStore; readonly log: FakeLog } {
  const log = new FakeLog();
  return { store: new MemoryStore({}, { clock: fakeClock(), proposer: log }), log };
}

const secretOf = (id: string, bytes: number) => {
  const secret = sampleObject.secret(id, id);
  return { ...secret, spec: { ...secret.spec!, data: new Uint8Array(bytes) } };
};

const unavailable = (error: unknown): boolean => isSwarmError(error, Code.UNAVAILABLE);
const tooLarge = (error: unknown): boolean =>
  isSwarmError(error, Code.INVALID_ARGUMENT) && error.message.includes('too large');

describe('proposals', () => {
  it('that are refused at once undo their transaction and nothing else', async () => {
    const { store, log } = replicated();
    const first = store.update((tx) => tx.create('node', sampleObject.node('n1', 'a')));
    log.refusal = new SwarmError(Code.FAILED_PRECONDITION, 'not the leader');
    const second = store.update((tx) => tx.remove('node', 'n1'));
    await expect(second).rejects.toThrow('not the leader');
    log.commit();
    await first;
    expect(store.view((tx) => tx.count('node'))).toBe(1);
    expect(store.pendingCount).toBe(0);
  });

  it('removed and made again while waiting keep their order', async () => {
    const { store, log } = replicated();
    const changes = [
      store.update((tx) => tx.create('node', sampleObject.node('n1', 'a'))),
      store.update((tx) => tx.remove('node', 'n1')),
      store.update((tx) => tx.create('node', sampleObject.node('n1', 'b'))),
    ];
    log.commit();
    await store.update((tx) => expect(tx.find('node', by.all())[0]?.description?.hostname).toBe('Name-b'));
    log.commit();
    expect(store.view((tx) => tx.count('node'))).toBe(0);
    await store.update((tx) => expect(tx.count('node')).toBe(1));
    log.commit();
    await Promise.all(changes);
    expect(store.view((tx) => tx.count('node'))).toBe(1);
  });

  it('that are lost take all later ones with them', async () => {
    const { store, log } = replicated();
    const created = store.update((tx) => tx.create('node', sampleObject.node('n1', 'a')));
    log.commit();
    await created;
    const before = store.view((tx) => tx.get('node', 'n1'));
    const lost = [
      store.update((tx) => tx.update('node', tx.get('node', 'n1')!)),
      store.update((tx) => tx.update('node', tx.get('node', 'n1')!)),
      store.update((tx) => tx.remove('node', 'n1')),
    ];
    log.lose();
    for (const each of lost) await expect(each).rejects.toSatisfy(unavailable);
    await store.update((tx) => expect(tx.get('node', 'n1')).toBe(before));
  });

  it('committed out of order are a bug that is reported', async () => {
    const { store, log } = replicated();
    const first = store.update((tx) => tx.create('node', sampleObject.node('n1', 'a')));
    const second = store.update((tx) => tx.create('node', sampleObject.node('n2', 'a')));
    expect(() => log.waiting[1]?.outcome.committed(12n)).toThrow('out of order');
    log.lose();
    await expect(first).rejects.toSatisfy(unavailable);
    await expect(second).rejects.toSatisfy(unavailable);
  });

  it('forbid foreign entries and another proposer while they wait', async () => {
    const { store, log } = replicated();
    const pending = store.update((tx) => tx.create('node', sampleObject.node('n1', 'a')));
    expect(() => store.applyActions([], 11n)).toThrow('while own proposals were pending');
    expect(() => store.restore(store.save(), 11n)).toThrow('while own proposals were pending');
    expect(() => store.setProposer(undefined)).toThrow('while transactions are pending');
    log.commit();
    await pending;
    store.setProposer(undefined);
  });

  it('over the limits are refused and undone', async () => {
    const { store, log } = replicated();
    const many = store.update((tx) => {
      for (let i = 0; i <= 200; i += 1) tx.create('node', sampleObject.node(`n${i}`, 'a'));
    });
    await expect(many).rejects.toSatisfy(tooLarge);
    const large = store.update((tx) => tx.create('secret', secretOf('s1', TRANSACTION_BYTES_MAX)));
    await expect(large).rejects.toSatisfy(tooLarge);
    await store.update((tx) => expect([tx.count('node'), tx.count('secret')]).toEqual([0, 0]));
    expect(log.waiting).toEqual([]);
  });

  it('have no limits without a log', async () => {
    const store = new MemoryStore({}, { clock: fakeClock() });
    await store.update((tx) => {
      for (let i = 0; i <= 200; i += 1) tx.create('node', sampleObject.node(`n${i}`, 'a'));
    });
    expect(store.view((tx) => tx.count('node'))).toBe(201);
  });
});

describe('batches', () => {
  it('split at 200 changes and at three quarters of the bytes', async () => {
    const { store, log } = replicated();
    const byCount = store.batch((batch) => {
      for (let i = 0; i < 401; i += 1) batch.update((tx) => tx.create('node', sampleObject.node(`n${i}`, 'a')));
    });
    expect([...log.waiting].map(() => log.commit().request.action.length)).toEqual([200, 200, 1]);
    expect(await byCount).toBe(401);
    const byBytes = store.batch((batch) => {
      for (let i = 0; i < 5; i += 1) batch.update((tx) => tx.create('secret', secretOf(`s${i}`, 500_000)));
    });
    expect([...log.waiting].map(() => log.commit().request.action.length)).toEqual([3, 2]);
    expect(await byBytes).toBe(5);
  });

  it('never exceed the limits by one large item, which stays whole', async () => {
    const { store, log } = replicated();
    const done = store.batch((batch) => {
      batch.update((tx) => tx.create('secret', secretOf('s0', 1_100_000)));
      batch.update((tx) => tx.create('secret', secretOf('s1', 600_000)));
      batch.update((tx) => {
        for (let i = 0; i < 150; i += 1) tx.create('node', sampleObject.node(`n${i}`, 'a'));
      });
      batch.update((tx) => {
        for (let i = 150; i < 300; i += 1) tx.create('node', sampleObject.node(`n${i}`, 'a'));
      });
    });
    for (const entry of log.waiting) expect(entry.bytes.length).toBeLessThanOrEqual(TRANSACTION_BYTES_MAX);
    expect([...log.waiting].map(() => log.commit().request.action.length)).toEqual([1, 151, 150]);
    expect(await done).toBe(302);
  });

  it('refuse an item that is too large alone, and go on with the others', async () => {
    const { store, log } = replicated();
    const done = store.batch((batch) => {
      batch.update((tx) => tx.create('node', sampleObject.node('n1', 'a')));
      const large = () => batch.update((tx) => tx.create('secret', secretOf('s1', TRANSACTION_BYTES_MAX)));
      expect(large).toThrow(expect.toSatisfy(tooLarge));
      batch.update((tx) => tx.create('node', sampleObject.node('n2', 'a')));
    });
    log.commit();
    expect(await done).toBe(2);
    expect(store.view((tx) => [tx.count('node'), tx.count('secret')])).toEqual([2, 0]);
  });

  it('undo an item that throws, and only that', async () => {
    const { store, log } = replicated();
    const done = store.batch((batch) => {
      batch.update((tx) => tx.create('node', sampleObject.node('n1', 'a')));
      const failing = () =>
        batch.update((tx) => {
          tx.create('node', sampleObject.node('n2', 'a'));
          tx.create('node', sampleObject.node('n1', 'a'));
        });
      expect(failing).toThrow('object already exists');
    });
    log.commit();
    expect(await done).toBe(1);
    expect(store.view((tx) => tx.count('node'))).toBe(1);
  });

  it('that fail while being filled keep the pieces before', async () => {
    const { store, log } = replicated();
    const failed = store.batch((batch) => {
      for (let i = 0; i < 250; i += 1) batch.update((tx) => tx.create('node', sampleObject.node(`n${i}`, 'a')));
      throw new Error('no more');
    });
    log.commit();
    await expect(failed).rejects.toThrow('no more');
    expect(store.view((tx) => tx.count('node'))).toBe(200);
    await store.update((tx) => expect(tx.count('node')).toBe(200));
  });

  it('are proposed before a later writer that saw their changes', async () => {
    const { store, log } = replicated();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const batch = store.batch(async (writer) => {
      writer.update((tx) => tx.create('node', sampleObject.node('n1', 'a')));
      await gate;
      writer.update((tx) => tx.create('node', sampleObject.node('n2', 'a')));
    });
    const update = store.update((tx) => tx.remove('node', 'n1'));
    const other = store.batch((writer) => writer.update((tx) => tx.create('node', sampleObject.node('n3', 'a'))));
    expect(log.waiting.length).toBe(3);
    go();
    await gate;
    await Promise.resolve();
    await Promise.resolve();
    while (log.waiting.length > 0) log.commit();
    await Promise.all([update, other]);
    expect(await batch).toBe(2);
    expect(store.view((tx) => tx.find('node', by.all()).map((node) => node.id))).toEqual(['n2', 'n3']);
  });

  it('fail with the first error when pieces are lost, open ones too', async () => {
    const { store, log } = replicated();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const batch = store.batch(async (writer) => {
      for (let i = 0; i < 201; i += 1) writer.update((tx) => tx.create('node', sampleObject.node(`n${i}`, 'a')));
      await gate;
      expect(() => writer.update((tx) => tx.count('node'))).toThrow('leadership was lost');
    });
    log.lose();
    go();
    await expect(batch).rejects.toSatisfy(unavailable);
    await store.update((tx) => expect(tx.count('node')).toBe(0));
  });

  it('that change nothing resolve with 0', async () => {
    const { store } = replicated();
    expect(await store.batch(() => undefined)).toBe(0);
  });
});

/** What the model does: a list of states, one per pending transaction over the committed one. */
type State = ReadonlyMap<string, string>;

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      writes: fc.array(
        fc.record({ id: fc.integer({ min: 0, max: 5 }), tag: fc.option(fc.constantFrom('a', 'b', 'c')) }),
        { minLength: 1, maxLength: 4 },
      ),
      fails: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: 'commit' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'lose' as const }) },
);

function contents(objects: readonly { readonly id: string; readonly nodeId: string }[]): State {
  return new Map(objects.map((task) => [task.id, task.nodeId]));
}

describe('any sequence of writes, commits and losses', () => {
  it('leaves committed and pending state, indexes and events as a plain model has them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { store, log } = replicated();
        const watch = store.watch({ commits: false });
        let committed: State = new Map();
        let pending: State[] = [];
        const results: Promise<unknown>[] = [];
        for (const each of steps) {
          if (each.do === 'write') {
            const next = new Map(pending.at(-1) ?? committed);
            const result = store.update((tx) => {
              for (const write of each.writes) {
                const id = `t${write.id}`;
                const old = tx.get('task', id);
                if (write.tag === null) {
                  if (old !== undefined) tx.remove('task', id);
                  next.delete(id);
                } else {
                  const task = sampleObject.task(id, write.tag);
                  if (old === undefined) tx.create('task', task);
                  else tx.update('task', { ...task, meta: old.meta });
                  next.set(id, `node-${write.tag}`);
                }
              }
              if (each.fails) throw new Error('no');
            });
            results.push(result.catch(() => undefined));
            if (!each.fails && log.waiting.length > pending.length) pending.push(next);
          } else if (each.do === 'commit' && log.waiting.length > 0) {
            log.commit();
            committed = pending.shift() ?? committed;
          } else if (each.do === 'lose') {
            log.lose();
            pending = [];
          }
          expect(contents(store.view((tx) => tx.find('task', by.all())))).toEqual(sorted(committed));
          for (const tag of ['a', 'b', 'c']) {
            const expected = [...sorted(committed)].filter(([, node]) => node === `node-${tag}`).map(([id]) => id);
            expect(store.view((tx) => tx.find('task', by.node(`node-${tag}`))).map((task) => task.id)).toEqual(
              expected,
            );
          }
          await store.update((tx) => {
            const head = sorted(pending.at(-1) ?? committed);
            expect(contents(tx.find('task', by.all()))).toEqual(head);
            expect(tx.count('task')).toBe(head.size);
            for (const tag of ['a', 'b', 'c']) {
              const expected = [...head].filter(([, node]) => node === `node-${tag}`).map(([id]) => id);
              expect(tx.find('task', by.service(`service-${tag}`)).map((task) => task.id)).toEqual(expected);
            }
          });
        }
        expect(replay(watch.take() as readonly ObjectEvent[])).toEqual(sorted(committed));
        log.lose();
        await Promise.all(results);
      }),
      { numRuns: 300 },
    );
  });
});

function sorted(state: State): State {
  return new Map([...state].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The state that someone has who only listens; checks that every event fits the one before. */
function replay(events: readonly ObjectEvent[]): State {
  const state = new Map<string, { readonly id: string; readonly nodeId: string }>();
  for (const event of events) {
    if (event.table !== 'task') throw new Error('unexpected table');
    const known = state.get(event.object.id);
    if (event.kind === 'update') expect(event.oldObject).toBe(known);
    if (event.kind === 'create') expect(known).toBeUndefined();
    if (event.kind === 'remove') {
      expect(event.object).toBe(known);
      state.delete(event.object.id);
    } else state.set(event.object.id, event.object);
  }
  return sorted(contents([...state.values()]));
}
