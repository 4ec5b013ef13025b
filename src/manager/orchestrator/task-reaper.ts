import type { Cluster, Service, Task } from '../../api/index.js';
import type { Component, Pace } from '../../base/index.js';
import { by, type Batch, type ObjectEvent, type ReadTransaction, type TableName } from '../../store/index.js';
import type { OrchestratorDeps } from './deps.js';
import { runLoop, type Part } from './loop.js';
import { serviceMode } from './mode.js';
import { HISTORY_LIMIT_DEFAULT, historyLimit, isDisposable, planReap, type ReapPlan } from './reap-plan.js';
import { hasStopped, placeOf, slotKey, type TaskPlace } from './task.js';

/**
 * Deletes tasks that nobody needs any more: what is over the history limit of its slot, what was scaled
 * away or belonged to a removed service once it has stopped, and orphans without a service.
 */
export class TaskReaper implements Component {
  constructor(private readonly deps: OrchestratorDeps) {}

  run(signal: AbortSignal): Promise<void> {
    return runLoop(new ReaperPart(this.deps), this.deps, signal);
  }
}

/** A slot whose history may be too long. */
interface DirtySlot {
  readonly serviceId: string;
  readonly place: TaskPlace;
}

class ReaperPart implements Part {
  readonly tables: readonly TableName[] = ['task', 'cluster'];
  readonly #dirty = new Map<string, DirtySlot>();
  /** Slots over the limit in which more than one task runs: looked at again when one of them stops. */
  readonly #waiting = new Map<string, DirtySlot>();
  readonly #disposable = new Set<string>();
  #clusterLimit = HISTORY_LIMIT_DEFAULT;

  constructor(private readonly deps: OrchestratorDeps) {}

  load(tx: ReadTransaction): void {
    this.#readLimit(tx.find('cluster', by.all())[0]);
    this.#noteAll(tx);
  }

  observe(event: ObjectEvent): void {
    if (event.table === 'cluster') {
      const limit = this.#clusterLimit;
      if (event.kind !== 'remove') this.#readLimit(event.object);
      if (this.#clusterLimit !== limit) this.deps.store.view((tx) => this.#noteAll(tx));
    } else if (event.table === 'task' && event.kind !== 'remove') {
      this.#observeTask(event.object, event.kind === 'create');
    }
  }

  #observeTask(task: Task, created: boolean): void {
    if (isDisposable(task)) this.#disposable.add(task.id);
    if (task.serviceId === '') return;
    const key = `${task.serviceId}/${slotKey(task)}`;
    if (created) this.#dirty.set(key, { serviceId: task.serviceId, place: placeOf(task) });
    else if (hasStopped(task)) {
      const waiting = this.#waiting.get(key);
      if (waiting !== undefined) this.#dirty.set(key, waiting);
    }
  }

  // An absent configuration counts as the default; a zero in a present one is a limit of zero.
  #readLimit(cluster: Cluster | undefined): void {
    const limit = cluster?.spec?.orchestration?.taskHistoryRetentionLimit;
    this.#clusterLimit = limit === undefined ? HISTORY_LIMIT_DEFAULT : Number(limit);
  }

  // A limit of zero is left to the next task of each slot: at once it would take tasks that count as replicas.
  #noteAll(tx: ReadTransaction): void {
    const counts = new Map<string, number>();
    for (const task of tx.find('task', by.all())) {
      if (isDisposable(task)) this.#disposable.add(task.id);
      if (task.serviceId === '') continue;
      const key = `${task.serviceId}/${slotKey(task)}`;
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      if (count === 2 && this.#clusterLimit !== 0) {
        this.#dirty.set(key, { serviceId: task.serviceId, place: placeOf(task) });
      }
    }
  }

  async act(pace: Pace): Promise<undefined> {
    const dirty = [...this.#dirty];
    const disposable = [...this.#disposable];
    this.#dirty.clear();
    this.#disposable.clear();
    if (dirty.length + disposable.length === 0) return undefined;
    await this.deps.store.batch(async (batch) => {
      for (const taskId of disposable) {
        removeIf(batch, taskId, isDisposable);
        if (pace.isDue()) await pace.rest();
      }
      for (const [key, slot] of dirty) {
        this.#reapSlot(batch, key, slot);
        if (pace.isDue()) await pace.rest();
      }
    });
    return undefined;
  }

  // Hardly any slot has something to reap, and looking is cheaper than a transaction.
  #reapSlot(batch: Batch, key: string, slot: DirtySlot): void {
    this.#waiting.delete(key);
    const { remove, lookAgain } = this.deps.store.view((tx) => this.#plan(tx, slot));
    if (lookAgain) this.#waiting.set(key, slot);
    if (remove.length === 0) return;
    batch.update((tx) => {
      for (const task of this.#plan(tx, slot).remove) tx.remove('task', task.id);
    });
  }

  #plan(tx: ReadTransaction, slot: DirtySlot): ReapPlan {
    const service = tx.get('service', slot.serviceId);
    if (service === undefined) return { remove: [], lookAgain: false };
    return planReap(tasksOf(tx, service, slot), historyLimit(service, this.#clusterLimit));
  }
}

// The history of jobs is not limited: their slots are unique.
function tasksOf(tx: ReadTransaction, service: Service, slot: DirtySlot): readonly Task[] {
  switch (serviceMode(service)) {
    case 'replicated':
      return tx.find('task', by.slot(slot.serviceId, slot.place.slot));
    case 'global':
      return tx.find('task', by.node(slot.place.nodeId)).filter((task) => task.serviceId === slot.serviceId);
    case 'replicatedJob':
    case 'globalJob':
    case undefined:
      return [];
  }
}

function removeIf(batch: Batch, taskId: string, condition: (task: Task) => boolean): void {
  batch.update((tx) => {
    const task = tx.get('task', taskId);
    if (task !== undefined && condition(task)) tx.remove('task', taskId);
  });
}
