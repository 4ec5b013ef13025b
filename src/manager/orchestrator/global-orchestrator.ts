import { NodeSpec_Availability, TaskState, type Node, type Service, type Task } from '../../api/index.js';
import type { Component, Pace } from '../../base/index.js';
import { by, type Batch, type ObjectEvent, type ReadTransaction, type WriteTransaction } from '../../store/index.js';
import type { OrchestratorDeps } from './deps.js';
import { planGlobal, planNode } from './global-plan.js';
import { runLoop } from './loop.js';
import { serviceMode } from './mode.js';
import type { RestartContext } from './restart-supervisor.js';
import { ServiceWork, type ServiceRules } from './service-work.js';
import { groupTasks } from './slot.js';
import { hasStopped, isInvalidNode, isRunnable } from './task.js';
import type { TaskFix } from './task-init.js';
import { isPaused } from './update-settings.js';

/** Keeps one task of every global service on each node that is eligible for it. */
export class GlobalOrchestrator implements Component {
  constructor(private readonly deps: OrchestratorDeps) {}

  run(signal: AbortSignal): Promise<void> {
    const work = new ServiceWork(this.deps, (shared) => new GlobalRules(this.deps, shared));
    return runLoop(work, this.deps, signal);
  }
}

class GlobalRules implements ServiceRules {
  readonly mode = 'global';
  readonly #nodes = new Map<string, Node>();
  /** The global services, so that a change of a node costs no look at all the others. */
  readonly #services = new Map<string, Service>();
  readonly #dirtyNodes = new Set<string>();
  readonly #removedNodes = new Set<string>();
  /** Services with tasks that a node's change left to the update under way. */
  readonly #putOff = new Set<string>();

  constructor(
    private readonly deps: OrchestratorDeps,
    private readonly work: ServiceWork,
  ) {}

  load(tx: ReadTransaction): void {
    for (const node of tx.find('node', by.all())) this.#nodes.set(node.id, node);
    for (const service of tx.find('service', by.all())) {
      if (serviceMode(service) === this.mode) this.#services.set(service.id, service);
    }
  }

  fix(task: Task): TaskFix {
    if (isInvalidNode(this.#nodes.get(task.nodeId))) return 'shutdown';
    return hasStopped(task) ? 'restart' : 'leave';
  }

  observe(event: ObjectEvent): void {
    if (event.table === 'node') this.#observeNode(event);
    else if (event.table === 'service') this.#observeService(event);
    else if (event.table === 'task') this.#observeTask(event);
  }

  #observeService(event: ObjectEvent & { readonly table: 'service' }): void {
    const service = event.object;
    if (serviceMode(service) !== this.mode) return;
    if (event.kind !== 'remove') this.#services.set(service.id, service);
    else {
      this.#services.delete(service.id);
      this.#putOff.delete(service.id);
    }
  }

  #observeNode(event: ObjectEvent & { readonly table: 'node' }): void {
    const node = event.object;
    if (event.kind === 'remove') {
      this.#nodes.delete(node.id);
      this.#dirtyNodes.delete(node.id);
      this.#removedNodes.add(node.id);
      return;
    }
    this.#nodes.set(node.id, node);
    this.#removedNodes.delete(node.id);
    if (event.kind === 'create' || isEligibilityTouched(event.oldObject, node)) this.#dirtyNodes.add(node.id);
  }

  #observeTask(event: ObjectEvent & { readonly table: 'task' }): void {
    const task = event.object;
    if (!isRunnable(task) || !this.#services.has(task.serviceId)) return;
    if (event.kind === 'remove') {
      // Somebody deleted a task that was wanted.
      if (this.#nodes.has(task.nodeId)) this.#dirtyNodes.add(task.nodeId);
    } else if (hasStopped(task)) this.work.taskFailed(task.id);
  }

  restart(tx: WriteTransaction, task: Task, service: Service, context: RestartContext): void {
    const node = this.#nodes.get(task.nodeId);
    if (isInvalidNode(node) || !mayGetTask(node) || !this.work.check.fits(service, node)) {
      tx.update('task', { ...task, desiredState: TaskState.SHUTDOWN });
    } else if (hasStopped(task)) this.work.restarts.restart(tx, service, task, context);
  }

  async reconcile(batch: Batch, services: ReadonlySet<string>, context: RestartContext, pace: Pace): Promise<void> {
    for (const nodeId of this.#removedNodes) await this.#deleteTasks(batch, nodeId, pace);
    this.#removedNodes.clear();
    for (const serviceId of services) await this.#reconcileService(batch, serviceId, context, pace);
    const dirtyNodes = [...this.#dirtyNodes];
    this.#dirtyNodes.clear();
    for (const nodeId of dirtyNodes) await this.#reconcileNode(batch, nodeId, context, pace);
  }

  updateEnded(serviceId: string): void {
    if (this.#putOff.delete(serviceId)) this.work.serviceDirty(serviceId);
  }

  async #deleteTasks(batch: Batch, nodeId: string, pace: Pace): Promise<void> {
    const tasks = this.deps.store.view((tx) => tx.find('task', by.node(nodeId)));
    for (const task of tasks) {
      if (!this.#services.has(task.serviceId)) continue;
      batch.update((tx) => {
        if (tx.get('task', task.id) !== undefined) tx.remove('task', task.id);
      });
      if (pace.isDue()) await pace.rest();
    }
  }

  async #reconcileService(batch: Batch, serviceId: string, context: RestartContext, pace: Pace): Promise<void> {
    const [service, tasks] = batch.update((tx) => [
      tx.get('service', serviceId),
      tx.find('task', by.service(serviceId)),
    ]);
    if (service === undefined || serviceMode(service) !== this.mode) return;
    const rules = { check: this.work.check, history: this.work.restarts.history };
    const plan = planGlobal(service, [...this.#nodes.values()], tasks, rules);
    const factory = this.work.factory(service, context);
    for (const nodeId of plan.create) {
      this.work.createTask(batch, factory, service, { slot: 0n, nodeId });
      if (pace.isDue()) await pace.rest();
    }
    for (const task of plan.shutdown) {
      this.work.desire(batch, task, TaskState.SHUTDOWN);
      if (pace.isDue()) await pace.rest();
    }
    await this.work.updates.start(batch, service, plan.keep, context.nowMs, pace);
  }

  async #reconcileNode(batch: Batch, nodeId: string, context: RestartContext, pace: Pace): Promise<void> {
    const node = this.#nodes.get(nodeId);
    if (node === undefined) return;
    const tasks = batch.update((tx) => tx.find('task', by.node(nodeId)));
    const tasksByService = groupTasks(tasks, (task) => task.serviceId);
    const rules = { check: this.work.check, history: this.work.restarts.history };
    for (const service of this.#services.values()) {
      const plan = planNode(service, node, tasksByService.get(service.id) ?? [], rules);
      this.#applyNodePlan(batch, service, node, { plan, context });
      if (pace.isDue()) await pace.rest();
    }
  }

  #applyNodePlan(batch: Batch, service: Service, node: Node, { plan, context }: NodeDecision): void {
    const eligible = !isInvalidNode(node) && mayGetTask(node) && this.work.check.fits(service, node);
    const outOfDate = eligible && plan.shutdown.length > 0;
    if (outOfDate && isPaused(service)) return;
    if (outOfDate && this.work.updates.isRunning(service.id)) {
      // Its turn comes with the update; what that does not know about is looked at again when it is over.
      this.#putOff.add(service.id);
      return;
    }
    if (plan.create) {
      this.work.createTask(batch, this.work.factory(service, context), service, { slot: 0n, nodeId: node.id });
    }
    for (const task of plan.shutdown) this.work.desire(batch, task, TaskState.SHUTDOWN);
  }
}

interface NodeDecision {
  readonly plan: { readonly create: boolean; readonly shutdown: readonly Task[] };
  readonly context: RestartContext;
}

function mayGetTask(node: Node | undefined): boolean {
  return node?.spec?.availability !== NodeSpec_Availability.PAUSE;
}

// Everything that constraints and availability look at. Nodes also change for other reasons.
function isEligibilityTouched(before: Node, after: Node): boolean {
  return (
    before.spec !== after.spec ||
    before.status !== after.status ||
    before.description !== after.description ||
    before.role !== after.role
  );
}
