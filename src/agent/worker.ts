import { AssignmentChange_AssignmentAction, TaskState, taskState, timestampFromMs } from '../api/index.js';
import type { Assignment, AssignmentChange, NodeDescription, Task, TaskStatus } from '../api/index.js';
import { canceled, errorText, sleep } from '../base/index.js';
import type { Clock, Logger } from '../base/index.js';
import type { StoredTask } from './database.js';
import { DependencyStore } from './dependencies.js';
import { TemporaryError, type Controller, type Executor } from './exec/index.js';
import type { Journal } from './journal.js';
import { RetryQueue, RunQueue } from './run-queue.js';
import { TaskManager, statusOf } from './task-manager.js';
import { failureState } from './task-state-machine.js';
import { expandTaskSpec } from './template/index.js';

/** Wait before a failed controller operation is tried again, in milliseconds. Source: SwarmKit. */
const RETRY_MS = 1000;
/** Attempts to remove a task's traces before the next start of the agent takes it up again. */
const REMOVE_ATTEMPTS_MAX = 5;
/** Longest wait for controllers to let go when the worker closes, in milliseconds. */
const CLOSE_TIMEOUT_MS = 10_000;
/** Tasks taken over between two yields to the event loop: about 5 ms of work. */
const TASKS_PER_SLICE = 200;

/** What a worker needs, and whom it tells. */
export interface WorkerDeps {
  readonly executor: Executor;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Logger;
  /** This node as last described, for templates. */
  readonly describe: () => NodeDescription | undefined;
  /** A volume was taken away and is not in use here. */
  readonly onVolumeUnpublished: (volumeId: string) => void;
  /** Managers have deleted the task. */
  readonly onTaskRemoved: (taskId: string) => void;
}

/** A task known to this worker, as log subscriptions see it. */
export interface WorkerTask {
  readonly task: Task;
  readonly controller: Controller | undefined;
}

interface Entry {
  readonly manager: TaskManager | undefined;
  /** Where there is no manager: no controller could be had. */
  task: Task;
}

interface Removal {
  ended: Promise<void>;
  /** Assigned anew meanwhile: started once the removal is complete. */
  next: Task | undefined;
}

/** Keeps the tasks of this node as the assignments say: starts, updates and removes them. */
export class Worker {
  readonly #tasks = new Map<string, Entry>();
  readonly #removals = new Map<string, Removal>();
  /** Managers that wait for the dependencies of their tasks. */
  readonly #held = new Set<TaskManager>();
  /** New tasks that are not stored yet: nothing of them may run that a killed agent would not remember. */
  readonly #unstored = new Set<string>();
  readonly #dependencies = new DependencyStore();
  readonly #listeners = new Set<(task: WorkerTask) => void>();
  readonly #idleWaiters = new Set<() => void>();
  readonly #life = new AbortController();
  #lastTurn: Promise<void> = Promise.resolve();
  readonly #runQueue: RunQueue;
  readonly #retries: RetryQueue;
  readonly #deps: WorkerDeps;

  constructor(deps: WorkerDeps) {
    this.#deps = deps;
    this.#runQueue = new RunQueue(deps.clock);
    this.#retries = new RetryQueue(deps.clock, RETRY_MS);
  }

  /** Takes up the tasks of an earlier life. Those that need secrets or configs wait until these arrive. */
  async init(stored: readonly StoredTask[], signal: AbortSignal): Promise<void> {
    let count = 0;
    for (const { task, status, assigned } of stored) {
      if (++count % TASKS_PER_SLICE === 0) await sleep(this.#deps.clock, 0, signal);
      const known = status === undefined ? task : { ...task, status };
      if (assigned) this.#start(known, true);
      else this.#removeLeftover(known);
    }
  }

  /** Applies a complete set: what it does not name is removed. */
  assign(changes: readonly AssignmentChange[], signal: AbortSignal): Promise<void> {
    return this.#inTurn(() => this.#assign(changes, signal));
  }

  /** Applies changes to the present set. */
  update(changes: readonly AssignmentChange[], signal: AbortSignal): Promise<void> {
    return this.#inTurn(() => this.#update(changes, signal));
  }

  async #assign(changes: readonly AssignmentChange[], signal: AbortSignal): Promise<void> {
    this.#dependencies.reset();
    this.#applyDependencies(changes);
    const named = await this.#applyTasks(changes, signal);
    for (const taskId of this.#tasks.keys()) if (!named.has(taskId)) this.#remove(taskId);
    for (const [taskId, removal] of this.#removals) if (!named.has(taskId)) removal.next = undefined;
    this.#applyVolumes(changes);
    this.#release(true);
  }

  async #update(changes: readonly AssignmentChange[], signal: AbortSignal): Promise<void> {
    this.#applyDependencies(changes);
    await this.#applyTasks(changes, signal);
    for (const { item, remove } of itemsOf(changes)) if (item.case === 'task' && remove) this.#remove(item.value.id);
    this.#applyVolumes(changes);
    this.#release(false);
  }

  /** The journal has stored the task: it may begin. */
  stored(taskId: string): void {
    if (!this.#unstored.delete(taskId)) return;
    const manager = this.#tasks.get(taskId)?.manager;
    if (manager !== undefined && !this.#held.has(manager)) manager.start();
  }

  /** Every task of this node, with its present status. */
  *tasks(): Generator<WorkerTask, void, undefined> {
    for (const { manager, task } of this.#tasks.values()) {
      yield { task: manager?.task ?? task, controller: manager?.controller };
    }
  }

  /** Calls back for every task that is started from now on, until disposed. */
  onTaskStarted(listener: (task: WorkerTask) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Resolves once no task is left and nothing is being removed. */
  async idle(): Promise<void> {
    while (this.#tasks.size > 0 || this.#removals.size > 0) {
      await new Promise<void>((resolve) => this.#idleWaiters.add(resolve));
    }
  }

  /** Lets go of all tasks, which may go on running. Statuses that still come are dropped. */
  async close(): Promise<void> {
    this.#life.abort(canceled('the worker'));
    this.#retries.clear();
    const closing = Promise.all([
      ...[...this.#tasks.values()].map((entry) => this.#letGo(entry)),
      ...[...this.#removals.values()].map((removal) => removal.ended),
    ]);
    const limit = new AbortController();
    const timeout = sleep(this.#deps.clock, CLOSE_TIMEOUT_MS, limit.signal).catch(() => undefined);
    await Promise.race([closing, timeout]);
    limit.abort(canceled('the wait'));
    this.#tasks.clear();
    this.#removals.clear();
    this.#notifyIdle();
  }

  /** Sets of assignments are applied one after the other. */
  #inTurn(apply: () => Promise<void>): Promise<void> {
    const turn = this.#lastTurn.then(apply);
    this.#lastTurn = turn.catch(() => undefined);
    return turn;
  }

  #applyDependencies(changes: readonly AssignmentChange[]): void {
    for (const { item, remove } of itemsOf(changes)) {
      if (item.case === 'secret') {
        if (remove) this.#dependencies.removeSecret(item.value.id);
        else this.#dependencies.putSecret(item.value);
      } else if (item.case === 'config') {
        if (remove) this.#dependencies.removeConfig(item.value.id);
        else this.#dependencies.putConfig(item.value);
      }
    }
  }

  #applyVolumes(changes: readonly AssignmentChange[]): void {
    for (const { item, remove } of itemsOf(changes)) {
      if (item.case !== 'volume') continue;
      if (!remove) this.#dependencies.putVolume(item.value);
      else {
        this.#dependencies.removeVolume(item.value.id);
        this.#deps.onVolumeUnpublished(item.value.id);
      }
    }
  }

  async #applyTasks(changes: readonly AssignmentChange[], signal: AbortSignal): Promise<ReadonlySet<string>> {
    const named = new Set<string>();
    for (const { item, remove } of itemsOf(changes)) {
      if (item.case !== 'task' || remove || item.value.id === '') continue;
      if (named.size % TASKS_PER_SLICE === TASKS_PER_SLICE - 1) await sleep(this.#deps.clock, 0, signal);
      if (this.#life.signal.aborted) return named;
      named.add(item.value.id);
      this.#assignTask(item.value);
    }
    return named;
  }

  #assignTask(task: Task): void {
    const removal = this.#removals.get(task.id);
    const entry = this.#tasks.get(task.id);
    if (removal !== undefined) removal.next = task;
    else if (entry?.manager !== undefined) {
      if (entry.manager.update(task, (changed) => this.#expandLeniently(changed))) this.#deps.journal.putTask(task);
    } else if (entry !== undefined) {
      entry.task = { ...task, status: statusOf(entry.task) };
      this.#deps.journal.putTask(task);
    } else if (taskState(task) < TaskState.ASSIGNED) {
      this.#deps.log.debug({ 'task.id': task.id, state: taskState(task) }, 'task ignored: it is not yet assigned');
    } else {
      this.#unstored.add(task.id);
      this.#deps.journal.putTask(task);
      this.#start(task);
    }
  }

  /** Gets a controller for the task and begins; a task without a controller ends here. */
  #start(task: Task, mayHold = false): void {
    let manager: TaskManager | undefined;
    let resolved: Task;
    try {
      const expanded = expandTaskSpec(task, this.#deps.describe());
      const controller = this.#deps.executor.controller(
        expanded,
        this.#dependencies.restrict(task, this.#deps.describe),
      );
      resolved = this.#withStatus(task, accepted(statusOf(task)));
      manager = new TaskManager(resolved, controller, {
        clock: this.#deps.clock,
        log: this.#deps.log,
        runQueue: this.#runQueue,
        retries: this.#retries,
        onStatus: this.#onStatus,
      });
    } catch (error) {
      this.#deps.log.warn({ 'task.id': task.id, error: errorText(error) }, 'no controller for a task');
      resolved = this.#withStatus(task, unresolved(statusOf(task), errorText(error)));
    }
    this.#tasks.set(task.id, { manager, task: resolved });
    this.#deps.journal.putStatus(task.id, statusOf(resolved));
    if (manager === undefined) return;
    const waits = mayHold && taskState(resolved) <= TaskState.STARTING && !this.#dependencies.complete(task);
    if (waits) this.#held.add(manager);
    else if (!this.#unstored.has(task.id)) manager.start();
    for (const listener of this.#listeners) listener({ task: resolved, controller: manager.controller });
  }

  #withStatus(task: Task, status: TaskStatus): Task {
    if (status === task.status) return task;
    return { ...task, status: { ...status, timestamp: timestampFromMs(this.#deps.clock.nowMs()) } };
  }

  #expandLeniently(task: Task): Task {
    try {
      return expandTaskSpec(task, this.#deps.describe());
    } catch (error) {
      this.#deps.log.warn({ 'task.id': task.id, error: errorText(error) }, 'expanding an updated task failed');
      return task;
    }
  }

  /** Starts tasks whose dependencies have come; after a complete set, all of them: no more will come. */
  #release(all: boolean): void {
    for (const manager of this.#held) {
      if (!all && !this.#dependencies.complete(manager.task)) continue;
      this.#held.delete(manager);
      if (!this.#unstored.has(manager.task.id)) manager.start();
    }
  }

  readonly #onStatus = (task: Task): void => {
    if (this.#life.signal.aborted || !this.#tasks.has(task.id)) return;
    this.#deps.journal.putStatus(task.id, statusOf(task));
  };

  #remove(taskId: string): void {
    const removal = this.#removals.get(taskId);
    if (removal !== undefined) removal.next = undefined;
    const entry = this.#tasks.get(taskId);
    if (entry === undefined) return;
    this.#tasks.delete(taskId);
    this.#unstored.delete(taskId);
    if (entry.manager !== undefined) this.#held.delete(entry.manager);
    this.#deps.journal.unassign(taskId);
    this.#deps.onTaskRemoved(taskId);
    this.#beginRemoval(taskId, entry.manager);
  }

  /** A task whose removal an earlier life did not finish. */
  #removeLeftover(task: Task): void {
    try {
      const controller = this.#deps.executor.controller(task, this.#dependencies.restrict(task, this.#deps.describe));
      const deps = { ...this.#deps, runQueue: this.#runQueue, retries: this.#retries, onStatus: this.#onStatus };
      this.#beginRemoval(task.id, new TaskManager(task, controller, deps));
    } catch (error) {
      this.#deps.log.warn({ 'task.id': task.id, error: errorText(error) }, 'nothing can be removed of a task');
      this.#deps.journal.delete(task.id);
    }
  }

  #beginRemoval(taskId: string, manager: TaskManager | undefined): void {
    const removal: Removal = { ended: Promise.resolve(), next: undefined };
    this.#removals.set(taskId, removal);
    removal.ended = this.#finishRemoval(taskId, manager).then(() => {
      if (this.#life.signal.aborted) return;
      this.#removals.delete(taskId);
      if (removal.next !== undefined) this.#assignTask(removal.next);
      this.#notifyIdle();
    });
  }

  async #finishRemoval(taskId: string, manager: TaskManager | undefined): Promise<void> {
    let removed = true;
    if (manager !== undefined) {
      await manager.close();
      removed = await this.#removeTraces(taskId, manager.controller);
      await this.#closeController(manager.controller, taskId);
    }
    if (removed && !this.#life.signal.aborted) this.#deps.journal.delete(taskId);
  }

  async #removeTraces(taskId: string, controller: Controller): Promise<boolean> {
    for (let attempt = 1; !this.#life.signal.aborted; attempt++) {
      try {
        await controller.remove(this.#life.signal);
        return true;
      } catch (error) {
        if (this.#life.signal.aborted) break;
        this.#deps.log.warn({ 'task.id': taskId, error: errorText(error) }, 'removing a task failed');
        if (!(error instanceof TemporaryError) || attempt >= REMOVE_ATTEMPTS_MAX) break;
        await sleep(this.#deps.clock, RETRY_MS, this.#life.signal).catch(() => undefined);
      }
    }
    return false;
  }

  async #letGo({ manager, task }: Entry): Promise<void> {
    if (manager === undefined) return;
    await manager.close();
    await this.#closeController(manager.controller, task.id);
  }

  async #closeController(controller: Controller, taskId: string): Promise<void> {
    try {
      await controller.close();
    } catch (error) {
      this.#deps.log.warn({ 'task.id': taskId, error: errorText(error) }, 'closing a controller failed');
    }
  }

  #notifyIdle(): void {
    for (const resolve of this.#idleWaiters) resolve();
    this.#idleWaiters.clear();
  }
}

/** The assignments in a message that say anything this agent knows. */
function* itemsOf(
  changes: readonly AssignmentChange[],
): Generator<{ readonly item: Assignment['item']; readonly remove: boolean }, void, undefined> {
  for (const { assignment, action } of changes) {
    if (assignment === undefined) continue;
    if (action === AssignmentChange_AssignmentAction.UPDATE) yield { item: assignment.item, remove: false };
    else if (action === AssignmentChange_AssignmentAction.REMOVE) yield { item: assignment.item, remove: true };
  }
}

function accepted(status: TaskStatus): TaskStatus {
  if (status.state >= TaskState.ACCEPTED) return status;
  return { ...status, state: TaskState.ACCEPTED, message: 'accepted', err: '' };
}

function unresolved(status: TaskStatus, err: string): TaskStatus {
  return { ...status, state: failureState(status.state), message: 'resolving controller failed', err };
}
