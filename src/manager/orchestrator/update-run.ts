import { TaskState, taskState, UpdateConfig_FailureAction, type Service, type Task } from '../../api/index.js';
import type { ObjectEvent } from '../../store/index.js';
import type { Slot } from './slot.js';
import { hasStopped, slotKey } from './task.js';
import { updateSettings, type UpdateSettings } from './update-settings.js';
import type { UpdateVerdict } from './update-status.js';

/** What was done with a slot when its turn came. */
export type SlotOutcome =
  /** Nothing is left to wait for. */
  | { readonly kind: 'done' }
  /** A new task was created; the slot is done when it runs, or has ended. */
  | { readonly kind: 'replaced'; readonly taskId: string }
  /** A task that matches was there but is held; the slot is done when it is started. */
  | { readonly kind: 'held'; readonly taskId: string };

/** A slot whose turn has begun and that still waits for a task. */
interface SlotWork {
  readonly key: string;
  readonly kind: 'replaced' | 'held';
}

/**
 * One update of one service, as a state machine: which slots take their turn when, which of the new
 * tasks count as failed, and how it all ends. Knows nothing of the store; the supervisor tells it what
 * happened and does what it asks for.
 */
export class UpdateRun {
  readonly settings: UpdateSettings;
  readonly #slotCount: number;
  /** Tasks of each slot that is still to be dealt with. */
  readonly #tasks = new Map<string, Set<string>>();
  /** Slots that wait for their turn; those before `#next` had it. */
  readonly #queue: readonly string[];
  #next = 0;
  /** By the id of the task that a slot waits for. */
  readonly #works = new Map<string, SlotWork>();
  /** Ends of the pauses after finished slots, earliest first: all are equally long. */
  #pauses: number[] = [];
  /** Tasks made by this update, with the time they came to run (undefined: not yet). */
  readonly #created = new Map<string, number | undefined>();
  readonly #failed = new Set<string>();
  /** Start-first slots whose new task runs: the old ones can go. */
  #relieved: string[] = [];
  /** Start-first slots whose new task failed: the old ones stay until a replacement runs. */
  readonly #unrelieved = new Set<string>();
  #monitorUntilMs: number | undefined;
  #verdict: UpdateVerdict | undefined;
  #stopped = false;

  constructor(
    readonly service: Service,
    dirtySlots: readonly Slot[],
  ) {
    this.#slotCount = dirtySlots.length;
    this.settings = updateSettings(service, dirtySlots.length);
    for (const slot of dirtySlots) this.#tasks.set(slotKey(slot[0]), new Set(slot.map((task) => task.id)));
    this.#queue = [...this.#tasks.keys()];
  }

  /** Ids of the tasks known to be in a slot that is not finished. */
  tasksOf(key: string): readonly string[] {
    return [...(this.#tasks.get(key) ?? [])];
  }

  /** Takes the slots whose turn it is. Each must be answered with {@link begun}. */
  takeTurns(nowMs: number): readonly string[] {
    this.#pauses = this.#pauses.filter((untilMs) => untilMs > nowMs);
    if (this.#stopped) return [];
    const free = Math.max(0, this.settings.parallelism - this.#works.size - this.#pauses.length);
    const turns = this.#queue.slice(this.#next, this.#next + free);
    this.#next += turns.length;
    return turns;
  }

  /** What became of a slot's turn. */
  begun(key: string, outcome: SlotOutcome, nowMs: number): void {
    if (outcome.kind === 'done') return this.#slotDone(key, nowMs);
    this.#works.set(outcome.taskId, { key, kind: outcome.kind });
    if (outcome.kind === 'replaced') this.#created.set(outcome.taskId, undefined);
  }

  /** Takes the slots whose old tasks can be stopped because a new one runs. */
  takeRelieved(): readonly string[] {
    const relieved = this.#relieved;
    this.#relieved = [];
    return relieved;
  }

  /** A slot whose old tasks have been stopped, or could not yet be. */
  relieved(key: string, done: boolean): void {
    if (done) this.#forgetSlot(key);
    else this.#unrelieved.add(key);
  }

  /** Takes in a change of a task of this service. */
  observe(event: ObjectEvent & { readonly table: 'task' }, nowMs: number): void {
    const task = event.object;
    if (event.kind === 'create') this.#tasks.get(slotKey(task))?.add(task.id);
    if (event.kind === 'remove') this.#tasks.get(slotKey(task))?.delete(task.id);
    this.#observeWork(task, event.kind === 'remove', nowMs);
    if (event.kind === 'remove') return;
    if (hasStopped(task)) this.#observeFailure(task, nowMs);
    else if (taskState(task) === TaskState.RUNNING && this.#unrelieved.delete(slotKey(task))) {
      this.#relieved.push(slotKey(task));
    }
  }

  #observeWork(task: Task, removed: boolean, nowMs: number): void {
    const work = this.#works.get(task.id);
    if (work === undefined) return;
    const ready =
      work.kind === 'held'
        ? task.desiredState >= TaskState.RUNNING || hasStopped(task)
        : taskState(task) >= TaskState.RUNNING;
    if (!removed && !ready) return;
    this.#works.delete(task.id);
    if (work.kind === 'held') return this.#slotDone(work.key, nowMs);
    this.#created.set(task.id, nowMs);
    if (!this.settings.startFirst) return this.#slotDone(work.key, nowMs);
    this.#pauseAfterSlot(nowMs);
    if (!removed && taskState(task) === TaskState.RUNNING) this.#relieved.push(work.key);
    else this.#unrelieved.add(work.key);
  }

  #observeFailure(task: Task, nowMs: number): void {
    const { failureAction, monitorMs, failureRatioMax, rollingBack } = this.settings;
    if (this.#stopped || failureAction === UpdateConfig_FailureAction.CONTINUE) return;
    if (!this.#created.has(task.id) || this.#failed.has(task.id)) return;
    const runningSinceMs = this.#created.get(task.id);
    if (runningSinceMs !== undefined && nowMs - runningSinceMs > monitorMs) return;
    this.#failed.add(task.id);
    // The ratio is a 32-bit float on the wire; so is the share it is compared with.
    if (Math.fround(this.#failed.size / this.#slotCount) <= failureRatioMax) return;
    const rollback = failureAction === UpdateConfig_FailureAction.ROLLBACK && !rollingBack;
    this.#verdict = { kind: rollback ? 'rolledBack' : 'paused', failedTaskId: task.id };
    this.#stopped = true;
  }

  /** Takes the verdict once there is one. */
  takeVerdict(nowMs: number): UpdateVerdict | undefined {
    if (!this.#stopped && this.#allSlotsDone()) {
      this.#monitorUntilMs ??= nowMs + this.settings.monitorMs;
      if (nowMs >= this.#monitorUntilMs) {
        this.#verdict = { kind: 'completed' };
        this.#stopped = true;
      }
    }
    const verdict = this.#verdict;
    this.#verdict = undefined;
    return verdict;
  }

  /** Nothing is left to do or to wait for. */
  get isOver(): boolean {
    return (
      this.#stopped &&
      this.#verdict === undefined &&
      this.#works.size + this.#unrelieved.size + this.#relieved.length === 0
    );
  }

  /** When to look again although nothing happened. */
  get wakeAtMs(): number | undefined {
    if (this.#stopped) return undefined;
    if (this.#next < this.#queue.length) return this.#pauses[0];
    return this.#monitorUntilMs;
  }

  #allSlotsDone(): boolean {
    return this.#next >= this.#queue.length && this.#works.size === 0 && this.#relieved.length === 0;
  }

  #slotDone(key: string, nowMs: number): void {
    this.#forgetSlot(key);
    this.#pauseAfterSlot(nowMs);
  }

  // After the last slot there is nothing to hold back.
  #pauseAfterSlot(nowMs: number): void {
    if (this.settings.delayMs > 0 && this.#next < this.#queue.length) this.#pauses.push(nowMs + this.settings.delayMs);
  }

  #forgetSlot(key: string): void {
    this.#tasks.delete(key);
    this.#unrelieved.delete(key);
  }
}
