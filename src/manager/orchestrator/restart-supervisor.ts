import {
  type Cluster,
  type DirtyCheck,
  effectiveRestart,
  msFromDuration,
  type Node,
  type Service,
  type Task,
  TaskState,
} from '../../api/index.js';
import type { Random } from '../../base/index.js';
import { by, type Batch, type ObjectEvent, type ReadTransaction, type WriteTransaction } from '../../store/index.js';
import { DelayedStarts } from './delayed-starts.js';
import { hasStopped, isDown, isDrained, isInvalidNode, isRunnable, mayBeAlive, placeOf, TaskFactory } from './task.js';
import { RestartHistory } from './restart-history.js';

/** What a restart rests on at the moment it is made. */
export interface RestartContext {
  readonly cluster: Cluster | undefined;
  readonly nowMs: number;
}

/** Replaces tasks that ended or lost their node, as the restart policy of their service says. */
export class RestartSupervisor {
  readonly history = new RestartHistory();
  readonly delays = new DelayedStarts();

  constructor(
    private readonly random: Random,
    private readonly check: DirtyCheck,
  ) {}

  /** Keeps the delayed starts true. Only changes that let somebody start count. */
  observe(event: ObjectEvent): void {
    if (event.table === 'task') {
      if (event.kind === 'remove') {
        this.delays.cancel(event.object.id);
        this.delays.taskStopped(event.object.id);
      } else if (!mayBeAlive(event.object)) {
        this.delays.taskStopped(event.object.id);
      }
    } else if (event.table === 'node') {
      if (event.kind === 'remove' || isDown(event.object)) this.delays.nodeLost(event.object.id);
    }
  }

  /**
   * Gives the task up and, where the policy says so, creates its replacement in the same place: held at
   * READY until the delay is over and the old task has stopped. While the task is itself held, this waits
   * for its turn, so that what fails at once does not spin.
   */
  restart(tx: WriteTransaction, service: Service, task: Task, context: RestartContext): void {
    if (!isRunnable(task) && task.desiredState !== TaskState.COMPLETE) return;
    if (this.delays.restartWhenDue(task.id)) return;
    tx.update('task', { ...task, desiredState: TaskState.SHUTDOWN });
    if (!this.history.shouldRestart(service, task) || this.#isCovered(tx, service, task)) return;
    const node = tx.get('node', task.nodeId);
    const hold = {
      delayMs: node !== undefined && isDrained(node) ? 0 : restartDelayMs(task),
      waitsFor: stoppingOf([task], () => node),
    };
    const created = new TaskFactory(service, context.cluster, context.nowMs, this.random).make(
      placeOf(task),
      TaskState.READY,
    );
    const replacement = task.jobIteration === undefined ? created : { ...created, jobIteration: task.jobIteration };
    this.history.record(replacement, context.nowMs);
    this.createHeld(tx, replacement, hold, context.nowMs);
  }

  /** Creates a task that starts when what it waits for has happened: at once if that is nothing. */
  createHeld(
    tx: WriteTransaction,
    task: Task,
    hold: { readonly delayMs: number; readonly waitsFor: readonly (readonly [string, string])[] },
    nowMs: number,
  ): void {
    if (hold.delayMs <= 0 && hold.waitsFor.length === 0) {
      tx.create('task', { ...task, desiredState: startedState(task) });
      return;
    }
    tx.create('task', { ...task, desiredState: TaskState.READY });
    this.delays.hold(task.id, hold, nowMs);
  }

  /** Starts every task whose time has come. Returns those that ended, or lost their node, while they were held. */
  startDue(batch: Batch, nowMs: number): readonly string[] {
    const failed: string[] = [];
    for (const { taskId, restart } of this.delays.takeDue(nowMs)) {
      batch.update((tx) => {
        const task = tx.get('task', taskId);
        if (task === undefined) return;
        // A node that was lost may have come back since.
        if (restart && (hasStopped(task) || isLost(tx, task))) failed.push(taskId);
        else startNow(tx, task);
      });
    }
    return failed;
  }

  // Another runnable task of the present version already fills the place: a second one would be one too many.
  #isCovered(tx: ReadTransaction, service: Service, task: Task): boolean {
    const mates = task.slot === 0n ? by.node(task.nodeId) : by.slot(task.serviceId, task.slot);
    return tx
      .find('task', mates)
      .some(
        (mate) =>
          mate.id !== task.id &&
          mate.serviceId === task.serviceId &&
          isRunnable(mate) &&
          !this.check.isDirty(service, mate, tx.get('node', mate.nodeId)),
      );
  }
}

/** Whether the task was given to a node that is gone, down or drained. */
export function isLost(tx: ReadTransaction, task: Task): boolean {
  return task.nodeId !== '' && isInvalidNode(tx.get('node', task.nodeId));
}

/** Lets a held task run. Harmless when it already may, or no longer shall. */
export function startNow(tx: WriteTransaction, task: Task): void {
  if (task.desiredState < startedState(task)) tx.update('task', { ...task, desiredState: startedState(task) });
}

/** Delay before a task's replacement starts. */
export function restartDelayMs(task: Task): number {
  return msFromDuration(effectiveRestart(task.spec?.restart).delay) ?? 0;
}

/** Those of the tasks whose end is worth waiting for: an agent may still run them, and can still tell. */
export function stoppingOf(
  tasks: readonly Task[],
  nodeOf: (nodeId: string) => Node | undefined,
): readonly (readonly [string, string])[] {
  return tasks
    .filter((task) => {
      const node = nodeOf(task.nodeId);
      return mayBeAlive(task) && !(node !== undefined && isDown(node));
    })
    .map((task) => [task.id, task.nodeId] as const);
}

// Only tasks of jobs carry an iteration; they run to completion.
function startedState(task: Task): TaskState {
  return task.jobIteration === undefined ? TaskState.RUNNING : TaskState.COMPLETE;
}
