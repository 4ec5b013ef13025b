import {
  canceled,
  Code,
  isSwarmError,
  LinkedController,
  sleep,
  toSwarmError,
  WakeUp,
  type Clock,
  type Component,
  type Logger,
  type Random,
} from '../../base/index.js';
import {
  by,
  type Batch,
  type ObjectEvent,
  type ReadTransaction,
  type Store,
  type StoreEvent,
  type Subscription,
} from '../../store/index.js';
import { ClusterState } from './cluster-state.js';
import { AssignedStatuses, commitDecision, type CommitOutcome } from './commit.js';
import { decide, type Assignment, type Decision } from './decide.js';
import { Pipeline } from './filters.js';
import { FAILURES_MAX } from './node-info.js';
import { requirementsOf } from './requirements.js';

/** Rounds whose commits may be under way at once; the next waits for one of them. */
const ROUNDS_MAX = 16;

/** Looks at a node, or what takes as long, before the event loop gets a turn: some 10 ms of work. */
const EFFORT_PER_TURN = 100_000;

/** Objects and events taken in before the event loop gets a turn. */
const EVENTS_PER_TURN = 5000;

/** Pause after a round whose commit failed, so that a refusing log is not asked all the time. */
const RETRY_MS = 1000;

/** What a scheduler can be told: nothing yet. */
export type SchedulerOptions = Readonly<Record<string, never>>;

/** What a scheduler rests on. */
export interface SchedulerDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Why one node does not suit a task. */
export interface NodeRefusal {
  readonly nodeId: string;
  readonly hostname: string;
  readonly reason: string;
}

/**
 * Gives pending tasks a node. A round decides about all that is ready; its changes are proposed without
 * waiting, so that the next round can be decided while they are committed.
 */
export class Scheduler implements Component {
  readonly #statuses = new AssignedStatuses();
  readonly #deps: SchedulerDeps;
  readonly #log: Logger;
  readonly #wakeUp = new WakeUp();
  readonly #rounds = new Set<Promise<void>>();
  #state = new ClusterState();
  #retryAtMs: number | undefined;

  constructor(_options: SchedulerOptions, deps: SchedulerDeps) {
    this.#deps = deps;
    this.#log = deps.log.child({ module: 'scheduler' });
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) break;
        if (!isSwarmError(error, Code.RESOURCE_EXHAUSTED)) throw error;
        this.#log.warn({ error: error.message }, 'events were missed; the state is read anew');
      } finally {
        await Promise.all(this.#rounds);
      }
    }
  }

  /** For each node, why it does not suit the task now; undefined when the task is not known. */
  refusals(taskId: string): readonly NodeRefusal[] | undefined {
    const task = this.#state.task(taskId);
    if (task === undefined) return undefined;
    const pipeline = new Pipeline(requirementsOf(task), this.#state.volumes);
    return this.#state.nodes.flatMap((info) => {
      const reason = pipeline.reason(info);
      if (reason === undefined) return [];
      return [{ nodeId: info.node.id, hostname: info.node.description?.hostname ?? '', reason }];
    });
  }

  /** Reads the state and follows its events until the signal aborts. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { store } = this.#deps;
    const state = new ClusterState();
    this.#state = state;
    const [objects, subscription] = store.viewAndWatch(objectsOf, {
      tables: ['task', 'node', 'volume', 'service'],
      commits: false,
      filter: (event) => event.table !== 'service' || event.kind === 'remove',
    });
    using events = subscription;
    await this.#applyAll(state, objects, signal);
    while (!signal.aborted) {
      if (state.hasWork && !this.#isPausing()) await this.#round(state, signal);
      else await this.#applyAll(state, await this.#wait(events, signal), signal);
      await this.#applyAll(state, events.take(), signal);
    }
  }

  #isPausing(): boolean {
    return this.#retryAtMs !== undefined && this.#retryAtMs > this.#deps.clock.nowMs();
  }

  /** Waits for events, or until a failed round is worth repeating: then there are none. */
  async #wait(events: Subscription, signal: AbortSignal): Promise<readonly StoreEvent[]> {
    using linked = new LinkedController(signal);
    const arrived = events.next(linked.signal);
    const woken = this.#wakeUp.waitUntil(this.#deps.clock, this.#retryAtMs, linked.signal);
    try {
      await Promise.race([arrived, woken]);
    } finally {
      linked.abort(canceled('waiting for events'));
      await Promise.allSettled([arrived, woken]);
    }
    if (!this.#isPausing()) this.#retryAtMs = undefined;
    return arrived.catch((error: unknown) => {
      if (isSwarmError(error, Code.CANCELED) && !signal.aborted) return [];
      throw error;
    });
  }

  async #applyAll(state: ClusterState, events: readonly StoreEvent[], signal: AbortSignal): Promise<void> {
    for (const [index, event] of events.entries()) {
      this.#apply(state, event);
      if ((index + 1) % EVENTS_PER_TURN === 0) await sleep(this.#deps.clock, 0, signal);
    }
  }

  #apply(state: ClusterState, event: StoreEvent): void {
    const note = state.apply(event as ObjectEvent, this.#deps.clock.nowMs());
    if (note?.recentFailures !== FAILURES_MAX) return;
    const { task } = note;
    this.#log.warn(
      { 'node.id': task.nodeId, 'service.id': task.serviceId, failures: note.recentFailures },
      'other nodes are preferred for the service: it keeps failing on this one',
    );
  }

  /** Decides about what is queued and proposes it. Returns once decided, not once committed. */
  async #round(state: ClusterState, signal: AbortSignal): Promise<void> {
    while (this.#rounds.size >= ROUNDS_MAX) await Promise.race(this.#rounds);
    const assignments = new Set<Assignment>();
    let decided = (): void => undefined;
    const filled = new Promise<void>((resolve) => {
      decided = resolve;
    });
    const round: Promise<void> = this.#deps.store
      .batch((batch) => this.#fill(state, batch, assignments, signal).finally(decided))
      .then(
        () => {
          for (const { task } of assignments) state.confirm(task.id);
        },
        (error: unknown) => this.#takeBack(state, assignments, error),
      )
      .finally(() => this.#rounds.delete(round));
    this.#rounds.add(round);
    await filled;
  }

  async #fill(state: ClusterState, batch: Batch, assignments: Set<Assignment>, signal: AbortSignal): Promise<void> {
    const { clock, random, store } = this.#deps;
    const context = {
      nowMs: clock.nowMs(),
      random,
      service: (id: string) => store.view((tx) => tx.get('service', id)),
    };
    let effort = 0;
    for (const chunk of decide(state, context)) {
      // All that is assigned here may have to be taken back, should the log refuse the first of it.
      for (const decision of chunk.decisions) if (decision.kind === 'assign') assignments.add(decision);
      for (const decision of chunk.decisions) {
        const outcome = this.#commit(batch, decision);
        if (decision.kind !== 'assign' || outcome !== 'stale') continue;
        assignments.delete(decision);
        this.#giveUp(state, decision);
      }
      effort += chunk.effort;
      if (effort < EFFORT_PER_TURN) continue;
      effort = 0;
      await sleep(clock, 0, signal);
    }
  }

  #commit(batch: Batch, decision: Decision): CommitOutcome {
    const nowMs = this.#deps.clock.nowMs();
    const outcome = batch.update((tx) => commitDecision(tx, decision, { nowMs, statuses: this.#statuses }));
    if (decision.kind === 'refuse' && outcome === 'written') {
      this.#log.debug({ 'task.id': decision.task.id, error: decision.error }, 'no suitable node for the task');
    }
    return outcome;
  }

  /** The event of whatever has changed is on its way, and lets the task be tried again. */
  #giveUp(state: ClusterState, { task }: Assignment): void {
    const present = this.#deps.store.view((tx) => tx.get('task', task.id));
    state.takeBack(task.id, present, this.#deps.clock.nowMs());
    state.refuse(task.id);
  }

  /** The commit failed somewhere: what did not become part of the store is undone here too. */
  #takeBack(state: ClusterState, assignments: ReadonlySet<Assignment>, error: unknown): void {
    const nowMs = this.#deps.clock.nowMs();
    this.#log.warn({ error: toSwarmError(error).message }, 'assignments could not be committed');
    this.#deps.store.view((tx) => {
      for (const { task, nodeId } of assignments) {
        const present = tx.get('task', task.id);
        if (present !== undefined && present.nodeId === nodeId && present.status?.state !== task.status?.state) {
          state.confirm(task.id);
        } else state.takeBack(task.id, present, nowMs);
      }
    });
    this.#retryAtMs = nowMs + RETRY_MS;
    this.#wakeUp.notify();
  }
}

/** Everything that is there, as if it had just been made. */
function objectsOf(tx: ReadTransaction): readonly ObjectEvent[] {
  return [
    ...tx.find('node', by.all()).map((object): ObjectEvent => ({ kind: 'create', table: 'node', object })),
    ...tx.find('volume', by.all()).map((object): ObjectEvent => ({ kind: 'create', table: 'volume', object })),
    ...tx.find('task', by.all()).map((object): ObjectEvent => ({ kind: 'create', table: 'task', object })),
  ];
}
