import {
  isTerminal,
  NodeStatus_State,
  TaskState,
  taskState,
  UpdateConfig_UpdateOrder,
  type Node,
  type Service,
  type Task,
} from '../api/index.js';
import type { Clock } from '../base/index.js';
import { by, type ReadTransaction, type StoreEvent } from '../store/index.js';
import type { StoreWatcher } from './observer.js';

/** How long a replacement waits for its predecessor at the most. Source: SwarmKit's restart supervisor. */
const OLD_TASK_WAIT_MS = 60_000;

/** Time after which tasks of a node that is down are given up. Source: SwarmKit's dispatcher. */
const ORPHAN_AFTER_MS = 24 * 3_600_000;

/** Where an observed state may go from states in which no agent has a part. */
const EARLY_STEPS: ReadonlyMap<TaskState, readonly TaskState[]> = new Map([
  [TaskState.NEW, [TaskState.PENDING, TaskState.REJECTED]],
  [TaskState.PENDING, [TaskState.ASSIGNED, TaskState.SHUTDOWN, TaskState.REJECTED]],
]);

/** What only the node of a task may find out: that it runs, and how it ended. */
const AGENT_STATES: ReadonlySet<TaskState> = new Set([
  TaskState.ACCEPTED,
  TaskState.PREPARING,
  TaskState.READY,
  TaskState.STARTING,
  TaskState.RUNNING,
  TaskState.COMPLETE,
  TaskState.FAILED,
]);

/** What the checks look at beside the store. */
export interface TaskRulesDeps {
  readonly clock: Clock;
  /** Whether the executor of this node was ever given this task; undefined where the node is not known. */
  readonly wasGiven: (nodeId: string, taskId: string) => boolean | undefined;
}

/**
 * The rules of tasks (SwarmKit 5.1 to 5.3), checked at every commit: states only go forward and by the steps
 * of the table, desired states only upward, nothing is deleted too early, and a slot that is to stop before
 * it starts never has two.
 */
export class TaskRules implements StoreWatcher {
  readonly #deps: TaskRulesDeps;
  readonly #tasks = new Map<string, Task>();
  readonly #nodes = new Map<string, Node>();
  readonly #services = new Map<string, Service>();
  /** When a task was first told to stop, a node was found down, a task was created, in monotonic time. */
  readonly #stopSinceMs = new Map<string, number>();
  readonly #downSinceMs = new Map<string, number>();
  readonly #createdMs = new Map<string, number>();
  readonly #touched = new Set<string>();

  constructor(deps: TaskRulesDeps) {
    this.#deps = deps;
  }

  /** What is served after a restart must follow from what was seen before; the steps between are not known. */
  begin(tx: ReadTransaction): void {
    for (const service of tx.find('service', by.all())) this.#services.set(service.id, service);
    for (const id of this.#services.keys()) if (tx.get('service', id) === undefined) this.#services.delete(id);
    this.#nodes.clear();
    for (const node of tx.find('node', by.all())) this.#nodes.set(node.id, node);
    for (const old of this.#tasks.values()) {
      const task = tx.get('task', old.id);
      if (task === undefined) this.#removed(old);
      else this.#advanced(old, task);
    }
    for (const task of tx.find('task', by.all())) this.#keep(task);
    this.#checkSlots();
  }

  event(event: StoreEvent): void {
    if (event.kind === 'commit') return this.#checkSlots();
    if (event.table === 'node') return this.#onNode(event.object, event.kind === 'remove');
    if (event.table === 'service') {
      if (event.kind === 'remove') this.#services.delete(event.object.id);
      else this.#services.set(event.object.id, event.object);
    }
    if (event.table !== 'task') return;
    if (event.kind === 'create') this.#created(event.object);
    if (event.kind === 'update') this.#changed(this.#tasks.get(event.object.id) ?? event.oldObject, event.object);
    if (event.kind === 'remove') this.#removed(event.object);
    else this.#keep(event.object);
  }

  #onNode(node: Node, gone: boolean): void {
    const isDown = node.status?.state === NodeStatus_State.DOWN;
    if (gone) this.#nodes.delete(node.id);
    else this.#nodes.set(node.id, node);
    if (!isDown) this.#downSinceMs.delete(node.id);
    else if (!this.#downSinceMs.has(node.id)) this.#downSinceMs.set(node.id, this.#deps.clock.monotonicMs());
  }

  #keep(task: Task): void {
    const isNew = !this.#tasks.has(task.id);
    this.#tasks.set(task.id, task);
    if (task.desiredState > TaskState.RUNNING && (isNew || !this.#stopSinceMs.has(task.id))) {
      this.#stopSinceMs.set(task.id, this.#deps.clock.monotonicMs());
    }
    this.#touched.add(slotOf(task));
  }

  #created(task: Task): void {
    require(taskState(task) === TaskState.NEW, task, 'is created in another state than NEW');
    const isWanted = [TaskState.READY, TaskState.RUNNING, TaskState.COMPLETE].includes(task.desiredState);
    require(isWanted, task, 'is created without being wanted');
    require(this.#services.has(task.serviceId), task, 'is created for a service that is not there');
    this.#createdMs.set(task.id, this.#deps.clock.monotonicMs());
  }

  #changed(old: Task, task: Task): void {
    this.#advanced(old, task);
    const [before, after] = [taskState(old), taskState(task)];
    if (before === after) return this.#checkStart(old, task);
    const steps = EARLY_STEPS.get(before);
    require(steps === undefined ||
      steps.includes(after), task, `went from ${TaskState[before]} to ${TaskState[after]}`);
    require(!isTerminal(before), task, `had ended as ${TaskState[before]}`);
    if (AGENT_STATES.has(after)) {
      require(this.#deps.wasGiven(task.nodeId, task.id) !== false, task, 'is not known to its node');
    }
    if (after === TaskState.ORPHANED) this.#checkOrphan(task);
    this.#checkStart(old, task);
  }

  /** Whatever happens between two looks. */
  #advanced(old: Task, task: Task): void {
    require(taskState(task) >= taskState(old), task, `went back from ${TaskState[taskState(old)]}`);
    require(task.desiredState >= old.desiredState, task, `is wanted as less than ${TaskState[old.desiredState]}`);
    require(old.nodeId === '' || task.nodeId === old.nodeId, task, `has moved from node ${old.nodeId}`);
    require(task.serviceId === old.serviceId && task.slot === old.slot, task, 'has changed its slot');
  }

  /** A replacement that waits for its predecessor begins when that has stopped, or is out of reach. */
  #checkStart(old: Task, task: Task): void {
    if (old.desiredState !== TaskState.READY || task.desiredState !== TaskState.RUNNING) return;
    const nowMs = this.#deps.clock.monotonicMs();
    for (const other of this.#tasks.values()) {
      if (other.id === task.id || slotOf(other) !== slotOf(task) || taskState(other) !== TaskState.RUNNING) continue;
      // Whom it replaces was told to stop when it was created; older ones may linger on nodes out of reach.
      if (this.#stopSinceMs.get(other.id) !== this.#createdMs.get(task.id)) continue;
      // A slot that was given up and taken again does not wait for what was there before.
      if (other.desiredState !== TaskState.SHUTDOWN || this.#isStartFirst(task.serviceId)) continue;
      const state = this.#nodes.get(other.nodeId)?.status?.state;
      const waitedMs = nowMs - (this.#stopSinceMs.get(other.id) ?? nowMs);
      const isReachable = state !== undefined && state !== NodeStatus_State.DOWN;
      require(!isReachable || waitedMs >= OLD_TASK_WAIT_MS, task, `starts although ${other.id} has not stopped`);
    }
  }

  #checkOrphan(task: Task): void {
    const downMs = this.#deps.clock.monotonicMs() - (this.#downSinceMs.get(task.nodeId) ?? Number.NaN);
    require(!this.#nodes.has(task.nodeId) || !(downMs < ORPHAN_AFTER_MS), task, 'was given up too early');
  }

  #removed(task: Task): void {
    const old = this.#tasks.get(task.id) ?? task;
    const isOver = isTerminal(taskState(old)) || taskState(old) < TaskState.ASSIGNED;
    const isLost = !this.#services.has(old.serviceId) || !this.#nodes.has(old.nodeId);
    this.#tasks.delete(task.id);
    this.#stopSinceMs.delete(task.id);
    this.#createdMs.delete(task.id);
    this.#touched.add(slotOf(task));
    require(isOver || isLost || old.desiredState === TaskState.REMOVE, task, 'was deleted while it was live');
  }

  #checkSlots(): void {
    if (this.#touched.size === 0) return;
    const wanted = new Map<string, Task>();
    for (const task of this.#tasks.values()) {
      const slot = slotOf(task);
      if (!this.#touched.has(slot) || task.desiredState !== TaskState.RUNNING || isTerminal(taskState(task))) continue;
      const other = wanted.get(slot);
      wanted.set(slot, task);
      if (other !== undefined && this.#services.has(task.serviceId) && !this.#isStartFirst(task.serviceId)) {
        this.#touched.clear();
        require(false, task, `is wanted beside ${other.id}, which its slot has already`);
      }
    }
    this.#touched.clear();
  }

  #isStartFirst(serviceId: string): boolean {
    const spec = this.#services.get(serviceId)?.spec;
    return [spec?.update?.order, spec?.rollback?.order].includes(UpdateConfig_UpdateOrder.START_FIRST);
  }
}

/** The service and slot of a task; the node takes the slot's place for global services. */
function slotOf(task: Task): string {
  return `${task.serviceId} ${task.slot === 0n ? task.nodeId : task.slot}`;
}

function require(condition: boolean, task: Task, problem: string): void {
  if (condition) return;
  const state = `${TaskState[taskState(task)]}, wanted ${TaskState[task.desiredState]}`;
  throw new Error(`task ${task.id} (slot ${slotOf(task)}; ${state}) ${problem}`);
}
