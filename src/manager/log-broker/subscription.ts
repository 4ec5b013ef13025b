import { create } from '@bufbuild/protobuf';

import {
  LogSelectorSchema,
  SubscriptionMessageSchema,
  TaskState,
  taskState,
  type LogSelector,
  type LogSubscriptionOptions,
  type SubscriptionMessage,
  type Task,
} from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import { by, type ReadTransaction } from '../../store/index.js';
import { LogQueue, type QueueLimits } from './log-queue.js';

/** What a reader asks for. */
export interface LogRequest {
  readonly id: string;
  readonly selector: LogSelector;
  readonly options: LogSubscriptionOptions | undefined;
}

/** InvalidArgument for a selector that selects nothing. */
export function checkSelector(selector: LogSelector | undefined): LogSelector {
  if (selector === undefined) throw new SwarmError(Code.INVALID_ARGUMENT, 'log selector must be provided');
  if (selector.serviceIds.length + selector.taskIds.length + selector.nodeIds.length === 0) {
    throw new SwarmError(Code.INVALID_ARGUMENT, 'log selector must not be empty');
  }
  return selector;
}

/** One reader of logs: which nodes have something for it, which of them are done, and why lines are missing. */
export class LogSubscription {
  readonly queue: LogQueue;
  readonly #request: LogRequest;
  /** Every node that has something for the reader, and whether it has delivered all of it. */
  readonly #nodes = new Map<string, { done: boolean }>();
  readonly #unscheduledTasks = new Set<string>();
  readonly #reasons: string[] = [];

  constructor(request: LogRequest, limits: QueueLimits) {
    this.#request = request;
    this.queue = new LogQueue(limits);
  }

  get id(): string {
    return this.#request.id;
  }

  get follow(): boolean {
    return this.#request.options?.follow ?? false;
  }

  get selector(): LogSelector {
    return this.#request.selector;
  }

  /** The nodes that have something for the reader. */
  get nodes(): readonly string[] {
    return [...this.#nodes.keys()];
  }

  /** Whether the node was ever asked for logs. */
  includes(nodeId: string): boolean {
    return this.#nodes.has(nodeId);
  }

  /** Whether the node is to be told of the subscription: it has something, and has not delivered all of it. */
  awaits(nodeId: string): boolean {
    return this.#nodes.get(nodeId)?.done === false;
  }

  /** Whether everything has been delivered. A follower never is at the end. */
  get complete(): boolean {
    return !this.follow && [...this.#nodes.values()].every(({ done }) => done);
  }

  /** Finds the nodes of all selected tasks. Without follow, tasks of a service that never ran are left out. */
  match(view: ReadTransaction): void {
    const { nodeIds, taskIds, serviceIds } = this.selector;
    for (const nodeId of nodeIds) this.#addNode(nodeId);
    for (const taskId of taskIds) {
      const task = view.get('task', taskId);
      if (task !== undefined) this.addTask(task);
    }
    for (const serviceId of serviceIds) {
      for (const task of view.find('task', by.service(serviceId))) {
        if (this.follow || taskState(task) >= TaskState.RUNNING) this.addTask(task);
      }
    }
  }

  /** Adds the node of a selected task. Returns the node's id where it is new. */
  addTask(task: Task): string | undefined {
    if (task.nodeId === '') {
      this.#unscheduledTasks.add(task.id);
      return undefined;
    }
    this.#unscheduledTasks.delete(task.id);
    return this.#addNode(task.nodeId) ? task.nodeId : undefined;
  }

  /** Forgets a task that was removed before it got a node. */
  removeTask(taskId: string): void {
    this.#unscheduledTasks.delete(taskId);
  }

  /** A node has delivered all it has, or will not deliver the rest for this reason. */
  finish(nodeId: string, reason?: string): void {
    // A follower's reasons are never shown, and would pile up over its long life.
    if (this.follow) return;
    const node = this.#nodes.get(nodeId);
    if (node === undefined || node.done) return;
    node.done = true;
    if (reason !== undefined) this.#reasons.push(reason);
    this.queue.notify();
  }

  /** The error at the end of a stream from which lines are missing. Its text is what Docker users see. */
  get incomplete(): SwarmError | undefined {
    const unscheduled = [...this.#unscheduledTasks].map((id) => `task ${id} has not been scheduled`);
    const reasons = [...this.#reasons, ...unscheduled];
    if (reasons.length === 0) return undefined;
    return new SwarmError(
      Code.UNKNOWN,
      `warning: incomplete log stream. some logs could not be retrieved for the following reasons: ${reasons.join(', ')}`,
    );
  }

  /** What a node is told of it. */
  message(close: boolean): SubscriptionMessage {
    return create(SubscriptionMessageSchema, {
      id: this.id,
      selector: create(LogSelectorSchema, this.selector),
      ...(this.#request.options === undefined ? {} : { options: this.#request.options }),
      close,
    });
  }

  #addNode(nodeId: string): boolean {
    if (this.#nodes.has(nodeId)) return false;
    this.#nodes.set(nodeId, { done: false });
    return true;
  }
}
