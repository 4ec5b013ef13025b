import { TaskState, taskState, type Service, type Task } from '../../api/index.js';
import type { Clock, Logger, Pace } from '../../base/index.js';
import { by, type Batch, type ObjectEvent, type ReadTransaction, type Store } from '../../store/index.js';
import { findNetworks, serviceNetworks, StatusWave, taskNetworks } from './allocation.js';
import type { Allocation, NetworkProvider } from './network-provider.js';
import { PortAllocator } from './port-allocator.js';
import { endpointToWrite, type ServiceResources } from './service-endpoint.js';

/** Whether a change can mean work: evaluated where it is published, for each change of each task. */
export function concernsAllocation(event: ObjectEvent): boolean {
  if (event.table !== 'task') return true;
  if (event.kind === 'create') return taskState(event.object) === TaskState.NEW;
  if (event.kind === 'remove') return true;
  // Of the tasks that have theirs, only the end matters; of those that wait, only what they ask for.
  if (taskState(event.oldObject) === TaskState.NEW && taskState(event.object) === TaskState.NEW) {
    return event.oldObject.spec !== event.object.spec || event.oldObject.desiredState !== event.object.desiredState;
  }
  return taskState(event.object) > TaskState.RUNNING && taskState(event.oldObject) <= TaskState.RUNNING;
}

/** What waits to be allocated, and what was. */
export class AllocationWork {
  readonly #ports = new PortAllocator();
  /** Why a service waits; services that are not here have all they need. */
  readonly #waitingServices = new Map<string, string>();
  readonly #dirtyServices = new Set<string>();
  readonly #removedServices = new Set<string>();
  readonly #newTasks = new Set<string>();
  /** Tasks that could not be allocated. */
  readonly #waitingTasks = new Set<string>();
  readonly #endedTasks = new Set<string>();
  /** Something was freed, or a network changed: what waits may be possible now. */
  #retry = false;

  constructor(
    private readonly deps: { readonly store: Store; readonly clock: Clock; readonly log: Logger },
    private readonly networks: NetworkProvider,
  ) {}

  /** Takes over everything that is allocated before anything new is given out. */
  load(tx: ReadTransaction): void {
    const services = tx.find('service', by.all());
    const tasks = tx.find('task', by.all());
    for (const service of services) {
      this.#ports.restore(service);
      this.#dirtyServices.add(service.id);
    }
    this.networks.restore({ services, tasks: tasks.filter((task) => taskState(task) <= TaskState.RUNNING) });
    for (const task of tasks) if (taskState(task) === TaskState.NEW) this.#newTasks.add(task.id);
  }

  /** Notes where to look. */
  observe(event: ObjectEvent): void {
    if (event.table === 'network') this.#retry = true;
    else if (event.table === 'service') this.#observeService(event);
    else if (event.table === 'task') this.#observeTask(event);
  }

  #observeService(event: ObjectEvent & { readonly table: 'service' }): void {
    const id = event.object.id;
    if (event.kind === 'remove') {
      this.#dirtyServices.delete(id);
      this.#removedServices.add(id);
    } else if (event.kind === 'create' || event.oldObject.spec !== event.object.spec) this.#dirtyServices.add(id);
  }

  #observeTask(event: ObjectEvent & { readonly table: 'task' }): void {
    const task = event.object;
    if (event.kind === 'remove' || taskState(task) > TaskState.RUNNING) {
      this.#newTasks.delete(task.id);
      this.#waitingTasks.delete(task.id);
      this.#endedTasks.add(task.id);
    } else if (taskState(task) === TaskState.NEW) this.#newTasks.add(task.id);
  }

  /** Allocates what can be; resolves when that is committed. */
  async act(pace: Pace): Promise<void> {
    this.#free();
    await this.deps.store.batch(async (batch) => {
      await this.#allocateServices(batch, pace);
      await this.#allocateTasks(batch, pace);
    });
  }

  #free(): void {
    for (const serviceId of this.#removedServices) {
      const ports = this.#ports.release(serviceId);
      if (this.networks.releaseService(serviceId) || ports) this.#retry = true;
      this.#waitingServices.delete(serviceId);
    }
    this.#removedServices.clear();
    for (const taskId of this.#endedTasks) if (this.networks.releaseTask(taskId)) this.#retry = true;
    this.#endedTasks.clear();
  }

  // What one service frees, another may have been waiting for: as long as that happens, all are tried again.
  async #allocateServices(batch: Batch, pace: Pace): Promise<void> {
    for (let again = this.#retry; again || this.#dirtyServices.size > 0; ) {
      if (again) for (const id of this.#waitingServices.keys()) this.#dirtyServices.add(id);
      const round = [...this.#dirtyServices];
      this.#dirtyServices.clear();
      again = false;
      for (const serviceId of round) {
        if (this.#serveService(batch, serviceId)) again = true;
        if (pace.isDue()) await pace.rest();
      }
    }
  }

  /** Returns whether something was freed on the way. */
  #serveService(batch: Batch, serviceId: string): boolean {
    return batch.update((tx) => {
      const service = tx.get('service', serviceId);
      if (service === undefined) return false;
      const { resources, freed } = this.#allocateService(tx, service);
      this.#noteService(service, resources);
      if (resources.kind === 'allocated') {
        const endpoint = endpointToWrite(service, resources.value);
        if (endpoint !== undefined) tx.update('service', { ...service, endpoint });
      }
      return freed;
    });
  }

  #allocateService(tx: ReadTransaction, service: Service): { resources: Allocation<ServiceResources>; freed: boolean } {
    const ports = this.#ports.allocate(service);
    const freed = ports.freed;
    if (ports.kind === 'conflict') return { resources: { kind: 'waiting', reason: ports.reason }, freed };
    const networks = findNetworks(serviceNetworks(service), (id) => tx.get('network', id));
    if (networks.kind === 'waiting') return { resources: networks, freed };
    const virtualIps = this.networks.allocateService(service, networks.value);
    if (virtualIps.kind === 'waiting') return { resources: virtualIps, freed };
    return { resources: { kind: 'allocated', value: { ports: ports.ports, virtualIps: virtualIps.value } }, freed };
  }

  #noteService(service: Service, resources: Allocation<ServiceResources>): void {
    if (resources.kind === 'allocated') {
      if (this.#waitingServices.delete(service.id)) this.#retry = true;
    } else if (this.#waitingServices.get(service.id) !== resources.reason) {
      this.#waitingServices.set(service.id, resources.reason);
      this.deps.log.warn({ 'service.id': service.id, reason: resources.reason }, 'service waits for resources');
      // Its waiting tasks tell the reason.
      this.#retry = true;
    }
  }

  async #allocateTasks(batch: Batch, pace: Pace): Promise<void> {
    const retry = this.#retry;
    this.#retry = false;
    const tasks = new Set(retry ? [...this.#waitingTasks, ...this.#newTasks] : this.#newTasks);
    this.#newTasks.clear();
    const wave = new StatusWave(this.deps.clock.nowMs());
    for (const taskId of tasks) {
      batch.update((tx) => {
        const task = tx.get('task', taskId);
        this.#waitingTasks.delete(taskId);
        if (task === undefined || taskState(task) !== TaskState.NEW) return;
        const service = tx.get('service', task.serviceId);
        // The orchestrator deletes it.
        if (service === undefined && task.serviceId !== '') return;
        const attachments = this.#allocateTask(tx, task, service);
        if (attachments.kind === 'waiting') this.#waitingTasks.add(taskId);
        const changed =
          attachments.kind === 'waiting'
            ? wave.waiting(task, attachments.reason)
            : wave.allocated(task, service, attachments.value);
        if (changed !== undefined) tx.update('task', changed);
      });
      if (pace.isDue()) await pace.rest();
    }
  }

  #allocateTask(
    tx: ReadTransaction,
    task: Task,
    service: Service | undefined,
  ): ReturnType<NetworkProvider['allocateTask']> {
    // Nobody wants it any more: it needs nothing, and the scheduler closes it.
    if (task.desiredState > TaskState.COMPLETE) return { kind: 'allocated', value: task.networks };
    const reason = this.#waitingServices.get(task.serviceId);
    if (reason !== undefined) return { kind: 'waiting', reason };
    const networks = findNetworks(taskNetworks(task, service), (id) => tx.get('network', id));
    return networks.kind === 'waiting' ? networks : this.networks.allocateTask(task, networks.value);
  }
}
