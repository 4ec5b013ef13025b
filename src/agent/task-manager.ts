import { create } from '@bufbuild/protobuf';

import {
  ContainerStatusSchema,
  TaskState,
  TaskStatusSchema,
  taskState,
  taskStateName,
  timestampFromMs,
} from '../api/index.js';
import type { PortStatus, Task, TaskStatus } from '../api/index.js';
import { canceled, errorText } from '../base/index.js';
import type { Clock, Logger } from '../base/index.js';
import type { Controller } from './exec/index.js';
import type { RetryQueue, RunQueue } from './run-queue.js';
import { sameDefinition, sameStatus } from './task-equality.js';
import { nextStep, outcomeOf, settle } from './task-state-machine.js';
import type { Operation, Outcome, Settlement, Step } from './task-state-machine.js';

type ActiveStep = Exclude<Step, { kind: 'pause' }>;

/** What task managers of one worker share. */
export interface TaskManagerDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly runQueue: RunQueue;
  readonly retries: RetryQueue;
  /** Told of every change of a task's status, in order. */
  readonly onStatus: (task: Task) => void;
}

interface RunningOperation {
  readonly abort: AbortController;
  readonly operation: Operation | undefined;
  readonly ended: Promise<void>;
}

/**
 * Drives one task through its states: one controller operation at a time, chosen by {@link nextStep}. It
 * is no loop of its own: it does a step when its worker's run queue lets it, and otherwise only waits for
 * the operation under way.
 */
export class TaskManager {
  #task: Task;
  #definition: Task | undefined;
  #operation: RunningOperation | undefined;
  #cancelRetry: (() => void) | undefined;
  #queued = false;
  #started = false;
  #closed = false;
  readonly controller: Controller;
  readonly #deps: TaskManagerDeps;

  /** @param task as assigned, with the status that counts on this node. */
  constructor(task: Task, controller: Controller, deps: TaskManagerDeps) {
    this.#task = task;
    this.controller = controller;
    this.#deps = deps;
  }

  /** The task with its present status. */
  get task(): Task {
    return this.#task;
  }

  /** Begins. Until then the task stays where it is. */
  start(): void {
    this.#started = true;
    this.#schedule();
  }

  /**
   * Takes over a new version of the task. Its status is ignored (this node's own counts), and the whole
   * version is when its desired state goes backwards. `expand` gives what the controller is to see.
   */
  update(task: Task, expand: (task: Task) => Task): boolean {
    if (this.#closed || task.id !== this.#task.id) return false;
    if (task.desiredState < this.#task.desiredState) {
      this.#deps.log.warn(
        { 'task.id': task.id, desired: taskStateName(task.desiredState) },
        'task update ignored: its desired state goes backwards',
      );
      return false;
    }
    const redefined = !sameDefinition(task, this.#task);
    if (!redefined && task.desiredState === this.#task.desiredState) return false;
    if (redefined && taskState(this.#task) <= TaskState.RUNNING) this.#definition = expand(task);
    this.#task = { ...task, status: statusOf(this.#task) };
    if (this.#operation !== undefined) this.#reconsider(this.#operation);
    else this.#schedule();
    return true;
  }

  /** Gives up the operation under way and does nothing any more. The task itself may go on running. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#operation?.abort.abort(canceled('the task manager'));
    await this.#operation?.ended;
  }

  /** An operation goes on when the updated task would only begin the same one again. */
  #reconsider(running: RunningOperation): void {
    const step = nextStep(taskState(this.#task), this.#task.desiredState);
    const same = step.kind === 'operate' && step.operation === running.operation;
    if (!same || this.#definition !== undefined) running.abort.abort(canceled('an operation overtaken by an update'));
  }

  #schedule(): void {
    if (this.#queued || !this.#started || this.#closed || this.#operation !== undefined) return;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#queued = true;
    this.#deps.runQueue.push(this.#step);
  }

  readonly #step = (): void => {
    this.#queued = false;
    if (this.#closed || this.#operation !== undefined) return;
    const step = nextStep(taskState(this.#task), this.#task.desiredState);
    if (step.kind === 'pause' && this.#definition === undefined) return;
    if (step.kind === 'advance' && this.#definition === undefined && step.to < TaskState.STARTING) {
      this.#apply(settle(taskState(this.#task), step, { kind: 'done' }), {});
      this.#schedule();
      return;
    }
    const abort = new AbortController();
    const operation = step.kind === 'operate' ? step.operation : undefined;
    const definition = this.#definition;
    this.#definition = undefined;
    // The operation is registered before it begins: a controller may call back at once.
    let ended = (): void => undefined;
    this.#operation = { abort, operation, ended: new Promise((resolve) => (ended = resolve)) };
    void this.#run(step, definition, abort.signal).then(ended);
  };

  async #run(step: Step, definition: Task | undefined, signal: AbortSignal): Promise<void> {
    let retry = false;
    try {
      if (definition !== undefined) await this.#updateController(definition, signal);
      if (step.kind !== 'pause') retry = await this.#perform(step, signal);
    } catch (error) {
      this.#deps.log.error({ 'task.id': this.#task.id, error: errorText(error) }, 'task manager failed');
      retry = true;
    }
    this.#operation = undefined;
    if (this.#closed) return;
    if (retry && !signal.aborted) this.#cancelRetry = this.#deps.retries.add(() => this.#schedule());
    else this.#schedule();
  }

  /** Does the step and applies its result; true when it is to be tried again after the delay. */
  async #perform(step: ActiveStep, signal: AbortSignal): Promise<boolean> {
    const outcome = await this.#attempt(step, signal);
    const settlement = settle(taskState(this.#task), step, outcome);
    const runtime =
      outcome.kind !== 'canceled' && settlement.state >= TaskState.STARTING
        ? await this.#runtimeStatus(outcome, signal)
        : {};
    if (!this.#closed) this.#apply(settlement, runtime);
    return settlement.retry;
  }

  async #attempt(step: ActiveStep, signal: AbortSignal): Promise<Outcome> {
    if (step.kind === 'operate') {
      try {
        await this.controller[step.operation](signal);
      } catch (error) {
        const outcome = outcomeOf(error, signal.aborted);
        if (outcome.kind === 'fatal') {
          this.#deps.log.debug(
            { 'task.id': this.#task.id, operation: step.operation, error: outcome.error },
            'task failed',
          );
        }
        return outcome;
      }
    }
    return { kind: 'done' };
  }

  async #updateController(definition: Task, signal: AbortSignal): Promise<void> {
    try {
      await this.controller.update(definition, signal);
    } catch (error) {
      if (signal.aborted) this.#definition ??= definition;
      else this.#deps.log.warn({ 'task.id': this.#task.id, error: errorText(error) }, 'updating the controller failed');
    }
  }

  /** What the controller tells about the container; a failure to tell is no failure of the task. */
  async #runtimeStatus(outcome: Outcome, signal: AbortSignal): Promise<RuntimeStatus> {
    const { controller } = this;
    if (controller.containerStatus === undefined && controller.portStatus === undefined && outcome.kind === 'done')
      return {};
    const present = statusOf(this.#task);
    const known = present.runtimeStatus.case === 'container' ? present.runtimeStatus.value : undefined;
    const told = await quietly(controller.containerStatus?.(signal));
    const exitCode = outcome.kind === 'fatal' && outcome.exitCode ? outcome.exitCode : undefined;
    const container = told ?? known ?? create(ContainerStatusSchema);
    const portStatus = await quietly(controller.portStatus?.(signal));
    return {
      container: exitCode === undefined ? container : { ...container, exitCode },
      ...(portStatus === undefined ? {} : { portStatus }),
    };
  }

  #apply(settlement: Settlement, runtime: RuntimeStatus): void {
    const present = statusOf(this.#task);
    const { container, portStatus } = runtime;
    const status: TaskStatus = {
      ...present,
      state: settlement.state,
      message: settlement.message ?? present.message,
      err: settlement.err ?? present.err,
      ...(container === undefined ? {} : { runtimeStatus: { case: 'container', value: container } }),
      ...(portStatus === undefined ? {} : { portStatus }),
    };
    if (sameStatus(status, present)) return;
    status.timestamp = timestampFromMs(this.#deps.clock.nowMs());
    this.#task = { ...this.#task, status };
    this.#deps.onStatus(this.#task);
  }
}

interface RuntimeStatus {
  readonly container?: ReturnType<typeof create<typeof ContainerStatusSchema>>;
  readonly portStatus?: PortStatus;
}

const NO_STATUS: TaskStatus = create(TaskStatusSchema);

/** A task's status; a blank one where there is none. */
export function statusOf(task: Task): TaskStatus {
  return task.status ?? NO_STATUS;
}

async function quietly<T>(promise: Promise<T | undefined> | undefined): Promise<T | undefined> {
  try {
    return await promise;
  } catch {
    return undefined;
  }
}
