import { type Cluster, DirtyCheck, type Service, type Task, TaskState } from '../../api/index.js';
import type { Pace } from '../../base/index.js';
import {
  by,
  type Batch,
  type ObjectEvent,
  type ReadTransaction,
  type TableName,
  type WriteTransaction,
} from '../../store/index.js';
import type { OrchestratorDeps } from './deps.js';
import type { Part } from './loop.js';
import { serviceMode, type ServiceMode } from './mode.js';
import { RestartSupervisor, type RestartContext } from './restart-supervisor.js';
import { initializeTasks, type InitialTask, type TaskFix } from './task-init.js';
import { TaskFactory, type TaskPlace } from './task.js';
import { UpdateSupervisor } from './update-supervisor.js';

/** What a mode of services does in its own way. */
export interface ServiceRules {
  readonly mode: ServiceMode;
  /** Takes in the nodes, and whatever else it keeps. */
  load(tx: ReadTransaction): void;
  /** Notes what changed, before any of it is acted on. */
  observe(event: ObjectEvent): void;
  /** What to do at start about a task that is still wanted. */
  fix(task: Task): TaskFix;
  /** Deals with a task that ended, or lost its node, and is still wanted. */
  restart(tx: WriteTransaction, task: Task, service: Service, context: RestartContext): void;
  /** Brings services and nodes that changed to what is declared. */
  reconcile(batch: Batch, services: ReadonlySet<string>, context: RestartContext, pace: Pace): Promise<void>;
  /** The update of a service ended. */
  updateEnded(serviceId: string): void;
}

/**
 * What replicated and global services have in common: noting which services and tasks need a look, and
 * then restarts, held starts, reconciliation and updates as one batch.
 */
export class ServiceWork implements Part {
  readonly tables: readonly TableName[] = ['service', 'task', 'node', 'cluster'];
  readonly check = new DirtyCheck();
  readonly restarts: RestartSupervisor;
  readonly updates: UpdateSupervisor;
  readonly #dirtyServices = new Set<string>();
  readonly #removedServices = new Set<string>();
  readonly #restartTasks = new Set<string>();
  #initialTasks: readonly InitialTask[] = [];
  #orphans: readonly Task[] = [];
  #cluster: Cluster | undefined;

  constructor(
    private readonly deps: OrchestratorDeps,
    private readonly rulesFor: (work: ServiceWork) => ServiceRules,
  ) {
    this.restarts = new RestartSupervisor(deps.random, this.check);
    this.updates = new UpdateSupervisor(deps.random, this.check, this.restarts);
    this.#rules = this.rulesFor(this);
  }

  readonly #rules: ServiceRules;

  /** Marks a service for reconciliation. */
  serviceDirty(serviceId: string): void {
    this.#dirtyServices.add(serviceId);
  }

  /** Marks a task that ended or lost its node. */
  taskFailed(taskId: string): void {
    this.#restartTasks.add(taskId);
  }

  /** Makes tasks of one service. */
  factory(service: Service, context: RestartContext): TaskFactory {
    return new TaskFactory(service, context.cluster, context.nowMs, this.deps.random);
  }

  /** Creates a task, unless the service is gone by now. */
  createTask(batch: Batch, factory: TaskFactory, service: Service, place: TaskPlace): void {
    batch.update((tx) => {
      if (tx.get('service', service.id) !== undefined) tx.create('task', factory.make(place, TaskState.RUNNING));
    });
  }

  /** Moves the desired state up; never down. */
  desire(batch: Batch, task: Task, state: TaskState): void {
    batch.update((tx) => {
      const present = tx.get('task', task.id);
      if (present !== undefined && present.desiredState < state) {
        tx.update('task', { ...present, desiredState: state });
      }
    });
  }

  load(tx: ReadTransaction): void {
    [this.#cluster] = tx.find('cluster', by.all());
    this.#rules.load(tx);
    const services = new Map(tx.find('service', by.all()).map((service) => [service.id, service]));
    for (const service of services.values()) {
      if (serviceMode(service) === this.#rules.mode) this.#dirtyServices.add(service.id);
    }
    const orphans: Task[] = [];
    const initial: InitialTask[] = [];
    for (const task of tx.find('task', by.all())) {
      if (task.serviceId === '') continue;
      const service = services.get(task.serviceId);
      if (service === undefined) orphans.push(task);
      else if (serviceMode(service) === this.#rules.mode) initial.push({ task, service });
    }
    this.#orphans = orphans;
    this.#initialTasks = initial;
  }

  observe(event: ObjectEvent): void {
    this.restarts.observe(event);
    this.updates.observe(event, this.deps.clock.nowMs());
    if (event.table === 'cluster' && event.kind !== 'remove') this.#cluster = event.object;
    if (event.table === 'service') this.#observeService(event);
    this.#rules.observe(event);
  }

  // Status and endpoint of a service are none of our business: only what is declared is.
  #observeService(event: ObjectEvent & { readonly table: 'service' }): void {
    const service = event.object;
    if (serviceMode(service) !== this.#rules.mode) return;
    if (event.kind === 'remove') {
      this.#removedServices.add(service.id);
      this.#dirtyServices.delete(service.id);
    } else if (event.kind === 'create' || isRedeclared(event.oldObject, service)) {
      this.#dirtyServices.add(service.id);
    }
  }

  async act(pace: Pace): Promise<number | undefined> {
    const context = { cluster: this.#cluster, nowMs: this.deps.clock.nowMs() };
    let ended: readonly string[] = [];
    await this.deps.store.batch(async (batch) => {
      await this.#initialize(batch, context, pace);
      await this.#removeServices(batch, pace);
      for (const taskId of this.restarts.startDue(batch, context.nowMs)) this.#restartTasks.add(taskId);
      await this.#restartFailed(batch, context, pace);
      const dirty = new Set(this.#dirtyServices);
      this.#dirtyServices.clear();
      await this.#rules.reconcile(batch, dirty, context, pace);
      ended = await this.updates.act(batch, context, pace);
    });
    for (const serviceId of ended) this.#rules.updateEnded(serviceId);
    return this.#wakeAtMs();
  }

  #wakeAtMs(): number | undefined {
    if (this.#dirtyServices.size + this.#restartTasks.size > 0) return this.deps.clock.nowMs();
    const times = [this.restarts.delays.wakeAtMs, this.updates.wakeAtMs].filter((time) => time !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  async #initialize(batch: Batch, context: RestartContext, pace: Pace): Promise<void> {
    for (const orphan of this.#orphans) {
      batch.update((tx) => {
        if (tx.get('task', orphan.id) !== undefined) tx.remove('task', orphan.id);
      });
      if (pace.isDue()) await pace.rest();
    }
    this.#orphans = [];
    const tasks = this.#initialTasks;
    this.#initialTasks = [];
    if (tasks.length === 0) return;
    const fix = (task: Task): TaskFix => this.#rules.fix(task);
    await initializeTasks(tasks, { restarts: this.restarts, work: this, fix, batch, nowMs: context.nowMs, pace });
  }

  // The agents stop the tasks; the reaper deletes them then.
  async #removeServices(batch: Batch, pace: Pace): Promise<void> {
    for (const serviceId of this.#removedServices) {
      this.updates.forget(serviceId);
      this.restarts.history.forget(serviceId);
      const tasks = this.deps.store.view((tx) => tx.find('task', by.service(serviceId)));
      for (const task of tasks) {
        this.desire(batch, task, TaskState.REMOVE);
        if (pace.isDue()) await pace.rest();
      }
    }
    this.#removedServices.clear();
  }

  async #restartFailed(batch: Batch, context: RestartContext, pace: Pace): Promise<void> {
    const failed = [...this.#restartTasks];
    this.#restartTasks.clear();
    for (const taskId of failed) {
      batch.update((tx) => {
        const task = tx.get('task', taskId);
        const service = task === undefined ? undefined : tx.get('service', task.serviceId);
        if (task === undefined || service === undefined || task.desiredState > TaskState.RUNNING) return;
        if (serviceMode(service) === this.#rules.mode) this.#rules.restart(tx, task, service, context);
      });
      if (pace.isDue()) await pace.rest();
    }
  }
}

function isRedeclared(before: Service, after: Service): boolean {
  return before.spec !== after.spec || before.specVersion?.index !== after.specVersion?.index;
}
