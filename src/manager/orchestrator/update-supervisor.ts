import { equals } from '@bufbuild/protobuf';

import { type DirtyCheck, type Service, ServiceSpecSchema, type Task, TaskState, taskState } from '../../api/index.js';
import type { Random, Pace } from '../../base/index.js';
import type { Batch, ObjectEvent, ReadTransaction, WriteTransaction } from '../../store/index.js';
import { startNow, stoppingOf, type RestartContext, type RestartSupervisor } from './restart-supervisor.js';
import type { Slot } from './slot.js';
import { byStatusTimestamp, isRunnable, placeOf, TaskFactory } from './task.js';
import { TimeHeap } from './time-heap.js';
import { UpdateRun, type SlotOutcome } from './update-run.js';
import { isPaused, isUpdating } from './update-settings.js';
import { withUpdateStarted, withVerdict, type UpdateVerdict } from './update-status.js';

/** Slots that are compared with their service at a stretch. */
const SLOTS_PER_LOOK = 64;

/** The updates under way, at most one for each service, all driven from the owner's one subscription. */
export class UpdateSupervisor {
  readonly #runs = new Map<string, UpdateRun>();
  /** Services whose update may have something to do. */
  readonly #awake = new Set<string>();
  readonly #wakeTimes = new TimeHeap();
  /** The newest wake time of each service, so that none is noted twice. */
  readonly #noted = new Map<string, number>();

  constructor(
    private readonly random: Random,
    private readonly check: DirtyCheck,
    private readonly restarts: RestartSupervisor,
  ) {}

  /**
   * Sees to it that the slots match the service. An update towards the same spec goes on; one towards
   * another is given up. Services whose update is paused are left alone.
   */
  async start(batch: Batch, service: Service, slots: readonly Slot[], nowMs: number, pace: Pace): Promise<void> {
    const present = this.#runs.get(service.id);
    if (present !== undefined && sameSpec(present.service, service)) return;
    this.forget(service.id);
    if (isPaused(service)) return;
    const dirty: Slot[] = [];
    for (let from = 0; from < slots.length; from += SLOTS_PER_LOOK) {
      const some = slots.slice(from, from + SLOTS_PER_LOOK);
      dirty.push(...batch.update((tx) => some.filter((slot) => this.#isDirty(tx, service, slot))));
      if (pace.isDue()) await pace.rest();
    }
    if (dirty.length === 0) {
      if (isUpdating(service)) this.#conclude(batch, service.id, { kind: 'completed' }, nowMs);
      return;
    }
    if (service.updateStatus === undefined) markStarted(batch, service.id, nowMs);
    this.#runs.set(service.id, new UpdateRun(service, dirty));
    this.#awake.add(service.id);
  }

  /** Gives up the update of a service that is gone. */
  forget(serviceId: string): void {
    this.#runs.delete(serviceId);
    this.#noted.delete(serviceId);
  }

  /** Whether an update of the service is under way, so that its dirty tasks have their turn to come. */
  isRunning(serviceId: string): boolean {
    return this.#runs.has(serviceId);
  }

  /** Takes in a change of a task: one look-up for those that no update concerns. */
  observe(event: ObjectEvent, nowMs: number): void {
    if (event.table !== 'task') return;
    const run = this.#runs.get(event.object.serviceId);
    if (run === undefined) return;
    run.observe(event, nowMs);
    this.#awake.add(event.object.serviceId);
  }

  /** Does what the updates ask for, as one wave. Returns the services whose update is over. */
  async act(batch: Batch, context: RestartContext, pace: Pace): Promise<readonly string[]> {
    for (
      let id = this.#wakeTimes.takeDue(context.nowMs);
      id !== undefined;
      id = this.#wakeTimes.takeDue(context.nowMs)
    ) {
      this.#awake.add(id);
    }
    const ended: string[] = [];
    for (const serviceId of this.#awake) {
      this.#awake.delete(serviceId);
      const run = this.#runs.get(serviceId);
      if (run === undefined) continue;
      await this.#advance(batch, run, context, pace);
      this.#wakeLater(serviceId, run.wakeAtMs);
      if (!run.isOver) continue;
      this.#runs.delete(serviceId);
      this.#noted.delete(serviceId);
      ended.push(serviceId);
    }
    return ended;
  }

  #wakeLater(serviceId: string, atMs: number | undefined): void {
    if (atMs === undefined) {
      this.#noted.delete(serviceId);
    } else if (this.#noted.get(serviceId) !== atMs) {
      this.#noted.set(serviceId, atMs);
      this.#wakeTimes.add(atMs, serviceId);
    }
  }

  /** When {@link act} may have something to do although nothing happened. */
  get wakeAtMs(): number | undefined {
    return this.#wakeTimes.nextMs;
  }

  async #advance(batch: Batch, run: UpdateRun, context: RestartContext, pace: Pace): Promise<void> {
    for (const key of run.takeRelieved()) {
      run.relieved(
        key,
        batch.update((tx) => this.#stopOldTasks(tx, run, key)),
      );
      if (pace.isDue()) await pace.rest();
    }
    const factory = new TaskFactory(run.service, context.cluster, context.nowMs, this.random);
    for (let turns = run.takeTurns(context.nowMs); turns.length > 0; turns = run.takeTurns(context.nowMs)) {
      for (const key of turns) {
        const outcome = batch.update((tx) => this.#beginSlot(tx, run, key, { factory, nowMs: context.nowMs }));
        run.begun(key, outcome, context.nowMs);
        if (pace.isDue()) await pace.rest();
      }
    }
    const verdict = run.takeVerdict(context.nowMs);
    if (verdict !== undefined) this.#conclude(batch, run.service.id, verdict, context.nowMs);
  }

  #isDirty(tx: ReadTransaction, service: Service, slot: Slot): boolean {
    return slot.length > 1 || this.#isTaskDirty(tx, service, slot[0]);
  }

  #isTaskDirty(tx: ReadTransaction, service: Service, task: Task): boolean {
    return this.check.isDirty(service, task, tx.get('node', task.nodeId));
  }

  // Looks at the slot as it is now: since the update began, others may have dealt with it.
  #beginSlot(
    tx: WriteTransaction,
    run: UpdateRun,
    key: string,
    making: { readonly factory: TaskFactory; readonly nowMs: number },
  ): SlotOutcome {
    const tasks = present(tx, run.tasksOf(key)).filter((task) => task.desiredState < TaskState.REMOVE);
    const newest = tasks.toSorted(byStatusTimestamp).at(-1);
    if (newest === undefined || tx.get('service', run.service.id) === undefined) return { kind: 'done' };
    const runnable = tasks.filter(isRunnable);
    const clean = runnable.filter((task) => !this.#isTaskDirty(tx, run.service, task)).sort(byWorthOfKeeping);
    const [kept] = clean;
    if (kept !== undefined) return this.#keepTask(tx, kept, runnable, making.nowMs);
    const created = making.factory.make(placeOf(newest), TaskState.READY);
    if (run.settings.startFirst) {
      this.restarts.createHeld(tx, created, { delayMs: 0, waitsFor: [] }, making.nowMs);
    } else {
      const waitsFor = this.#stop(tx, runnable);
      this.restarts.createHeld(tx, created, { delayMs: 0, waitsFor }, making.nowMs);
    }
    return { kind: 'replaced', taskId: created.id };
  }

  #keepTask(tx: WriteTransaction, kept: Task, runnable: readonly Task[], nowMs: number): SlotOutcome {
    const waitsFor = [
      ...this.restarts.delays.waitsOf(kept.id),
      ...this.#stop(
        tx,
        runnable.filter((task) => task.id !== kept.id),
      ),
    ];
    if (kept.desiredState >= TaskState.RUNNING) return { kind: 'done' };
    if (waitsFor.length === 0) {
      this.restarts.delays.cancel(kept.id);
      startNow(tx, kept);
      return { kind: 'done' };
    }
    this.restarts.delays.hold(kept.id, { delayMs: 0, waitsFor }, nowMs);
    return { kind: 'held', taskId: kept.id };
  }

  // What replaces them has to wait for them, and for whatever they themselves were still waiting for.
  #stop(tx: WriteTransaction, tasks: readonly Task[]): readonly (readonly [string, string])[] {
    const inherited = tasks.flatMap((task) => this.restarts.delays.waitsOf(task.id));
    for (const task of tasks) {
      this.restarts.delays.cancel(task.id);
      tx.update('task', { ...task, desiredState: TaskState.SHUTDOWN });
    }
    return [...inherited, ...stoppingOf(tasks, (nodeId) => tx.get('node', nodeId))];
  }

  #stopOldTasks(tx: WriteTransaction, run: UpdateRun, key: string): boolean {
    const runnable = present(tx, run.tasksOf(key)).filter(isRunnable);
    const clean = runnable.filter((task) => !this.#isTaskDirty(tx, run.service, task)).sort(byWorthOfKeeping);
    const [kept] = clean;
    if (kept === undefined || taskState(kept) !== TaskState.RUNNING) return false;
    this.#stop(
      tx,
      runnable.filter((task) => task.id !== kept.id),
    );
    return true;
  }

  #conclude(batch: Batch, serviceId: string, verdict: UpdateVerdict, nowMs: number): void {
    batch.update((tx) => {
      const service = tx.get('service', serviceId);
      const concluded = service === undefined ? undefined : withVerdict(service, verdict, nowMs);
      if (concluded !== undefined) tx.update('service', concluded);
    });
  }
}

function markStarted(batch: Batch, serviceId: string, nowMs: number): void {
  batch.update((tx) => {
    const service = tx.get('service', serviceId);
    if (service === undefined || service.updateStatus !== undefined) return;
    tx.update('service', withUpdateStarted(service, nowMs));
  });
}

function present(tx: ReadTransaction, taskIds: readonly string[]): readonly Task[] {
  return taskIds.map((id) => tx.get('task', id)).filter((task) => task !== undefined);
}

// A task that runs comes before one that may only become one: an update does not replace what is healthy.
function byWorthOfKeeping(left: Task, right: Task): number {
  const running = Number(taskState(right) === TaskState.RUNNING) - Number(taskState(left) === TaskState.RUNNING);
  if (running !== 0) return running;
  if (left.desiredState !== right.desiredState) return right.desiredState - left.desiredState;
  return byStatusTimestamp(left, right);
}

function sameSpec(left: Service, right: Service): boolean {
  if (left.spec === right.spec) return true;
  return left.spec !== undefined && right.spec !== undefined && equals(ServiceSpecSchema, left.spec, right.spec);
}
