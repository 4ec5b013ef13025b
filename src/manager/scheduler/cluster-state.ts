import { taskState, TaskState, type Node, type Task, type Volume } from '../../api/index.js';
import type { ObjectEvent } from '../../store/index.js';
import { NodeInfo } from './node-info.js';
import { VolumeSet } from './volume-set.js';

/** What becomes known when a task failed: for the log. */
export interface FailureNote {
  readonly task: Task;
  readonly recentFailures: number;
}

/**
 * The scheduler's picture of the cluster: what the store says, and over it the decisions that are on their
 * way to the store. Synchronous and without time of its own.
 */
export class ClusterState {
  readonly volumes = new VolumeSet();
  readonly #nodes = new Map<string, NodeInfo>();
  #nodeList: readonly NodeInfo[] | undefined;
  /** Tasks from PENDING to RUNNING. */
  readonly #tasks = new Map<string, Task>();
  /** Tasks that wait for a decision, with or without a node of their own. */
  readonly #queue = new Map<string, Task>();
  /** Those of the queue that were refused and whose chances have not changed since. */
  readonly #refused = new Set<string>();
  /** Tasks that came with a node: their failures say nothing about the scheduler's choice. */
  readonly #preassigned = new Set<string>();
  /** Tasks that were given a node and are not committed yet. */
  readonly #inFlight = new Set<string>();
  /** Tasks on nodes that are not known. */
  readonly #homeless = new Map<string, Set<string>>();
  /** Something refused may fit now. */
  #roomGrew = false;
  /** Room came back from an assignment that failed: no reason for another round, but for more in the next. */
  #roomReturned = false;

  /** All nodes; the same list until one comes or goes. */
  get nodes(): readonly NodeInfo[] {
    this.#nodeList ??= [...this.#nodes.values()];
    return this.#nodeList;
  }

  node(id: string): NodeInfo | undefined {
    return this.#nodes.get(id);
  }

  task(id: string): Task | undefined {
    return this.#tasks.get(id);
  }

  /** Whether {@link takeQueue} has something to try. */
  get hasWork(): boolean {
    return this.#queue.size > (this.#roomGrew ? 0 : this.#refused.size);
  }

  /** Takes an event of the store. Returns a note when a task failed on a node that was chosen for it. */
  apply(event: ObjectEvent, nowMs: number): FailureNote | undefined {
    this.#roomGrew ||= this.#roomReturned;
    switch (event.table) {
      case 'task':
        if (event.kind !== 'remove') return this.updateTask(event.object, nowMs);
        this.removeTask(event.object.id);
        return undefined;
      case 'node':
        if (event.kind === 'remove') this.#removeNode(event.object.id);
        else this.#updateNode(event.object);
        return undefined;
      case 'volume':
        this.#updateVolume(event.object, event.kind === 'remove');
        return undefined;
      case 'service':
        if (event.kind === 'remove') for (const info of this.nodes) info.forgetFailures(event.object.id);
        return undefined;
      default:
        return undefined;
    }
  }

  /** The tasks worth trying, those with a node of their own first. They stay queued until decided. */
  takeQueue(): readonly Task[] {
    const all = [...this.#queue.values()];
    const tryAll = this.#roomGrew || this.#roomReturned;
    const tried = tryAll ? all : all.filter((task) => !this.#refused.has(task.id));
    this.#roomGrew = false;
    this.#roomReturned = false;
    return [...tried.filter((task) => task.nodeId !== ''), ...tried.filter((task) => task.nodeId === '')];
  }

  /** Takes the task as it is now. */
  updateTask(task: Task, nowMs: number): FailureNote | undefined {
    const state = taskState(task);
    if (state < TaskState.PENDING) return undefined;
    if (state > TaskState.RUNNING) return this.#endTask(task, nowMs);
    if (state > TaskState.PENDING) this.#settleTask(task);
    else if (!this.#inFlight.has(task.id)) this.#enqueue(task);
    return undefined;
  }

  removeTask(taskId: string): void {
    const task = this.#tasks.get(taskId);
    this.#queue.delete(taskId);
    this.#refused.delete(taskId);
    this.#preassigned.delete(taskId);
    if (task === undefined) return;
    this.#tasks.delete(taskId);
    this.#homeless.get(task.nodeId)?.delete(taskId);
    this.volumes.release(task);
    if (this.#nodes.get(task.nodeId)?.removeTask(taskId) === true) this.#roomGrew = true;
  }

  /** The task, with a node, is on its way to the store: it holds what it needs from now on. */
  assign(task: Task): void {
    this.#inFlight.add(task.id);
    this.#settleTask(task);
  }

  /** The assignment is committed; the store's events tell the rest. */
  confirm(taskId: string): void {
    this.#inFlight.delete(taskId);
  }

  /** The assignment did not come to be: the task is `now` (undefined: gone), and waits for another. */
  takeBack(taskId: string, now: Task | undefined, nowMs: number): void {
    const roomGrew = this.#roomGrew;
    this.#inFlight.delete(taskId);
    this.removeTask(taskId);
    this.#roomGrew = roomGrew;
    this.#roomReturned = true;
    if (now !== undefined) this.updateTask(now, nowMs);
  }

  /** Nothing suits the task: it is tried again when there is more room, or when it changes. */
  refuse(taskId: string): void {
    if (this.#queue.has(taskId)) this.#refused.add(taskId);
  }

  /** The task is not worth trying again until it changes. */
  drop(taskId: string): void {
    this.#queue.delete(taskId);
    this.#refused.delete(taskId);
  }

  #enqueue(task: Task): void {
    const old = this.#tasks.get(task.id);
    const sameChances =
      old !== undefined &&
      this.#queue.has(task.id) &&
      old.nodeId === task.nodeId &&
      old.desiredState === task.desiredState;
    if (old !== undefined && !sameChances) this.removeTask(task.id);
    if (task.nodeId !== '') this.#preassigned.add(task.id);
    this.#tasks.set(task.id, task);
    this.#queue.set(task.id, task);
  }

  #settleTask(task: Task): void {
    const old = this.#tasks.get(task.id);
    if (old !== undefined && old.nodeId !== task.nodeId) this.#nodes.get(old.nodeId)?.removeTask(task.id);
    this.#queue.delete(task.id);
    this.#refused.delete(task.id);
    this.#tasks.set(task.id, task);
    this.volumes.reserve(task);
    const info = this.#nodes.get(task.nodeId);
    if (info === undefined) this.#addHomeless(task);
    else if (info.addTask(task) && task.desiredState > TaskState.COMPLETE) this.#roomGrew = true;
  }

  #endTask(task: Task, nowMs: number): FailureNote | undefined {
    const old = this.#tasks.get(task.id);
    if (old === undefined) return undefined;
    const info = this.#nodes.get(task.nodeId);
    const state = taskState(task);
    const failed = state === TaskState.FAILED || state === TaskState.REJECTED;
    const chosen = !this.#preassigned.has(task.id);
    const recentFailures = failed && chosen ? info?.noteFailure(task, nowMs) : undefined;
    this.removeTask(task.id);
    return recentFailures === undefined ? undefined : { task, recentFailures };
  }

  #updateNode(node: Node): void {
    this.#roomGrew = true;
    const known = this.#nodes.get(node.id);
    if (known !== undefined) {
      known.update(node);
      return;
    }
    const info = new NodeInfo(node);
    this.#nodes.set(node.id, info);
    this.#nodeList = undefined;
    for (const id of this.#homeless.get(node.id) ?? []) info.addTask(this.#tasks.get(id) as Task);
    this.#homeless.delete(node.id);
  }

  #removeNode(nodeId: string): void {
    const info = this.#nodes.get(nodeId);
    if (info === undefined) return;
    this.#nodes.delete(nodeId);
    this.#nodeList = undefined;
    for (const task of info.tasks()) this.#addHomeless(task);
  }

  #addHomeless(task: Task): void {
    const tasks = this.#homeless.get(task.nodeId) ?? new Set();
    this.#homeless.set(task.nodeId, tasks.add(task.id));
  }

  #updateVolume(volume: Volume, gone: boolean): void {
    if (gone) this.volumes.remove(volume.id);
    else {
      this.volumes.update(volume);
      this.#roomGrew = true;
    }
  }
}
