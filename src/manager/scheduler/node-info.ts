import { GenericResourcePool, TaskState, type GenericResource, type Node, type Task } from '../../api/index.js';
import { hostPortsOf, reservationsOf } from './requirements.js';

/** How far back failures count. Source: SwarmKit. */
const FAILURES_WINDOW_MS = 5 * 60_000;

/** Failures of a service version within the window from which on other nodes are preferred. Source: SwarmKit. */
export const FAILURES_MAX = 5;

/** A node and what the scheduler keeps about it: counted as things change, never by walking over tasks. */
export class NodeInfo {
  readonly #tasks = new Map<string, Task>();
  readonly #activeByService = new Map<string, number>();
  readonly #hostPorts = new Map<string, number>();
  /** Times of failures by service and version of its spec, the oldest first. */
  readonly #failures = new Map<string, number[]>();
  #node: Node;
  #freeNanoCpus = 0;
  #freeMemoryBytes = 0;
  #generic = new GenericResourcePool([]);
  #activeTasks = 0;

  constructor(node: Node) {
    this.#node = node;
    this.#recount();
  }

  get node(): Node {
    return this.#node;
  }

  get freeNanoCpus(): number {
    return this.#freeNanoCpus;
  }

  get freeMemoryBytes(): number {
    return this.#freeMemoryBytes;
  }

  /** Tasks that are meant to run, of all services. */
  get activeTasks(): number {
    return this.#activeTasks;
  }

  activeTasksOf(serviceId: string): number {
    return this.#activeByService.get(serviceId) ?? 0;
  }

  usesHostPort(port: string): boolean {
    return this.#hostPorts.has(port);
  }

  hasGeneric(reserved: readonly GenericResource[]): boolean {
    return this.#generic.fits(reserved);
  }

  /** The tasks that hold something of the node. */
  tasks(): Iterable<Task> {
    return this.#tasks.values();
  }

  /** Takes the node as it is now. What its tasks hold stays taken, also from changed resources. */
  update(node: Node): void {
    const redescribed = node.description?.resources !== this.#node.description?.resources;
    this.#node = node;
    if (redescribed) this.#recount();
  }

  /** The units of generic resources that a task with these reservations would get; they must fit. */
  chooseGeneric(reserved: readonly GenericResource[]): readonly GenericResource[] {
    if (reserved.length === 0) return [];
    const units = this.#generic.claim(reserved);
    this.#generic.release(units);
    return units;
  }

  /** Adds a task that runs here, or takes it as it is now. Says whether it holds or counts for more or less. */
  addTask(task: Task): boolean {
    const old = this.#tasks.get(task.id);
    this.#tasks.set(task.id, task);
    if (old === undefined) {
      this.#take(task);
      if (isActive(task)) this.#count(task.serviceId, 1);
      return true;
    }
    if (old.assignedGenericResources !== task.assignedGenericResources) this.#recountGeneric();
    if (isActive(old) === isActive(task)) return false;
    this.#count(task.serviceId, isActive(task) ? 1 : -1);
    return true;
  }

  /** Removes a task and frees what it held. Says whether it was here. */
  removeTask(taskId: string): boolean {
    const task = this.#tasks.get(taskId);
    if (task === undefined) return false;
    this.#tasks.delete(taskId);
    if (isActive(task)) this.#count(task.serviceId, -1);
    const reserved = reservationsOf(task);
    this.#freeNanoCpus += reserved.nanoCpus;
    this.#freeMemoryBytes += reserved.memoryBytes;
    for (const port of hostPortsOf(task)) this.#takeHostPort(port, -1);
    if (task.assignedGenericResources.length > 0) this.#recountGeneric();
    return true;
  }

  /** Notes that a task failed here. Returns the recent failures of its service version. */
  noteFailure(task: Task, nowMs: number): number {
    const key = failureKey(task);
    const recent = (this.#failures.get(key) ?? []).filter((at) => nowMs - at < FAILURES_WINDOW_MS);
    recent.push(nowMs);
    this.#failures.set(key, recent);
    for (const [other, times] of this.#failures) {
      if (nowMs - (times.at(-1) ?? 0) >= FAILURES_WINDOW_MS) this.#failures.delete(other);
    }
    return recent.length;
  }

  /** Failures of the task's service version in the last five minutes. */
  recentFailures(task: Task, nowMs: number): number {
    if (this.#failures.size === 0) return 0;
    const times = this.#failures.get(failureKey(task)) ?? [];
    return times.filter((at) => nowMs - at <= FAILURES_WINDOW_MS).length;
  }

  /** Forgets the failures of a service. */
  forgetFailures(serviceId: string): void {
    for (const key of this.#failures.keys()) if (key.startsWith(`${serviceId}/`)) this.#failures.delete(key);
  }

  #take(task: Task): void {
    const reserved = reservationsOf(task);
    this.#freeNanoCpus -= reserved.nanoCpus;
    this.#freeMemoryBytes -= reserved.memoryBytes;
    for (const port of hostPortsOf(task)) this.#takeHostPort(port, 1);
    this.#generic.take(task.assignedGenericResources);
  }

  #takeHostPort(port: string, change: number): void {
    const holders = (this.#hostPorts.get(port) ?? 0) + change;
    if (holders > 0) this.#hostPorts.set(port, holders);
    else this.#hostPorts.delete(port);
  }

  #count(serviceId: string, change: number): void {
    this.#activeTasks += change;
    const active = this.activeTasksOf(serviceId) + change;
    if (active > 0) this.#activeByService.set(serviceId, active);
    else this.#activeByService.delete(serviceId);
  }

  #recount(): void {
    const offered = this.#node.description?.resources;
    this.#freeNanoCpus = Number(offered?.nanoCpus ?? 0n);
    this.#freeMemoryBytes = Number(offered?.memoryBytes ?? 0n);
    for (const task of this.#tasks.values()) {
      const reserved = reservationsOf(task);
      this.#freeNanoCpus -= reserved.nanoCpus;
      this.#freeMemoryBytes -= reserved.memoryBytes;
    }
    this.#recountGeneric();
  }

  /** Counting anew also forgets units that the node no longer offers. */
  #recountGeneric(): void {
    this.#generic = new GenericResourcePool(this.#node.description?.resources?.generic ?? []);
    for (const task of this.#tasks.values()) this.#generic.take(task.assignedGenericResources);
  }
}

/** Whether the task counts where tasks are spread: it is meant to run, or to complete. */
function isActive(task: Task): boolean {
  return task.desiredState <= TaskState.COMPLETE;
}

function failureKey(task: Task): string {
  return `${task.serviceId}/${task.specVersion?.index ?? 0n}`;
}
