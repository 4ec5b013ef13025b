import { createdAtMs, slotKey, statusTimestampMs } from './task.js';
import {
  effectiveRestart,
  msFromDuration,
  RestartPolicy_RestartCondition,
  TaskState,
  taskState,
  type Service,
  type Task,
} from '../../api/index.js';
import { isJob } from './mode.js';

/** Restarts of one slot under one version of its service. */
interface SlotHistory {
  specVersion: bigint | undefined;
  restarts: number;
  /** When they happened, oldest first; kept only where the policy has a window. */
  restartedAtMs: number[];
}

/**
 * Which slots were restarted how often: what the restart policy's attempts are counted against. Lives
 * in memory; a new leader rebuilds what the tasks in the store still show.
 */
export class RestartHistory {
  readonly #services = new Map<string, Map<string, SlotHistory>>();

  /** Notes that `replacement` was started in the place of a task that ended. */
  record(replacement: Task, nowMs: number): void {
    const policy = effectiveRestart(replacement.spec?.restart);
    if (policy.maxAttempts === 0n) return;
    const slots = this.#services.get(replacement.serviceId) ?? new Map<string, SlotHistory>();
    this.#services.set(replacement.serviceId, slots);
    const version = replacement.specVersion?.index;
    let history = slots.get(slotKey(replacement));
    if (history === undefined || (version !== undefined && version !== history.specVersion)) {
      history = { specVersion: version, restarts: 0, restartedAtMs: [] };
      slots.set(slotKey(replacement), history);
    }
    history.restarts++;
    const windowMs = msFromDuration(policy.window) ?? 0;
    if (windowMs === 0) return;
    const atMs = createdAtMs(replacement) ?? nowMs;
    history.restartedAtMs = [...history.restartedAtMs.filter((ms) => ms > atMs - windowMs), atMs];
  }

  /** Forgets a service that is gone. */
  forget(serviceId: string): void {
    this.#services.delete(serviceId);
  }

  /** Forgets a slot that is gone. */
  forgetSlot(serviceId: string, key: string): void {
    this.#services.get(serviceId)?.delete(key);
  }

  /** Whether the policy asks for a replacement of this task, which ended or lost its node. */
  shouldRestart(service: Service, task: Task): boolean {
    const policy = effectiveRestart(task.spec?.restart);
    if (!conditionHolds(policy.condition, task, isJob(service))) return false;
    if (policy.maxAttempts === 0n) return true;
    const history = this.#services.get(task.serviceId)?.get(slotKey(task));
    if (history === undefined) return true;
    if (task.specVersion !== undefined && task.specVersion.index !== history.specVersion) return true;
    return this.#countedRestarts(history, task, msFromDuration(policy.window) ?? 0) < policy.maxAttempts;
  }

  #countedRestarts(history: SlotHistory, task: Task, windowMs: number): bigint {
    const endedAtMs = statusTimestampMs(task);
    if (windowMs === 0 || endedAtMs === undefined) return BigInt(history.restarts);
    // Neither restarts before the window nor those that followed the end of this task count against it.
    return BigInt(history.restartedAtMs.filter((ms) => ms > endedAtMs - windowMs && ms < endedAtMs).length);
  }
}

function conditionHolds(condition: RestartPolicy_RestartCondition, task: Task, job: boolean): boolean {
  switch (condition) {
    case RestartPolicy_RestartCondition.NONE:
      return false;
    case RestartPolicy_RestartCondition.ON_FAILURE:
      return taskState(task) !== TaskState.COMPLETE;
    case RestartPolicy_RestartCondition.ANY:
      // A job that is complete is done, whatever the policy says.
      return !job || taskState(task) !== TaskState.COMPLETE;
  }
}
