import { TaskState, type Node, type Service, type Task } from '../../api/index.js';
import type { Component, Pace } from '../../base/index.js';
import { by, type Batch, type ObjectEvent, type WriteTransaction } from '../../store/index.js';
import type { OrchestratorDeps } from './deps.js';
import { runLoop } from './loop.js';
import { serviceMode } from './mode.js';
import { planReplicated } from './replicated-plan.js';
import { isLost, type RestartContext } from './restart-supervisor.js';
import { ServiceWork, type ServiceRules } from './service-work.js';
import { hasStopped, isInvalidNode, isRunnable, mayBeAlive, slotKey } from './task.js';
import type { TaskFix } from './task-init.js';

/** Keeps every replicated service at its number of replicas, on nodes that can hold them, at its version. */
export class ReplicatedOrchestrator implements Component {
  constructor(private readonly deps: OrchestratorDeps) {}

  run(signal: AbortSignal): Promise<void> {
    const work = new ServiceWork(this.deps, (shared) => new ReplicatedRules(this.deps, shared));
    return runLoop(work, this.deps, signal);
  }
}

class ReplicatedRules implements ServiceRules {
  readonly mode = 'replicated';

  constructor(
    private readonly deps: OrchestratorDeps,
    private readonly work: ServiceWork,
  ) {}

  load(): void {
    // Nodes are looked up when they matter: nothing to keep.
  }

  fix(task: Task): TaskFix {
    return hasStopped(task) || (task.nodeId !== '' && isInvalidNode(this.#node(task.nodeId))) ? 'restart' : 'leave';
  }

  observe(event: ObjectEvent): void {
    if (event.table === 'task') this.#observeTask(event);
    else if (event.table === 'node') {
      if (event.kind === 'remove' || isInvalidNode(event.object)) this.#nodeLost(event.object.id);
    }
  }

  #observeTask(event: ObjectEvent & { readonly table: 'task' }): void {
    const task = event.object;
    if (!isRunnable(task)) return;
    if (event.kind === 'remove') {
      // Somebody deleted a task that was wanted.
      this.work.serviceDirty(task.serviceId);
    } else if (hasStopped(task)) {
      this.work.taskFailed(task.id);
    } else if (task.nodeId !== '' && (event.kind === 'create' || event.oldObject.nodeId !== task.nodeId)) {
      // Assigned after its node was lost; before that, the change of the node will tell.
      if (isInvalidNode(this.#node(task.nodeId))) this.work.taskFailed(task.id);
    }
  }

  #node(nodeId: string): Node | undefined {
    return this.deps.store.view((tx) => tx.get('node', nodeId));
  }

  #nodeLost(nodeId: string): void {
    const tasks = this.deps.store.view((tx) => tx.find('task', by.node(nodeId)));
    for (const task of tasks) if (isRunnable(task)) this.work.taskFailed(task.id);
  }

  restart(tx: WriteTransaction, task: Task, service: Service, context: RestartContext): void {
    // The node may have come back since.
    if (hasStopped(task) || isLost(tx, task)) this.work.restarts.restart(tx, service, task, context);
  }

  async reconcile(batch: Batch, services: ReadonlySet<string>, context: RestartContext, pace: Pace): Promise<void> {
    for (const serviceId of services) {
      const [service, tasks] = batch.update((tx) => [
        tx.get('service', serviceId),
        tx.find('task', by.service(serviceId)),
      ]);
      if (service === undefined || serviceMode(service) !== this.mode) continue;
      await this.#reconcileService(batch, service, tasks, { context, pace });
    }
  }

  async #reconcileService(
    batch: Batch,
    service: Service,
    tasks: readonly Task[],
    { context, pace }: { readonly context: RestartContext; readonly pace: Pace },
  ): Promise<void> {
    const plan = planReplicated(service, tasks, this.work.restarts.history);
    await this.work.updates.start(batch, service, plan.keep, context.nowMs, pace);
    const factory = this.work.factory(service, context);
    for (const slot of plan.create) {
      this.work.createTask(batch, factory, service, { slot, nodeId: '' });
      if (pace.isDue()) await pace.rest();
    }
    if (plan.incomplete) this.work.serviceDirty(service.id);
    for (const slot of plan.remove) {
      for (const task of slot) this.work.desire(batch, task, TaskState.REMOVE);
      this.work.restarts.history.forgetSlot(service.id, slotKey(slot[0]));
      if (pace.isDue()) await pace.rest();
    }
    for (const task of plan.discard) {
      this.#discard(batch, task);
      if (pace.isDue()) await pace.rest();
    }
  }

  // What an agent may still be stopping is left to the reaper, so that nothing is freed too early.
  #discard(batch: Batch, task: Task): void {
    batch.update((tx) => {
      const present = tx.get('task', task.id);
      if (present === undefined) return;
      if (!mayBeAlive(present)) tx.remove('task', task.id);
      else if (present.desiredState < TaskState.REMOVE) {
        tx.update('task', { ...present, desiredState: TaskState.REMOVE });
      }
    });
  }

  updateEnded(): void {
    // Every slot had its turn: nothing was put off.
  }
}
