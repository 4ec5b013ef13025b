import { create } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  AssignmentChange_AssignmentAction as Action,
  ConfigSchema,
  ResourceType,
  SecretSchema,
  TaskSchema,
  TaskSpecSchema,
  TaskState,
  TaskStatusSchema,
  VolumePublishStatus_State as PublishState,
  VolumeSchema,
  isTerminal,
  taskState,
  type AssignmentChange,
  type Task,
  type TaskSpec,
} from '../../api/index.js';
import { SimClock } from '../../sim/index.js';
import { MemoryStore, by, type ObjectEvent, type ReadTransaction } from '../../store/index.js';
import { AssignmentSet } from './assignment-set.js';
import { DependencyIndex } from './dependencies.js';

const LIMITS = { changesMax: 1000, bytesMax: 2 ** 22 };

function specWith(secrets: readonly string[], configs: readonly string[] = []): TaskSpec {
  return create(TaskSpecSchema, {
    runtime: {
      case: 'container',
      value: {
        secrets: secrets.map((secretId) => ({ secretId, secretName: secretId })),
        configs: configs.map((configId) => ({ configId, configName: configId })),
      },
    },
  });
}

function taskOn(nodeId: string, id: string, state: TaskState, spec: TaskSpec = specWith([])): Task {
  return create(TaskSchema, { id, nodeId, spec, status: { state }, desiredState: TaskState.RUNNING });
}

function withState(task: Task, state: TaskState): Task {
  return { ...task, status: create(TaskStatusSchema, { state }) };
}

/** `+task:a`, `-secret:b`: a message in short. */
function brief(changes: readonly AssignmentChange[]): string[] {
  return changes.map(({ assignment, action }) => {
    const item = assignment?.item;
    return `${action === Action.UPDATE ? '+' : '-'}${item?.case}:${item?.value?.id}`;
  });
}

class Harness {
  readonly store = new MemoryStore({}, { clock: new SimClock() });
  readonly set: AssignmentSet;
  readonly #events = this.store.watch({ commits: false });

  constructor(nodeId = 'node') {
    this.set = new AssignmentSet(nodeId, new DependencyIndex());
  }

  async put(...tasks: readonly Task[]): Promise<void> {
    await this.store.update((tx) => {
      for (const task of tasks) {
        const old = tx.get('task', task.id);
        if (old === undefined) tx.create('task', task);
        else tx.update('task', { ...task, ...(old.meta === undefined ? {} : { meta: old.meta }) });
      }
    });
  }

  async change(id: string, change: (task: Task) => Task): Promise<void> {
    await this.put(change(this.task(id)));
  }

  task(id: string): Task {
    const task = this.store.view((tx) => tx.get('task', id));
    if (task === undefined) throw new Error(`no task ${id}`);
    return task;
  }

  remove(id: string): Promise<void> {
    return this.store.update((tx) => tx.remove('task', id));
  }

  secrets(...ids: readonly string[]): Promise<void> {
    return this.store.update((tx) => {
      for (const id of ids) {
        tx.create(
          'secret',
          create(SecretSchema, { id, spec: { annotations: { name: id }, data: new Uint8Array(10) } }),
        );
      }
    });
  }

  complete(): string[] {
    this.drain();
    return brief(this.store.view((tx) => this.set.complete(tx)));
  }

  incremental(limits = LIMITS): string[] {
    this.drain();
    return brief(this.store.view((tx) => this.set.incremental(tx, limits)));
  }

  /** Feeds the events that have piled up, as the router does. Returns whether the set wants to be looked at. */
  drain(): boolean {
    let wanted = false;
    for (const event of this.#events.take()) if (event.kind !== 'commit') wanted = this.feed(event) || wanted;
    return wanted;
  }

  feed(event: ObjectEvent): boolean {
    if (event.table === 'volume') this.set.touchVolume(event.object.id);
    if (event.table !== 'task') return event.table === 'volume';
    if (event.kind === 'remove') this.set.touchTask(event.object.id);
    else return this.set.observeTask(event.object);
    return true;
  }
}

describe('AssignmentSet', () => {
  it('begins with every task of the node from ASSIGNED on, and what they need before them', async () => {
    const harness = new Harness();
    await harness.secrets('s1', 's2');
    await harness.store.update((tx) =>
      tx.create('config', create(ConfigSchema, { id: 'c1', spec: { annotations: { name: 'c1' } } })),
    );
    await harness.put(
      taskOn('node', 'assigned', TaskState.ASSIGNED, specWith(['s1', 's1'], ['c1'])),
      taskOn('node', 'pending', TaskState.PENDING, specWith(['s2'])),
      taskOn('node', 'ended', TaskState.SHUTDOWN, specWith(['s2'])),
      taskOn('elsewhere', 'foreign', TaskState.RUNNING, specWith(['s2'])),
    );
    expect(harness.complete()).toEqual(['+secret:s1', '+config:c1', '+task:assigned', '+task:ended']);
    expect(harness.incremental()).toEqual([]);
  });

  it('puts the stored objects themselves into the message', async () => {
    const harness = new Harness();
    await harness.put(taskOn('node', 'a', TaskState.ASSIGNED));
    const [change] = harness.store.view((tx) => harness.set.complete(tx));
    expect(change?.assignment?.item.value).toBe(harness.task('a'));
  });

  it('finds secrets and configs among resource references too', async () => {
    const harness = new Harness();
    await harness.secrets('s1');
    const spec = create(TaskSpecSchema, {
      runtime: { case: 'generic', value: { kind: 'plugin' } },
      resourceReferences: [
        { resourceId: 's1', resourceType: ResourceType.SECRET },
        { resourceId: 't1', resourceType: ResourceType.TASK },
      ],
    });
    await harness.put(taskOn('node', 'a', TaskState.ASSIGNED, spec));
    expect(harness.complete()).toEqual(['+secret:s1', '+task:a']);
  });

  it('does not echo what the agent wrote, but sends what managers changed', async () => {
    const harness = new Harness();
    await harness.put(taskOn('node', 'a', TaskState.ASSIGNED));
    harness.complete();
    for (const state of [TaskState.ACCEPTED, TaskState.PREPARING, TaskState.RUNNING, TaskState.COMPLETE]) {
      await harness.change('a', (task) => withState(task, state));
      expect(harness.drain()).toBe(false);
      expect(harness.incremental()).toEqual([]);
    }
    await harness.change('a', (task) => ({ ...task, desiredState: TaskState.SHUTDOWN }));
    expect(harness.drain()).toBe(true);
    expect(harness.incremental()).toEqual(['+task:a']);
  });

  it('sends a status that a manager wrote: up to ASSIGNED the agent has no part in it', async () => {
    const harness = new Harness();
    await harness.put(taskOn('node', 'a', TaskState.ASSIGNED));
    harness.complete();
    await harness.change('a', (task) => withState(task, TaskState.ASSIGNED));
    expect(harness.incremental()).toEqual(['+task:a']);
  });

  it('compares by content where an object was decoded anew', async () => {
    const harness = new Harness();
    await harness.put(taskOn('node', 'a', TaskState.RUNNING, specWith(['x'])));
    harness.complete();
    await harness.change('a', () => taskOn('node', 'a', TaskState.RUNNING, specWith(['x'])));
    expect(harness.incremental()).toEqual([]);
    await harness.change('a', () => taskOn('node', 'a', TaskState.RUNNING, specWith(['y'])));
    expect(harness.incremental()).toEqual(['+task:a']);
  });

  it('sends a secret before its first user and removes it after its last', async () => {
    const harness = new Harness();
    await harness.secrets('s1');
    harness.complete();
    await harness.put(taskOn('node', 'a', TaskState.ASSIGNED, specWith(['s1'])));
    expect(harness.incremental()).toEqual(['+secret:s1', '+task:a']);
    await harness.put(taskOn('node', 'b', TaskState.ASSIGNED, specWith(['s1'])));
    expect(harness.incremental()).toEqual(['+task:b']);
    await harness.remove('a');
    expect(harness.incremental()).toEqual(['-task:a']);
    await harness.remove('b');
    expect(harness.incremental()).toEqual(['-task:b', '-secret:s1']);
  });

  it('removes a secret once its last user has ended, without repeating the task', async () => {
    const harness = new Harness();
    await harness.secrets('s1');
    await harness.put(taskOn('node', 'a', TaskState.RUNNING, specWith(['s1'])));
    harness.complete();
    await harness.change('a', (task) => withState(task, TaskState.FAILED));
    expect(harness.drain()).toBe(true);
    expect(harness.incremental()).toEqual(['-secret:s1']);
    await harness.remove('a');
    expect(harness.incremental()).toEqual(['-task:a']);
  });

  it('keeps a secret that passes from one task to the next within one message', async () => {
    const harness = new Harness();
    await harness.secrets('s1');
    await harness.put(taskOn('node', 'a', TaskState.RUNNING, specWith(['s1'])));
    harness.complete();
    await harness.change('a', (task) => withState(task, TaskState.FAILED));
    await harness.put(taskOn('node', 'b', TaskState.ASSIGNED, specWith(['s1'])));
    expect(harness.incremental()).toEqual(['+task:b']);
  });

  it('sends a task although its secret is missing or known only to a driver', async () => {
    const harness = new Harness();
    await harness.store.update((tx) =>
      tx.create(
        'secret',
        create(SecretSchema, { id: 'driven', spec: { annotations: { name: 'd' }, driver: { name: 'vault' } } }),
      ),
    );
    await harness.put(taskOn('node', 'a', TaskState.ASSIGNED, specWith(['missing', 'driven'])));
    expect(harness.complete()).toEqual(['+task:a']);
    await harness.remove('a');
    expect(harness.incremental()).toEqual(['-task:a']);
  });

  it('says nothing of a task that came and went between two messages', async () => {
    const harness = new Harness();
    harness.complete();
    await harness.put(taskOn('node', 'a', TaskState.ASSIGNED));
    await harness.remove('a');
    expect(harness.incremental()).toEqual([]);
  });

  it('removes a task that was given to another node', async () => {
    const harness = new Harness();
    await harness.put(taskOn('node', 'a', TaskState.ASSIGNED));
    harness.complete();
    await harness.change('a', (task) => ({ ...task, nodeId: 'elsewhere' }));
    expect(harness.incremental()).toEqual(['-task:a']);
  });

  it('bounds a message by tasks and by bytes of secrets; the rest follows in order', async () => {
    const harness = new Harness();
    await harness.secrets('s1', 's2', 's3');
    harness.complete();
    await harness.put(...['1', '2', '3'].map((n) => taskOn('node', n, TaskState.ASSIGNED, specWith([`s${n}`]))));
    expect(harness.incremental({ changesMax: 2, bytesMax: 1000 })).toEqual([
      '+secret:s1',
      '+secret:s2',
      '+task:1',
      '+task:2',
    ]);
    expect(harness.set.pending).toBe(true);
    expect(harness.incremental({ changesMax: 2, bytesMax: 1000 })).toEqual(['+secret:s3', '+task:3']);
    expect(harness.set.pending).toBe(false);
    for (const n of ['1', '2', '3']) await harness.remove(n);
    expect(harness.incremental({ changesMax: 9, bytesMax: 1 })).toHaveLength(6);
    await harness.put(...['1', '2'].map((n) => taskOn('node', n, TaskState.ASSIGNED, specWith([`s${n}`]))));
    expect(harness.incremental({ changesMax: 9, bytesMax: 5 })).toEqual(['+secret:s1', '+task:1']);
  });

  it('is not led astray by an event that is older than what it has sent', async () => {
    const harness = new Harness();
    await harness.put(taskOn('node', 'a', TaskState.ASSIGNED));
    const old = harness.task('a');
    await harness.change('a', (task) => ({ ...task, desiredState: TaskState.SHUTDOWN }));
    expect(harness.complete()).toEqual(['+task:a']);
    harness.feed({ kind: 'update', table: 'task', object: old, oldObject: old });
    expect(harness.incremental()).toEqual([]);
    await harness.remove('a');
    harness.drain();
    expect(harness.incremental()).toEqual(['-task:a']);
    harness.feed({ kind: 'update', table: 'task', object: old, oldObject: old });
    expect(harness.incremental()).toEqual([]);
  });

  it('finds everything again after missed events', async () => {
    const harness = new Harness();
    await harness.put(taskOn('node', 'a', TaskState.ASSIGNED), taskOn('node', 'b', TaskState.ASSIGNED));
    harness.complete();
    await harness.remove('a');
    await harness.put(taskOn('node', 'c', TaskState.ASSIGNED));
    await harness.change('b', (task) => ({ ...task, desiredState: TaskState.REMOVE }));
    harness.set.touchAll();
    const changes = harness.store.view((tx) => harness.set.incremental(tx, LIMITS));
    expect(brief(changes).sort()).toEqual(['+task:b', '+task:c', '-task:a']);
  });
});

describe('AssignmentSet with volumes', () => {
  async function publish(harness: Harness, state: PublishState | undefined): Promise<void> {
    const publishStatus = state === undefined ? [] : [{ nodeId: 'node', state, publishContext: { device: '/dev/x' } }];
    const volume = create(VolumeSchema, {
      id: 'v1',
      spec: { annotations: { name: 'v1' }, driver: { name: 'csi' }, secrets: [{ key: 'k', secret: 's1' }] },
      volumeInfo: { volumeId: 'plugin-v1', volumeContext: { zone: 'a' } },
      publishStatus,
    });
    await harness.store.update((tx) => {
      const old = tx.get('volume', 'v1');
      if (old === undefined) tx.create('volume', volume);
      else tx.update('volume', { ...volume, ...(old.meta === undefined ? {} : { meta: old.meta }) });
    });
  }

  it('sends a volume while it is published, with its secrets, and its removal when it is to be unpublished', async () => {
    const harness = new Harness();
    await harness.secrets('s1');
    await publish(harness, PublishState.PENDING_PUBLISH);
    expect(harness.complete()).toEqual([]);
    await publish(harness, PublishState.PUBLISHED);
    const changes = harness.store.view((tx) => (harness.drain(), harness.set.incremental(tx, LIMITS)));
    expect(brief(changes)).toEqual(['+secret:s1', '+volume:v1']);
    expect(changes[1]?.assignment?.item.value).toMatchObject({
      volumeId: 'plugin-v1',
      driver: { name: 'csi' },
      publishContext: { device: '/dev/x' },
      volumeContext: { zone: 'a' },
      secrets: [{ key: 'k', secret: 's1' }],
    });
    await publish(harness, PublishState.PUBLISHED);
    expect(harness.incremental()).toEqual([]);
    await publish(harness, PublishState.PENDING_NODE_UNPUBLISH);
    expect(harness.incremental()).toEqual(['-volume:v1']);
    await publish(harness, PublishState.PENDING_UNPUBLISH);
    expect(harness.incremental()).toEqual(['-secret:s1']);
  });

  it('asks a restarted agent again to unpublish, although this stream never sent the volume', async () => {
    const harness = new Harness();
    await publish(harness, PublishState.PENDING_NODE_UNPUBLISH);
    expect(harness.complete()).toEqual(['-volume:v1']);
  });

  it('takes a published volume back when its status or the volume is gone', async () => {
    const harness = new Harness();
    await publish(harness, PublishState.PUBLISHED);
    harness.complete();
    await publish(harness, undefined);
    expect(harness.incremental()).toEqual(['-volume:v1']);
    await publish(harness, PublishState.PUBLISHED);
    expect(harness.incremental()).toEqual(['+volume:v1']);
    await harness.store.update((tx) => tx.remove('volume', 'v1'));
    expect(harness.incremental()).toEqual(['-volume:v1']);
  });
});

describe('applying all messages in order', () => {
  const STATES = [TaskState.PENDING, TaskState.ASSIGNED, TaskState.RUNNING, TaskState.FAILED];
  const step = fc.record({
    kind: fc.constantFrom('put', 'put', 'put', 'remove', 'message', 'late event', 'missed'),
    task: fc.nat(5),
    node: fc.constantFrom('node', 'node', 'elsewhere'),
    state: fc.constantFrom(...STATES),
    desired: fc.constantFrom(TaskState.RUNNING, TaskState.SHUTDOWN),
    secrets: fc.subarray(['s1', 's2', 'missing']),
    limit: fc.constantFrom(1, 2, 1000),
  });

  it('always gives exactly what the store has for the node, each dependency there before its task', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const harness = new Harness();
        await harness.secrets('s1', 's2');
        const agent = new AgentModel(harness);
        agent.apply(harness.store.view((tx) => harness.set.complete(tx)));
        for (const { kind, task, node, state, desired, secrets, limit } of steps) {
          const id = `t${task}`;
          const old = harness.store.view((tx) => tx.get('task', id));
          if (kind === 'put') {
            const before = old === undefined ? state : taskState(old);
            const reached = before > state ? before : state;
            await harness.put({ ...taskOn(node, id, reached, specWith(secrets)), desiredState: desired });
          } else if (kind === 'remove' && old !== undefined) await harness.remove(id);
          else if (kind === 'late event' && old !== undefined) {
            harness.feed({ kind: 'update', table: 'task', object: old, oldObject: old });
          } else if (kind === 'missed') harness.set.touchAll();
          else if (kind === 'message') agent.read(limit);
        }
        while (agent.read(1)) agent.check();
        expect(agent.state()).toEqual(harness.store.view(wanted));
      }),
      { numRuns: 300 },
    );
  });

  /** What an agent holds: it applies a message as a stock one does, removals of secrets first. */
  class AgentModel {
    readonly #tasks = new Map<string, Task>();
    readonly #secrets = new Set<string>();
    readonly #harness: Harness;

    constructor(harness: Harness) {
      this.#harness = harness;
    }

    read(changesMax: number): boolean {
      const harness = this.#harness;
      harness.drain();
      const changes = harness.store.view((tx) => harness.set.incremental(tx, { changesMax, bytesMax: 2 ** 20 }));
      this.apply(changes);
      return changes.length > 0 || harness.set.pending;
    }

    apply(changes: readonly AssignmentChange[]): void {
      const seen = new Set<string>();
      for (const { assignment, action } of changes) {
        const item = assignment?.item;
        if (item?.case !== 'secret') continue;
        expect(seen.has(item.value.id)).toBe(false);
        seen.add(item.value.id);
        if (action === Action.UPDATE) this.#secrets.add(item.value.id);
        else expect(this.#secrets.delete(item.value.id)).toBe(true);
      }
      for (const { assignment, action } of changes) {
        const item = assignment?.item;
        if (item?.case !== 'task') continue;
        if (action === Action.UPDATE) this.#tasks.set(item.value.id, item.value);
        else expect(this.#tasks.delete(item.value.id)).toBe(true);
      }
      this.check();
    }

    /** No live task may lack a secret that exists. That its own task has ended the agent knows without being told. */
    check(): void {
      for (const task of this.#tasks.values()) {
        const stored = this.#harness.store.view((tx) => tx.get('task', task.id));
        if (isTerminal(taskState(task)) || isTerminal(taskState(stored ?? task))) continue;
        for (const id of existingSecrets(task)) expect([...this.#secrets]).toContain(id);
      }
    }

    state(): unknown {
      return { tasks: summary(this.#tasks.values()), secrets: [...this.#secrets].sort() };
    }
  }

  function wanted(tx: ReadTransaction): unknown {
    const tasks = tx.find('task', by.node('node')).filter((task) => taskState(task) >= TaskState.ASSIGNED);
    const live = tasks.filter((task) => taskState(task) <= TaskState.RUNNING);
    return { tasks: summary(tasks), secrets: [...new Set(live.flatMap(existingSecrets))].sort() };
  }

  function summary(tasks: Iterable<Task>): unknown {
    return [...tasks]
      .map(({ id, spec, desiredState }) => ({ id, spec, desiredState }))
      .sort((left, right) => left.id.localeCompare(right.id));
  }

  function existingSecrets(task: Task): string[] {
    const runtime = task.spec?.runtime;
    const ids = runtime?.case === 'container' ? runtime.value.secrets.map(({ secretId }) => secretId) : [];
    return ids.filter((id) => id !== 'missing');
  }
});
