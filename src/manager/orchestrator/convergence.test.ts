import { create } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  durationFromMs,
  NodeSpec_Availability,
  NodeStatus_State,
  TaskSpecSchema,
  TaskState,
  UpdateConfig_FailureAction,
  UpdateConfig_UpdateOrder,
  UpdateConfigSchema,
  type ServiceSpec,
  type Task,
} from '../../api/index.js';
import { SimClock } from '../../sim/index.js';
import { GLOBAL_MODE, replicatedMode, restartPolicy, serviceSpec, TestCluster } from './cluster.test-helper.js';
import { createOrchestrators } from './index.js';

const KINDS = [
  'update',
  'fail',
  'scale',
  'pass',
  'drain',
  'down',
  'up',
  'stops',
  'rejects',
  'failover',
  'delete',
] as const;
type Step = readonly [kind: (typeof KINDS)[number], number: number];

interface Scenario {
  readonly mode: ServiceSpec['mode'];
  readonly order: UpdateConfig_UpdateOrder;
  readonly failureAction: UpdateConfig_FailureAction;
  readonly steps: readonly Step[];
}

const scenarios = fc.record({
  mode: fc.constantFrom(replicatedMode(4), GLOBAL_MODE),
  order: fc.constantFrom(UpdateConfig_UpdateOrder.STOP_FIRST, UpdateConfig_UpdateOrder.START_FIRST),
  failureAction: fc.constantFrom(
    UpdateConfig_FailureAction.CONTINUE,
    UpdateConfig_FailureAction.PAUSE,
    UpdateConfig_FailureAction.ROLLBACK,
  ),
  steps: fc.array(fc.tuple(fc.constantFrom(...KINDS), fc.nat(20)), { minLength: 3, maxLength: 16 }),
});

const NODES = ['n1', 'n2', 'n3'];

/** A cluster whose leader can be changed. */
class Play {
  readonly cluster = new TestCluster(new SimClock());
  #leader = new AbortController();
  #running: readonly Promise<void>[] = [];

  constructor(readonly scenario: Scenario) {}

  async begin(): Promise<void> {
    const { cluster, scenario } = this;
    for (const id of NODES) await cluster.node(id);
    if (scenario.order === UpdateConfig_UpdateOrder.STOP_FIRST && scenario.mode.case === 'replicated') {
      cluster.watch = expectOnePerSlot;
    }
    this.#lead();
    await cluster.service('s', { ...serviceSpec('web:0', { mode: scenario.mode }), ...this.#spec('web:0') });
    await cluster.settle();
  }

  #lead(): void {
    this.#leader = new AbortController();
    this.#running = createOrchestrators(this.cluster.deps).map((part) => part.run(this.#leader.signal));
  }

  async end(): Promise<void> {
    this.#leader.abort(new Error('lost leadership'));
    await Promise.all(this.#running);
  }

  #spec(name: string): Partial<ServiceSpec> {
    const { order, failureAction } = this.scenario;
    const restart = restartPolicy({ delay: durationFromMs(300) });
    return {
      task: { ...create(TaskSpecSchema), ...serviceSpec(name).task, restart },
      update: create(UpdateConfigSchema, { parallelism: 2n, monitor: durationFromMs(1_000), order, failureAction }),
    };
  }

  async update(name: string): Promise<void> {
    await this.cluster.updateService('s', (spec) => ({ ...spec, ...this.#spec(name) }));
  }

  async step([kind, number]: Step): Promise<void> {
    const { cluster } = this;
    const nodeId = NODES[number % 2] as string;
    const chosen = cluster.wanted('s')[number % 4];
    if (kind === 'update') await this.update(`web:${number}`);
    else if (kind === 'fail' && chosen !== undefined) await cluster.setTask(chosen.id, TaskState.FAILED);
    else if (kind === 'delete' && chosen !== undefined) {
      await cluster.store.update((tx) => tx.remove('task', chosen.id));
    } else if (kind === 'scale' && this.scenario.mode.case === 'replicated') {
      await cluster.updateService('s', (spec) => ({ ...spec, mode: replicatedMode(number % 7) }));
    } else if (kind === 'drain') await cluster.availability(nodeId, NodeSpec_Availability.DRAIN);
    else if (kind === 'down') await cluster.nodeState(nodeId, NodeStatus_State.DOWN);
    else if (kind === 'up') await this.#recover(nodeId);
    else if (kind === 'stops') cluster.stops = !cluster.stops;
    else if (kind === 'rejects')
      cluster.behaviour = (task) => (Number(image(task).slice(4)) % 3 === number % 3 ? 'reject' : 'run');
    else if (kind === 'failover') {
      await this.end();
      this.#lead();
    }
    if (kind === 'pass') await cluster.pass(number * 100);
    else await cluster.clock.settle();
    cluster.watch(cluster.tasks());
  }

  async #recover(nodeId: string): Promise<void> {
    await this.cluster.nodeState(nodeId, NodeStatus_State.READY);
    await this.cluster.availability(nodeId, NodeSpec_Availability.ACTIVE);
  }

  /** Everything works again, and the user says once more what is wanted. */
  async recover(): Promise<void> {
    this.cluster.behaviour = () => 'run';
    this.cluster.stops = true;
    for (const nodeId of NODES) await this.#recover(nodeId);
    await this.cluster.pass(500);
    await this.update('web:99');
    await this.cluster.pass(150_000, 1_000);
  }
}

function image(task: Task): string {
  return task.spec?.runtime.case === 'container' ? task.spec.runtime.value.image : '';
}

function expectOnePerSlot(tasks: readonly Task[]): void {
  const slots = tasks.filter((task) => task.desiredState === TaskState.RUNNING).map((task) => task.slot);
  expect(new Set(slots).size).toBe(slots.length);
}

describe('whatever happens', () => {
  it('services end as declared; and with stop-first no slot ever wants two tasks to run', async () => {
    await fc.assert(
      fc.asyncProperty(scenarios, async (scenario) => {
        const play = new Play(scenario);
        await play.begin();
        for (const step of scenario.steps) await play.step(step);
        await play.recover();
        const { cluster } = play;
        const mode = cluster.getService('s').spec?.mode;
        const wanted = mode?.case === 'replicated' ? Number(mode.value.replicas) : NODES.length;
        const places = cluster.running('s').map((task) => (task.slot === 0n ? task.nodeId : task.slot.toString()));
        expect(places).toHaveLength(wanted);
        expect(new Set(places).size).toBe(wanted);
        expect(cluster.wanted('s')).toHaveLength(wanted);
        expect(new Set(cluster.running('s').map(image))).toEqual(new Set(wanted === 0 ? [] : ['web:99']));
        await play.end();
      }),
      { numRuns: 150 },
    );
  });
});
