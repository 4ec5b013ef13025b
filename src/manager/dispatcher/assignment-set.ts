import {
  TaskState,
  VolumePublishStatus_State as PublishState,
  isTerminal,
  taskState,
  type AssignmentChange,
  type Task,
  type Volume,
  type VolumePublishStatus,
} from '../../api/index.js';
import { by, type ReadTransaction } from '../../store/index.js';
import {
  removeDependency,
  removeTask,
  removeVolume,
  updateDependency,
  updateTask,
  updateVolume,
} from './assignment-change.js';
import { findDependency, type Dependency, type DependencyIndex } from './dependencies.js';
import { isEcho } from './task-equality.js';

/** How much one message takes; what does not fit stays for the next. */
export interface MessageLimits {
  readonly changesMax: number;
  readonly bytesMax: number;
}

/** No limit: a complete message holds everything, because the agent drops what it does not name. */
const UNLIMITED: MessageLimits = { changesMax: Number.POSITIVE_INFINITY, bytesMax: Number.POSITIVE_INFINITY };

interface HeldDependency {
  readonly dependency: Dependency;
  users: number;
  /** Whether the agent has it. */
  sent: boolean;
}

/** A message in the making, in the order in which it must be applied. */
interface Draft {
  readonly items: AssignmentChange[];
  readonly touched: Set<HeldDependency>;
  bytes: number;
}

/**
 * What one node is to have, against what its agent was told. Events only mark where to look; a message
 * is the difference between the store at that moment and what was sent. So several changes of a task
 * cost one, an event that comes late does no harm, and memory is bounded by what the node has and had,
 * however slowly its agent reads.
 */
export class AssignmentSet {
  readonly #sentTasks = new Map<string, Task>();
  readonly #sentVolumes = new Map<string, 'update' | 'remove'>();
  /** Dependencies held for a task or volume, by its id. */
  readonly #holdings = new Map<string, readonly Dependency[]>();
  readonly #dependencies = new Map<string, HeldDependency>();
  readonly #dirtyTasks = new Set<string>();
  readonly #dirtyVolumes = new Set<string>();
  #resync = true;

  constructor(
    readonly nodeId: string,
    readonly index: DependencyIndex,
  ) {}

  /** Notes a new version of a task that is or was on this node. Returns whether there is something to look at. */
  observeTask(task: Task): boolean {
    const sent = this.#sentTasks.get(task.id);
    const releases = isTerminal(taskState(task)) && this.#holdings.has(task.id);
    if (sent !== undefined && !releases && !this.#dirtyTasks.has(task.id) && isEcho(sent, task)) {
      // Keeps the older version from staying in memory.
      this.#sentTasks.set(task.id, task);
      return false;
    }
    this.#dirtyTasks.add(task.id);
    return true;
  }

  /** Notes that a task is gone. */
  touchTask(taskId: string): void {
    this.#dirtyTasks.add(taskId);
  }

  /** Notes that a volume changed or is gone. */
  touchVolume(volumeId: string): void {
    this.#dirtyVolumes.add(volumeId);
  }

  /** Looks at everything with the next message, because events may have been missed. */
  touchAll(): void {
    this.#resync = true;
  }

  /** Whether there is something to look at. A message may have been full, or have found nothing to say. */
  get pending(): boolean {
    return this.#resync || this.#dirtyTasks.size > 0 || this.#dirtyVolumes.size > 0;
  }

  /** Everything that the node is to have: the first message of a stream. */
  complete(view: ReadTransaction): AssignmentChange[] {
    return this.incremental(view, UNLIMITED);
  }

  /**
   * The changes since the last message, in the order in which they must be applied: dependencies, tasks
   * that need them, volumes, and dependencies that nothing needs any more. Empty when there are none.
   */
  incremental(view: ReadTransaction, limits: MessageLimits): AssignmentChange[] {
    if (this.#resync) this.#markAll(view);
    const draft: Draft = { items: [], touched: new Set(), bytes: 0 };
    for (const taskId of this.#dirtyTasks) {
      if (isFull(draft, limits)) break;
      this.#dirtyTasks.delete(taskId);
      this.#lookAtTask(taskId, view, draft);
    }
    for (const volumeId of this.#dirtyVolumes) {
      if (isFull(draft, limits)) break;
      this.#dirtyVolumes.delete(volumeId);
      this.#lookAtVolume(volumeId, view, draft);
    }
    return this.#settleDependencies(view, draft);
  }

  #markAll(view: ReadTransaction): void {
    this.#resync = false;
    for (const id of this.#sentTasks.keys()) this.#dirtyTasks.add(id);
    for (const task of view.find('task', by.node(this.nodeId))) this.#dirtyTasks.add(task.id);
    for (const id of this.#sentVolumes.keys()) this.#dirtyVolumes.add(id);
    for (const volume of view.find('volume', by.all())) {
      if (publishStatus(volume, this.nodeId) !== undefined) this.#dirtyVolumes.add(volume.id);
    }
  }

  #lookAtTask(taskId: string, view: ReadTransaction, draft: Draft): void {
    const sent = this.#sentTasks.get(taskId);
    const task = assignedTask(view.get('task', taskId), this.nodeId);
    if (task === undefined) {
      this.#hold(taskId, [], view, draft);
      if (this.#sentTasks.delete(taskId)) draft.items.push(removeTask(taskId));
      return;
    }
    const needed = isTerminal(taskState(task)) ? [] : this.index.ofTaskSpec(task.spec);
    this.#hold(taskId, needed, view, draft);
    this.#sentTasks.set(taskId, task);
    if (sent === undefined || !isEcho(sent, task)) draft.items.push(updateTask(task));
  }

  #lookAtVolume(volumeId: string, view: ReadTransaction, draft: Draft): void {
    const volume = view.get('volume', volumeId);
    const status = volume && publishStatus(volume, this.nodeId);
    const action = volumeAction(volume, status);
    this.#hold(volumeId, volume === undefined || action === undefined ? [] : this.index.ofVolume(volume), view, draft);
    const sent = this.#sentVolumes.get(volumeId);
    if (action === undefined) {
      this.#sentVolumes.delete(volumeId);
      if (sent === 'update') draft.items.push(removeVolume(volumeId, volume, status));
      return;
    }
    this.#sentVolumes.set(volumeId, action);
    if (action === sent || volume === undefined || status === undefined) return;
    draft.items.push(action === 'update' ? updateVolume(volume, status) : removeVolume(volumeId, volume, status));
  }

  /** Makes `userId` hold exactly these dependencies. */
  #hold(userId: string, needed: readonly Dependency[], view: ReadTransaction, draft: Draft): void {
    const held = this.#holdings.get(userId) ?? [];
    if (held === needed || (held.length === 0 && needed.length === 0)) return;
    for (const dependency of needed) this.#acquire(dependency, view, draft);
    for (const dependency of held) this.#release(dependency, draft);
    if (needed.length === 0) this.#holdings.delete(userId);
    else this.#holdings.set(userId, needed);
  }

  #acquire(dependency: Dependency, view: ReadTransaction, draft: Draft): void {
    let held = this.#dependencies.get(dependency.key);
    if (held === undefined) {
      held = { dependency, users: 0, sent: false };
      this.#dependencies.set(dependency.key, held);
      draft.bytes += findDependency(view, dependency)?.spec?.data.length ?? 0;
    }
    held.users++;
    draft.touched.add(held);
  }

  #release(dependency: Dependency, draft: Draft): void {
    const held = this.#dependencies.get(dependency.key);
    if (held === undefined) return;
    held.users--;
    draft.touched.add(held);
  }

  /** Puts new dependencies before what needs them, and those without a user last; each at most once. */
  #settleDependencies(view: ReadTransaction, draft: Draft): AssignmentChange[] {
    const first: AssignmentChange[] = [];
    const last: AssignmentChange[] = [];
    for (const held of draft.touched) {
      if (held.users === 0) {
        this.#dependencies.delete(held.dependency.key);
        if (held.sent) last.push(removeDependency(held.dependency));
      } else if (!held.sent) {
        const found = findDependency(view, held.dependency);
        if (found === undefined) continue;
        held.sent = true;
        first.push(updateDependency(held.dependency, found));
      }
    }
    return first.length === 0 && last.length === 0 ? draft.items : [...first, ...draft.items, ...last];
  }
}

/** The task, where the node is to know it: assigned to it, and not before ASSIGNED. */
function assignedTask(task: Task | undefined, nodeId: string): Task | undefined {
  return task !== undefined && task.nodeId === nodeId && taskState(task) >= TaskState.ASSIGNED ? task : undefined;
}

function publishStatus(volume: Volume, nodeId: string): VolumePublishStatus | undefined {
  return volume.publishStatus.find((status) => status.nodeId === nodeId);
}

function volumeAction(
  volume: Volume | undefined,
  status: VolumePublishStatus | undefined,
): 'update' | 'remove' | undefined {
  if (volume?.volumeInfo === undefined || status === undefined) return undefined;
  switch (status.state) {
    case PublishState.PUBLISHED:
      return 'update';
    case PublishState.PENDING_NODE_UNPUBLISH:
      return 'remove';
    case PublishState.PENDING_PUBLISH:
    case PublishState.PENDING_UNPUBLISH:
      return undefined;
  }
}

function isFull(draft: Draft, limits: MessageLimits): boolean {
  return draft.items.length >= limits.changesMax || draft.bytes >= limits.bytesMax;
}
