import type { Task, TaskStatus } from '../api/index.js';
import { WakeUp, errorText, sleep } from '../base/index.js';
import type { Clock, Component, Logger } from '../base/index.js';
import type { AgentDatabase, DatabaseWrite } from './database.js';

/** Tasks written in one transaction: about 10 ms of encoding. */
const TASKS_PER_COMMIT = 256;
/** Wait before the database is tried again, in milliseconds. */
const RETRY_MS = 1000;

/** What is to be written about one task, newest only. */
interface Pending {
  readonly deleted: boolean;
  readonly task?: Task;
  readonly status?: TaskStatus;
  readonly unassigned?: boolean;
  /** Whether task and status were passed on already although they could not be stored. */
  readonly told?: boolean;
}

/** What a {@link Journal} needs. */
export interface JournalDeps {
  readonly database: AgentDatabase;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told once a status is stored (or cannot be: the cluster must know it all the same). */
  readonly onStatus: (taskId: string, status: TaskStatus) => void;
  /** Told once a task is stored, or could not be: it is wanted all the same. */
  readonly onTask: (taskId: string) => void;
}

/**
 * Writes behind the worker: all that waits goes into the next transaction, the newest of each task only,
 * so what waits is bounded by the number of tasks.
 */
export class Journal implements Component {
  #pending = new Map<string, Pending>();
  readonly #wakeUp = new WakeUp();
  readonly #deps: JournalDeps;

  constructor(deps: JournalDeps) {
    this.#deps = deps;
  }

  putTask(task: Task): void {
    this.#put(task.id, { task, unassigned: false });
  }

  putStatus(taskId: string, status: TaskStatus): void {
    this.#put(taskId, { status, told: false });
  }

  /** The task's removal begins; were it interrupted, the next start goes on with it. */
  unassign(taskId: string): void {
    this.#put(taskId, { unassigned: true });
  }

  delete(taskId: string): void {
    this.#pending.set(taskId, { deleted: true });
    this.#wakeUp.notify();
  }

  /** Writes until stopped, and then once more what is left. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        await this.#wakeUp.wait(signal);
        while (this.#pending.size > 0) {
          const large = this.#pending.size > TASKS_PER_COMMIT;
          if (!(await this.#commit())) await sleep(this.#deps.clock, RETRY_MS, signal);
          else if (large) await sleep(this.#deps.clock, 0, signal);
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    while (this.#pending.size > 0 && (await this.#commit()));
  }

  #put(taskId: string, change: Omit<Pending, 'deleted'>): void {
    this.#pending.set(taskId, { deleted: false, ...this.#pending.get(taskId), ...change });
    this.#wakeUp.notify();
  }

  async #commit(): Promise<boolean> {
    const batch: [taskId: string, pending: Pending][] = [];
    for (const entry of this.#pending) {
      if (batch.length >= TASKS_PER_COMMIT) break;
      batch.push(entry);
    }
    for (const [taskId] of batch) this.#pending.delete(taskId);
    let stored = true;
    try {
      await this.#deps.database.commit(batch.flatMap(([taskId, pending]) => writesOf(taskId, pending)));
    } catch (error) {
      stored = false;
      this.#deps.log.error({ error: errorText(error) }, 'writing the task database failed, it is tried again');
      for (const [taskId, pending] of batch) this.#restore(taskId, { ...pending, told: true });
    }
    for (const [taskId, { task, status, told }] of batch) {
      if (task !== undefined && told !== true) this.#deps.onTask(taskId);
      if (status !== undefined && told !== true) this.#deps.onStatus(taskId, status);
    }
    return stored;
  }

  /** Puts back what failed, behind whatever came meanwhile. */
  #restore(taskId: string, failed: Pending): void {
    const newer = this.#pending.get(taskId);
    if (newer?.deleted === true) return;
    this.#pending.set(taskId, { ...failed, ...newer, deleted: failed.deleted });
  }
}

function writesOf(taskId: string, pending: Pending): DatabaseWrite[] {
  const writes: DatabaseWrite[] = [];
  if (pending.deleted) writes.push({ kind: 'delete', taskId });
  if (pending.task !== undefined) writes.push({ kind: 'task', task: pending.task });
  if (pending.status !== undefined) writes.push({ kind: 'status', taskId, status: pending.status });
  if (pending.unassigned === true) writes.push({ kind: 'unassign', taskId });
  return writes;
}
