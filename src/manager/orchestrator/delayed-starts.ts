import { TimeHeap } from './time-heap.js';

/** How long a replacement waits for the task before it to stop. Source: SwarmKit's restart supervisor. */
const OLD_TASK_TIMEOUT_MS = 60_000;

/** A task that is held at READY. */
interface DelayedStart {
  readonly dueAtMs: number;
  readonly giveUpAtMs: number;
  /** Tasks that must have stopped, with their nodes. */
  readonly waitsFor: Map<string, string>;
  /** The task ended while it was held: when its time comes it is restarted instead of started. */
  restart: boolean;
}

/** What became due. */
export interface DueStart {
  readonly taskId: string;
  readonly restart: boolean;
}

/** When to start a task that is held. */
export interface DelayOptions {
  readonly delayMs: number;
  /** Ids of tasks to wait for, with their nodes. */
  readonly waitsFor: Iterable<readonly [string, string]>;
  /** When waiting for them began, where that was before now. */
  readonly sinceMs?: number;
}

/**
 * Tasks held at READY until their restart delay is over and the task before them has stopped, lost its
 * node, or not done so for a minute. Every event costs one look-up.
 */
export class DelayedStarts {
  readonly #starts = new Map<string, DelayedStart>();
  /** Old task to the task that waits for it. */
  readonly #waiters = new Map<string, string>();
  readonly #heap = new TimeHeap();

  has(taskId: string): boolean {
    return this.#starts.has(taskId);
  }

  /** Holds a task; takes the place of an earlier delay of the same task. */
  hold(taskId: string, options: DelayOptions, nowMs: number): void {
    const waitsFor = new Map(options.waitsFor);
    const restart = this.#starts.get(taskId)?.restart ?? false;
    this.cancel(taskId);
    const start = {
      dueAtMs: nowMs + options.delayMs,
      giveUpAtMs: (options.sinceMs ?? nowMs) + OLD_TASK_TIMEOUT_MS,
      waitsFor,
      restart,
    };
    this.#starts.set(taskId, start);
    for (const oldTaskId of waitsFor.keys()) this.#waiters.set(oldTaskId, taskId);
    this.#heap.add(readyAtMs(start), taskId);
  }

  /** What a held task still waits for: whoever replaces it has to wait for the same. */
  waitsOf(taskId: string): readonly (readonly [string, string])[] {
    return [...(this.#starts.get(taskId)?.waitsFor ?? [])];
  }

  /** Restart instead of start. Returns false when the task is not held. */
  restartWhenDue(taskId: string): boolean {
    const start = this.#starts.get(taskId);
    if (start !== undefined) start.restart = true;
    return start !== undefined;
  }

  cancel(taskId: string): void {
    const start = this.#starts.get(taskId);
    if (start === undefined) return;
    this.#starts.delete(taskId);
    for (const oldTaskId of start.waitsFor.keys()) {
      if (this.#waiters.get(oldTaskId) === taskId) this.#waiters.delete(oldTaskId);
    }
  }

  /** A task has stopped or is gone. */
  taskStopped(oldTaskId: string): void {
    const taskId = this.#waiters.get(oldTaskId);
    if (taskId === undefined) return;
    this.#waiters.delete(oldTaskId);
    const start = this.#starts.get(taskId);
    if (start === undefined) return;
    start.waitsFor.delete(oldTaskId);
    if (start.waitsFor.size === 0) this.#heap.add(readyAtMs(start), taskId);
  }

  /** A node is down or gone: nothing on it can be waited for. */
  nodeLost(nodeId: string): void {
    const lost = [...this.#starts.values()].flatMap((start) =>
      [...start.waitsFor].filter(([, node]) => node === nodeId).map(([oldTaskId]) => oldTaskId),
    );
    for (const oldTaskId of lost) this.taskStopped(oldTaskId);
  }

  /** Takes out what may start now. */
  takeDue(nowMs: number): readonly DueStart[] {
    const due: DueStart[] = [];
    for (let taskId = this.#heap.takeDue(nowMs); taskId !== undefined; taskId = this.#heap.takeDue(nowMs)) {
      const start = this.#starts.get(taskId);
      // A heap entry may be older than the delay it was for.
      if (start === undefined || readyAtMs(start) > nowMs) continue;
      due.push({ taskId, restart: start.restart });
      this.cancel(taskId);
    }
    return due;
  }

  /** When {@link takeDue} may have something next. */
  get wakeAtMs(): number | undefined {
    return this.#heap.nextMs;
  }
}

function readyAtMs(start: DelayedStart): number {
  return start.waitsFor.size === 0 ? start.dueAtMs : Math.max(start.dueAtMs, start.giveUpAtMs);
}
