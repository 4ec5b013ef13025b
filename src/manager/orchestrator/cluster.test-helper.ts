import { create } from '@bufbuild/protobuf';

import {
  ClusterSchema,
  ContainerSpecSchema,
  NodeSchema,
  NodeSpec_Availability,
  NodeStatus_State,
  RestartPolicySchema,
  ServiceSchema,
  ServiceSpecSchema,
  TaskSpecSchema,
  TaskState,
  TaskStatusSchema,
  timestampFromMs,
  VersionSchema,
  type Node,
  type RestartPolicy,
  type Service,
  type ServiceSpec,
  type Task,
  type UpdateConfig,
  RestartPolicy_RestartCondition,
  durationFromMs,
} from '../../api/index.js';
import { SILENT_LOGGER, type Clock, type Component, type Random } from '../../base/index.js';
import { by, MemoryStore } from '../../store/index.js';
import type { OrchestratorDeps } from './deps.js';

/** Virtual time. */
export interface TestClock extends Clock {
  advance(ms: number): Promise<void>;
  settle(): Promise<void>;
}

/** What the tasks of a test do once they may run. */
export type Behaviour = (task: Task) => 'run' | 'fail' | 'complete' | 'reject' | 'hang';

/** Never the same twice; ids come in the order of their creation. */
class CountingRandom implements Random {
  #count = 0;

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    new DataView(bytes.buffer).setUint32(Math.max(0, count - 12), ++this.#count);
    return bytes;
  }

  float(): number {
    return 0.5;
  }
}

/** A service spec for `image`, replicated unless told otherwise. */
export function serviceSpec(image: string, change: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    ...create(ServiceSpecSchema),
    annotations: { $typeName: 'docker.swarmkit.v1.Annotations', name: image, labels: {}, indices: [] },
    task: {
      ...create(TaskSpecSchema),
      runtime: { case: 'container', value: create(ContainerSpecSchema, { image }) },
      restart: restartPolicy({}),
    },
    mode: { case: 'replicated', value: { $typeName: 'docker.swarmkit.v1.ReplicatedService', replicas: 1n } },
    ...change,
  };
}

/** A restart policy: any condition, no delay, no limits, unless told otherwise. */
export function restartPolicy(change: Partial<RestartPolicy>): RestartPolicy {
  return {
    ...create(RestartPolicySchema, { condition: RestartPolicy_RestartCondition.ANY, delay: durationFromMs(0) }),
    ...change,
  };
}

/** Replicated mode. */
export function replicatedMode(replicas: number): ServiceSpec['mode'] {
  return {
    case: 'replicated',
    value: { $typeName: 'docker.swarmkit.v1.ReplicatedService', replicas: BigInt(replicas) },
  };
}

/** Global mode. */
export const GLOBAL_MODE: ServiceSpec['mode'] = {
  case: 'global',
  value: { $typeName: 'docker.swarmkit.v1.GlobalService' },
};

/**
 * A store with components running on it, and simple stand-ins for allocator, scheduler and agents: one
 * step of one task at a time, on nodes that are up.
 */
export class TestCluster {
  readonly store: MemoryStore;
  readonly deps: OrchestratorDeps;
  behaviour: Behaviour = () => 'run';
  /** Whether agents finish stopping tasks. */
  stops = true;
  /** Looks at the tasks after every step. */
  watch: (tasks: readonly Task[]) => void = () => undefined;
  readonly #abort = new AbortController();
  #running: Promise<unknown>[] = [];
  #nextNode = 0;

  constructor(readonly clock: TestClock) {
    this.store = new MemoryStore({}, { clock });
    this.deps = { store: this.store, clock, random: new CountingRandom(), log: SILENT_LOGGER };
  }

  start(...components: readonly Component[]): void {
    this.#running.push(...components.map((component) => component.run(this.#abort.signal)));
  }

  async stop(): Promise<void> {
    this.#abort.abort(new Error('the test is over'));
    await Promise.all(this.#running);
  }

  async cluster(historyLimit: number): Promise<void> {
    const id = 'cluster';
    await this.store.update((tx) => {
      const present = tx.get('cluster', id);
      const spec = create(ClusterSchema, {
        id,
        spec: { annotations: { name: 'default' }, orchestration: { taskHistoryRetentionLimit: BigInt(historyLimit) } },
      });
      if (present === undefined) tx.create('cluster', spec);
      else tx.update('cluster', { ...present, spec: spec.spec });
    });
  }

  async node(id: string, change: Partial<Node> = {}): Promise<void> {
    await this.store.update((tx) => {
      tx.create('node', {
        ...create(NodeSchema, { id, spec: { availability: NodeSpec_Availability.ACTIVE } }),
        status: create(NodeSchema, { status: { state: NodeStatus_State.READY } }).status,
        ...change,
      });
    });
  }

  async changeNode(id: string, change: (node: Node) => Node): Promise<void> {
    await this.store.update((tx) => tx.update('node', change(tx.get('node', id) as Node)));
  }

  async availability(id: string, availability: NodeSpec_Availability): Promise<void> {
    await this.changeNode(id, (node) => ({ ...node, spec: create(NodeSchema, { spec: { availability } }).spec }));
  }

  async nodeState(id: string, state: NodeStatus_State): Promise<void> {
    await this.changeNode(id, (node) => ({ ...node, status: create(NodeSchema, { status: { state } }).status }));
  }

  /** As the control API creates it. */
  async service(id: string, spec: ServiceSpec): Promise<void> {
    const specVersion = create(VersionSchema);
    await this.store.update((tx) => tx.create('service', { ...create(ServiceSchema, { id }), spec, specVersion }));
  }

  /** As the control API updates it. */
  async updateService(id: string, change: (spec: ServiceSpec) => ServiceSpec): Promise<void> {
    await this.store.update((tx) => {
      const service = tx.get('service', id) as Service;
      tx.update('service', {
        ...service,
        spec: change(service.spec as ServiceSpec),
        specVersion: service.meta?.version,
        previousSpec: service.spec,
        previousSpecVersion: service.specVersion,
        updateStatus: undefined,
      });
    });
  }

  async setImage(id: string, image: string, update: Partial<UpdateConfig> = {}): Promise<void> {
    await this.updateService(id, (spec) => ({
      ...spec,
      task: {
        ...create(TaskSpecSchema),
        ...spec.task,
        runtime: serviceSpec(image).task?.runtime ?? { case: undefined },
      },
      update: { ...(create(ServiceSpecSchema, { update: {} }).update as UpdateConfig), ...spec.update, ...update },
    }));
  }

  getService(id: string): Service {
    return this.store.view((tx) => tx.get('service', id)) as Service;
  }

  tasks(serviceId?: string): readonly Task[] {
    return this.store.view((tx) => tx.find('task', serviceId === undefined ? by.all() : by.service(serviceId)));
  }

  /** Tasks that are wanted to run, or held. */
  wanted(serviceId: string): readonly Task[] {
    return this.tasks(serviceId).filter((task) => task.desiredState <= TaskState.RUNNING);
  }

  /** Tasks that are wanted and do run. */
  running(serviceId: string): readonly Task[] {
    return this.wanted(serviceId).filter((task) => task.status?.state === TaskState.RUNNING);
  }

  async setTask(id: string, state: TaskState, change: Partial<Task> = {}): Promise<void> {
    await this.store.update((tx) => {
      const task = tx.get('task', id);
      if (task !== undefined) tx.update('task', { ...task, ...this.#status(state), ...change });
    });
  }

  #status(state: TaskState): Pick<Task, 'status'> {
    const now = timestampFromMs(this.clock.nowMs());
    return { status: create(TaskStatusSchema, { state, timestamp: now, appliedAt: now }) };
  }

  /** Lets components and agents work until nothing changes any more at this instant. */
  async settle(): Promise<void> {
    for (let round = 0; round < 10_000; round++) {
      await this.clock.settle();
      const steps = this.tasks().filter((task) => this.#step(task) !== undefined);
      if (steps.length === 0) return;
      for (const task of steps) {
        const change = this.#step(task);
        if (change !== undefined) await this.setTask(task.id, change.state, change.change);
      }
      await this.clock.settle();
      this.watch(this.tasks());
    }
    throw new Error('the cluster does not settle');
  }

  /** Passes time, settling at every step. */
  async pass(ms: number, stepMs = 100): Promise<void> {
    await this.settle();
    for (let passed = 0; passed < ms; passed += stepMs) {
      await this.clock.advance(Math.min(stepMs, ms - passed));
      await this.settle();
    }
  }

  #step(task: Task): { readonly state: TaskState; readonly change?: Partial<Task> } | undefined {
    const state = task.status?.state ?? TaskState.NEW;
    if (state > TaskState.RUNNING) return undefined;
    const wanted = task.desiredState <= TaskState.RUNNING;
    if (state < TaskState.ASSIGNED) return wanted ? this.#assign(task) : { state: TaskState.SHUTDOWN };
    const node = this.store.view((tx) => tx.get('node', task.nodeId));
    if (node === undefined || node.status?.state === NodeStatus_State.DOWN) return undefined;
    if (!wanted) return this.stops ? { state: TaskState.SHUTDOWN } : undefined;
    const behaviour = this.behaviour(task);
    if (state < TaskState.READY) return { state: behaviour === 'reject' ? TaskState.REJECTED : TaskState.READY };
    if (state < TaskState.RUNNING) {
      return task.desiredState === TaskState.RUNNING && behaviour !== 'hang' ? { state: TaskState.RUNNING } : undefined;
    }
    if (behaviour === 'fail') return { state: TaskState.FAILED };
    return behaviour === 'complete' ? { state: TaskState.COMPLETE } : undefined;
  }

  #assign(task: Task): { readonly state: TaskState; readonly change?: Partial<Task> } | undefined {
    if (task.nodeId !== '') return { state: TaskState.ASSIGNED };
    const nodes = this.store
      .view((tx) => tx.find('node', by.all()))
      .filter(
        (node) =>
          node.status?.state === NodeStatus_State.READY && node.spec?.availability === NodeSpec_Availability.ACTIVE,
      );
    const node = nodes[this.#nextNode++ % Math.max(1, nodes.length)];
    return node === undefined ? undefined : { state: TaskState.ASSIGNED, change: { nodeId: node.id } };
  }
}
