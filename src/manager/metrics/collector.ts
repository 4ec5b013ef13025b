import { NodeStatus_State, TaskState } from '../../api/index.js';
import { Code, type Component, isSwarmError, type Logger } from '../../base/index.js';
import {
  by,
  type ObjectEvent,
  type Objects,
  type ReadTransaction,
  type Store,
  type Subscription,
} from '../../store/index.js';
import type { Reading } from './reading.js';

/** Tables of which only the number of objects is told, with SwarmKit's names. */
const COUNTED = {
  service: 'services',
  network: 'networks',
  secret: 'secrets',
  config: 'configs',
} as const;

type CountedTable = keyof typeof COUNTED;

const TABLES = ['node', 'task', 'service', 'network', 'secret', 'config'] as const;

/** What a {@link MetricsCollector} watches. */
export interface MetricsCollectorDeps {
  readonly store: Store;
  readonly log: Logger;
}

/**
 * Counts the objects of the store by state for as long as this manager leads. Counters follow the events;
 * they are counted anew at the start, and all are zero afterwards.
 */
export class MetricsCollector implements Component {
  readonly #deps: MetricsCollectorDeps;
  #nodes = zeros(NodeStatus_State);
  #tasks = zeros(TaskState);
  #objects = zeroObjects();
  #leads = false;

  constructor(deps: MetricsCollectorDeps) {
    this.#deps = deps;
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#leads = true;
    try {
      while (!signal.aborted) await this.#followUntilCutOff(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#reset();
      this.#leads = false;
    }
  }

  /** All gauges, every state among them. */
  readings(): readonly Reading[] {
    const objects = Object.entries(COUNTED).map(([table, plural]) => ({
      name: `swarm_manager_${plural}_total`,
      help: `The number of ${plural} in the cluster object store`,
      labels: {},
      value: this.#objects[table as CountedTable],
    }));
    return [
      ...byState('swarm_manager_nodes', 'The number of nodes', this.#nodes, NodeStatus_State),
      ...byState(
        'swarm_manager_tasks_total',
        'The number of tasks in the cluster object store',
        this.#tasks,
        TaskState,
      ),
      ...objects,
      {
        name: 'swarm_manager_leader',
        help: 'Indicates if this manager node is a leader',
        labels: {},
        value: this.#leads ? 1 : 0,
      },
    ];
  }

  /** Counts everything, then follows the events; returns when they came faster than they were taken. */
  async #followUntilCutOff(signal: AbortSignal): Promise<void> {
    const [, subscription] = this.#deps.store.viewAndWatch((tx) => this.#count(tx), { tables: TABLES, commits: false });
    try {
      await this.#follow(subscription, signal);
    } catch (error) {
      if (!isSwarmError(error, Code.RESOURCE_EXHAUSTED)) throw error;
      this.#deps.log.warn({}, 'metrics fell behind and are counted anew');
    } finally {
      subscription[Symbol.dispose]();
    }
  }

  async #follow(subscription: Subscription, signal: AbortSignal): Promise<never> {
    for (;;) {
      for (const event of await subscription.next(signal)) if (event.kind !== 'commit') this.#add(event);
    }
  }

  #count(tx: ReadTransaction): void {
    this.#reset();
    for (const node of tx.find('node', by.all())) add(this.#nodes, nodeState(node), 1);
    for (const task of tx.find('task', by.all())) add(this.#tasks, taskState(task), 1);
    for (const table of Object.keys(COUNTED) as CountedTable[]) this.#objects[table] = tx.count(table);
  }

  #add(event: ObjectEvent): void {
    if (event.table === 'node') {
      if (event.kind === 'update') add(this.#nodes, nodeState(event.oldObject), -1);
      add(this.#nodes, nodeState(event.object), event.kind === 'remove' ? -1 : 1);
    } else if (event.table === 'task') {
      if (event.kind === 'update') add(this.#tasks, taskState(event.oldObject), -1);
      add(this.#tasks, taskState(event.object), event.kind === 'remove' ? -1 : 1);
    } else if (event.kind !== 'update' && isCounted(event.table)) {
      this.#objects[event.table] += event.kind === 'create' ? 1 : -1;
    }
  }

  #reset(): void {
    this.#nodes = zeros(NodeStatus_State);
    this.#tasks = zeros(TaskState);
    this.#objects = zeroObjects();
  }
}

/** The numbers of a generated enum and their names, both ways. */
type StateEnum = Readonly<Record<string, string | number>>;

type Counts = Map<number, number>;

function zeros(states: StateEnum): Counts {
  return new Map(Object.values(states).flatMap((state) => (typeof state === 'number' ? [[state, 0] as const] : [])));
}

function zeroObjects(): Record<CountedTable, number> {
  return { service: 0, network: 0, secret: 0, config: 0 };
}

/** States of a newer program are counted too, under their number. */
function add(counts: Counts, state: number, change: number): void {
  counts.set(state, (counts.get(state) ?? 0) + change);
}

function byState(name: string, help: string, counts: Counts, states: StateEnum): readonly Reading[] {
  return [...counts].map(([state, value]) => {
    const label = String(states[state] ?? state).toLowerCase();
    return { name, help, labels: { state: label }, value };
  });
}

function nodeState(node: Objects['node']): number {
  return node.status?.state ?? NodeStatus_State.UNKNOWN;
}

function taskState(task: Objects['task']): number {
  return task.status?.state ?? TaskState.NEW;
}

function isCounted(table: string): table is CountedTable {
  return table in COUNTED;
}
