import { TaskState, taskState, type Service, type Task } from '../../api/index.js';
import type { Pace } from '../../base/index.js';
import type { Batch } from '../../store/index.js';
import { restartDelayMs, startNow, stoppingOf, type RestartSupervisor } from './restart-supervisor.js';
import { groupTasks, type Slot } from './slot.js';
import { createdAtMs, isRunnable, slotKey, statusTimestampMs } from './task.js';

/** A task as a new leader finds it, with its service. */
export interface InitialTask {
  readonly task: Task;
  readonly service: Service;
}

/** What a new leader does about a task that is still wanted. */
export type TaskFix = 'leave' | 'restart' | 'shutdown';

/** What initialization works with. */
export interface InitializationContext {
  readonly restarts: RestartSupervisor;
  readonly work: {
    taskFailed(taskId: string): void;
    desire(batch: Batch, task: Task, state: TaskState): void;
  };
  readonly fix: (task: Task) => TaskFix;
  readonly batch: Batch;
  readonly nowMs: number;
  readonly pace: Pace;
}

/**
 * Takes up what an earlier leader left unfinished: tasks that ended or lost their node, held tasks that
 * wait for their start, and how often each slot has been restarted.
 */
export async function initializeTasks(tasks: readonly InitialTask[], context: InitializationContext): Promise<void> {
  const slots = groupTasks(
    tasks.map(({ task }) => task),
    (task) => `${task.serviceId}/${slotKey(task)}`,
  );
  for (const slot of slots.values()) {
    for (const task of slot) initializeTask(task, slot, context);
    for (const task of restartedTasks(slot)) context.restarts.history.record(task, context.nowMs);
    if (context.pace.isDue()) await context.pace.rest();
  }
}

function initializeTask(task: Task, slot: Slot, context: InitializationContext): void {
  if (isRunnable(task)) {
    const fix = context.fix(task);
    if (fix === 'restart') context.work.taskFailed(task.id);
    if (fix === 'shutdown') return context.work.desire(context.batch, task, TaskState.SHUTDOWN);
  }
  if (task.desiredState === TaskState.READY && taskState(task) <= TaskState.COMPLETE) resumeDelay(task, slot, context);
}

// The delay began when the task was created; where that is not known, when its status was last written.
function resumeDelay(task: Task, slot: Slot, context: InitializationContext): void {
  const { restarts, batch, nowMs } = context;
  const delayMs = restartDelayMs(task);
  const sinceMs = Math.min(createdAtMs(task) ?? nowMs, statusTimestampMs(task) ?? nowMs, nowMs);
  batch.update((tx) => {
    const predecessors = slot.filter((other) => !isRunnable(other));
    const waitsFor = stoppingOf(predecessors, (nodeId) => tx.get('node', nodeId));
    const leftMs = Math.max(0, sinceMs + delayMs - nowMs);
    if (leftMs > 0 || waitsFor.length > 0) {
      restarts.delays.hold(task.id, { delayMs: leftMs, waitsFor, sinceMs }, nowMs);
      return;
    }
    const present = tx.get('task', task.id);
    if (present !== undefined) startNow(tx, present);
  });
}

/** Of the newest version's tasks in a slot all but the first were restarts; oldest first. */
function restartedTasks(slot: Slot): readonly Task[] {
  const newest = slot.reduce((version, task) => maxVersion(version, task.specVersion?.index), 0n);
  return slot
    .filter((task) => task.specVersion?.index === newest)
    .sort((left, right) => (createdAtMs(left) ?? 0) - (createdAtMs(right) ?? 0))
    .slice(1);
}

function maxVersion(left: bigint, right: bigint | undefined): bigint {
  return right !== undefined && right > left ? right : left;
}
