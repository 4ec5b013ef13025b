import { create } from '@bufbuild/protobuf';

import { UpdateTaskStatusRequest_TaskStatusUpdateSchema, createClient, Dispatcher } from '../api/index.js';
import type { RpcChannel, TaskStatus, UpdateTaskStatusRequest_TaskStatusUpdate } from '../api/index.js';
import { Code, WakeUp, isSwarmError } from '../base/index.js';
import type { Clock, Logger } from '../base/index.js';
import { RPC_TIMEOUT_MS, within } from './deadline.js';

/** Statuses in one call. Source: SwarmKit's own (unused) batch was 1,024. */
const UPDATES_MAX = 1000;
/** Text in one call, in characters: keeps it well below the 4 MiB that a manager accepts. */
const TEXT_MAX = 1_000_000;

type Update = UpdateTaskStatusRequest_TaskStatusUpdate;

/** Where a {@link Reporter} sends to. */
export interface ReportTarget {
  readonly channel: RpcChannel;
  readonly sessionId: string;
}

/**
 * Holds the newest status of each task until a manager has accepted it. What waits while a call is under
 * way goes together with the next one. Not flushed at the end: a new session reports everything again.
 */
export class Reporter {
  readonly #statuses = new Map<string, TaskStatus>();
  readonly #volumes = new Set<string>();
  readonly #wakeUp = new WakeUp();
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(deps: { readonly clock: Clock; readonly log: Logger }) {
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /** Number of statuses that wait. */
  get waiting(): number {
    return this.#statuses.size;
  }

  /** Queues a status; one that lies behind the queued one is dropped. */
  report(taskId: string, status: TaskStatus): void {
    const queued = this.#statuses.get(taskId);
    if (queued === status || (queued !== undefined && queued.state > status.state)) return;
    this.#statuses.set(taskId, status);
    this.#wakeUp.notify();
  }

  /** Drops what waits for a task that managers have deleted. */
  forget(taskId: string): void {
    this.#statuses.delete(taskId);
  }

  /** Queues the news that a volume is no longer in use on this node. */
  reportUnpublished(volumeId: string): void {
    this.#volumes.add(volumeId);
    this.#wakeUp.notify();
  }

  /** Sends until the signal aborts or a call fails; what was not accepted stays queued. */
  async run(target: ReportTarget, signal: AbortSignal): Promise<void> {
    for (;;) {
      while (this.#statuses.size > 0) await this.#send(target, this.#take(), signal);
      if (this.#volumes.size > 0) await this.#sendVolumes(target, signal);
      if (this.#statuses.size === 0) await this.#wakeUp.wait(signal);
    }
  }

  #take(): Update[] {
    const updates: Update[] = [];
    let text = 0;
    for (const [taskId, status] of this.#statuses) {
      text += status.err.length + status.message.length;
      if (updates.length >= UPDATES_MAX || (text > TEXT_MAX && updates.length > 0)) break;
      updates.push(create(UpdateTaskStatusRequest_TaskStatusUpdateSchema, { taskId, status }));
      this.#statuses.delete(taskId);
    }
    return updates;
  }

  async #send(target: ReportTarget, updates: readonly Update[], signal: AbortSignal): Promise<void> {
    const { sessionId } = target;
    const client = createClient(Dispatcher, target.channel);
    try {
      await within(this.#clock, RPC_TIMEOUT_MS, signal, (options) =>
        client.updateTaskStatus({ sessionId, updates: [...updates] }, options),
      );
    } catch (error) {
      if (isSwarmError(error, Code.PERMISSION_DENIED)) return this.#sendApart(target, updates, signal);
      this.#restore(updates);
      throw error;
    }
  }

  /** One task that is not this node's spoils a whole call: find it by halving, and give up on it alone. */
  async #sendApart(target: ReportTarget, updates: readonly Update[], signal: AbortSignal): Promise<void> {
    if (updates.length <= 1) {
      this.#log.warn({ 'task.id': updates[0]?.taskId }, 'a manager refused the status of a task as not of this node');
      return;
    }
    const middle = updates.length >> 1;
    try {
      await this.#send(target, updates.slice(0, middle), signal);
    } catch (error) {
      this.#restore(updates.slice(middle));
      throw error;
    }
    await this.#send(target, updates.slice(middle), signal);
  }

  #restore(updates: readonly Update[]): void {
    for (const { taskId, status } of updates) {
      if (status !== undefined && !this.#statuses.has(taskId)) this.#statuses.set(taskId, status);
    }
    this.#wakeUp.notify();
  }

  async #sendVolumes(target: ReportTarget, signal: AbortSignal): Promise<void> {
    const ids = [...this.#volumes].slice(0, UPDATES_MAX);
    const { sessionId } = target;
    const client = createClient(Dispatcher, target.channel);
    await within(this.#clock, RPC_TIMEOUT_MS, signal, (options) =>
      client.updateVolumeStatus({ sessionId, updates: ids.map((id) => ({ id, unpublished: true })) }, options),
    );
    for (const id of ids) this.#volumes.delete(id);
  }
}
