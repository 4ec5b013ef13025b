import type { Task, TaskStatus } from '../api/index.js';
import { definitionOf } from './task-equality.js';

/** A task as the agent remembers it across restarts. */
export interface StoredTask {
  /** Without status and meta: the status is kept apart because it changes far more often. */
  readonly task: Task;
  readonly status: TaskStatus | undefined;
  /** False when its removal had begun and was not finished. */
  readonly assigned: boolean;
}

/** One change of the agent's database. */
export type DatabaseWrite =
  | { readonly kind: 'task'; readonly task: Task }
  | { readonly kind: 'status'; readonly taskId: string; readonly status: TaskStatus }
  | { readonly kind: 'unassign'; readonly taskId: string }
  | { readonly kind: 'delete'; readonly taskId: string };

/** What the agent remembers: the tasks of this node and how far each has come. */
export interface AgentDatabase {
  /** Everything stored, by task id. */
  load(): Promise<readonly StoredTask[]>;
  /** Writes all or nothing, in this order; resolves when a killed process would not lose it. */
  commit(writes: readonly DatabaseWrite[]): Promise<void>;
  close(): Promise<void>;
}

interface Entry {
  task: Task | undefined;
  status: TaskStatus | undefined;
  assigned: boolean;
}

/** Remembers as long as the process lives: for tests and simulated agents. */
export class MemoryAgentDatabase implements AgentDatabase {
  readonly #entries = new Map<string, Entry>();

  async load(): Promise<readonly StoredTask[]> {
    const stored: StoredTask[] = [];
    for (const { task, status, assigned } of this.#entries.values()) {
      if (task !== undefined) stored.push({ task, status, assigned });
    }
    return stored.sort((a, b) => (a.task.id < b.task.id ? -1 : 1));
  }

  async commit(writes: readonly DatabaseWrite[]): Promise<void> {
    for (const write of writes) this.#apply(write);
  }

  async close(): Promise<void> {}

  #apply(write: DatabaseWrite): void {
    switch (write.kind) {
      case 'task': {
        const entry = this.#entries.get(write.task.id);
        const task = storedForm(write.task);
        if (entry === undefined) this.#entries.set(task.id, { task, status: undefined, assigned: true });
        else Object.assign(entry, { task, assigned: true });
        return;
      }
      case 'status': {
        const entry = this.#entries.get(write.taskId);
        if (entry !== undefined) entry.status = write.status;
        return;
      }
      case 'unassign': {
        const entry = this.#entries.get(write.taskId);
        if (entry !== undefined) entry.assigned = false;
        return;
      }
      case 'delete':
        this.#entries.delete(write.taskId);
    }
  }
}

/** A task as it is stored: its definition and desired state. */
export function storedForm(task: Task): Task {
  return { ...definitionOf(task), desiredState: task.desiredState };
}
