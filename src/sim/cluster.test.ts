import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it } from 'vitest';

import {
  NodeSpec_Availability,
  NodeStatus_State,
  ServiceSpecSchema,
  TaskState,
  taskState,
  type Service,
  type Task,
} from '../api/index.js';
import { Code } from '../base/index.js';
import { by } from '../store/index.js';
import { Acknowledged } from './acknowledged.js';
import { SimCluster } from './cluster.js';
import type { SimMachine } from './machine.js';
import { unsettled } from './settled.js';
import { TaskRules } from './task-rules.js';

const CALL = { signal: new AbortController().signal };

/** Longest grace of a heartbeat: three periods of at most 5.5 s; twice that after a change of leader. */
const GRACE_MS_MAX = 16_500;

let cluster: SimCluster;
let acknowledged: Acknowledged;
beforeEach(async () => {
  acknowledged = new Acknowledged();
  cluster = new SimCluster({
    seed: 5,
    watchers: (simulated) => [
      acknowledged,
      new TaskRules({
        clock: simulated.clock,
        wasGiven: (nodeId, taskId) => simulated.machineOf(nodeId)?.given.has(taskId),
      }),
    ],
  });
  const manager = cluster.addManager();
  await cluster.wait(manager.life?.node.ready ?? Promise.reject(new Error('it does not run')));
});

async function addWorkers(count: number): Promise<readonly SimMachine[]> {
  for (let i = 0; i < count; i++) cluster.addWorker();
  await cluster.until(
    () => cluster.workers.every((worker) => stateOf(worker) === NodeStatus_State.READY),
    10_000,
    'nodes',
  );
  return cluster.workers;
}

function stateOf(machine: SimMachine): NodeStatus_State | undefined {
  return cluster.view((tx) => tx.get('node', machine.nodeId))?.status?.state;
}

async function createService(name: string, replicas: number, secretId?: string): Promise<Service> {
  const secrets =
    secretId === undefined
      ? []
      : [{ secretId, secretName: 's', target: { case: 'file' as const, value: { name: 's' } } }];
  const spec = create(ServiceSpecSchema, {
    annotations: { name },
    task: { runtime: { case: 'container', value: { image: 'image', secrets } } },
    mode: { case: 'replicated', value: { replicas: BigInt(replicas) } },
  });
  const { service } = await cluster.wait(cluster.control().createService({ spec }, CALL));
  if (service === undefined) throw new Error('no service came back');
  acknowledged.stored(service);
  return service;
}

function tasksOf(service: Service): readonly Task[] {
  return cluster.view((tx) => tx.find('task', by.service(service.id)));
}

function runningOn(service: Service): readonly string[] {
  return tasksOf(service)
    .filter((task) => taskState(task) === TaskState.RUNNING && task.desiredState === TaskState.RUNNING)
    .map(({ nodeId }) => nodeId);
}

async function settle(): Promise<void> {
  let problems: readonly string[] = [];
  for (let i = 0; i < 120; i++) {
    await cluster.step(1_000);
    problems = await unsettled(cluster, () => true);
    if (problems.length === 0) return;
  }
  expect(problems).toEqual([]);
}

async function setAvailability(machine: SimMachine, availability: NodeSpec_Availability): Promise<void> {
  const { node } = await cluster.wait(cluster.control().getNode({ nodeId: machine.nodeId }, CALL));
  if (node?.spec === undefined || node.meta?.version === undefined) throw new Error('no node came back');
  const request = { nodeId: node.id, nodeVersion: node.meta.version, spec: { ...node.spec, availability } };
  await cluster.wait(cluster.control().updateNode(request, CALL));
}

describe('a cluster of real nodes on virtual time', () => {
  it('runs a service on all its nodes within half a second of virtual time', async () => {
    await addWorkers(4);
    const service = await createService('web', 10);
    await cluster.until(() => runningOn(service).length === 10, 500, 'ten replicas');
    expect(new Set(runningOn(service)).size).toBe(5);
    await settle();
  });

  it('gives a secret to the nodes of the tasks that need it, and takes it back with them', async () => {
    const workers = await addWorkers(2);
    const data = new Uint8Array([1, 2, 3]);
    const { secret } = await cluster.wait(
      cluster.control().createSecret({ spec: { annotations: { name: 's' }, data } }, CALL),
    );
    const service = await createService('web', 2, secret?.id);
    await cluster.until(() => runningOn(service).length === 2, 1_000, 'two replicas');
    const controllers = [...cluster.machines.values()].flatMap((machine) => [...machine.controllers.values()]);
    expect(controllers.map(({ dependencies }) => dependencies.secret(secret?.id ?? '')?.spec?.data)).toEqual([
      data,
      data,
    ]);
    acknowledged.removing(service.id);
    await cluster.wait(cluster.control().removeService({ serviceId: service.id }, CALL));
    await settle();
    expect(controllers.map(({ dependencies }) => dependencies.secret(secret?.id ?? ''))).toEqual([
      undefined,
      undefined,
    ]);
    expect(workers.flatMap((worker) => worker.executor.running())).toEqual([]);
  });

  it('finds a silent node down after its grace, not before, and replaces its tasks', async () => {
    const [silent] = await addWorkers(3);
    if (silent === undefined) throw new Error('no worker');
    const service = await createService('web', 6);
    await settle();
    cluster.crash(silent, 'machine', { kind: 'lost' });
    await cluster.step(9_000);
    expect(stateOf(silent)).toBe(NodeStatus_State.READY);
    await cluster.until(() => stateOf(silent) === NodeStatus_State.DOWN, GRACE_MS_MAX - 9_000, 'DOWN');
    const isReplaced = (): boolean => runningOn(service).length === 6 && !runningOn(service).includes(silent.nodeId);
    await cluster.until(isReplaced, 10_000, 'replacements');
    cluster.start(silent);
    await settle();
  });

  it('waits for its nodes after a restart of the manager, and reschedules nothing meanwhile', async () => {
    const workers = await addWorkers(3);
    const service = await createService('web', 6);
    await settle();
    const before = tasksOf(service).map(({ id }) => id);
    await cluster.stop(cluster.manager);
    await cluster.step(20_000);
    expect(workers.flatMap((worker) => worker.executor.running())).toHaveLength(
      before.filter((id) => !cluster.manager.executor.present().includes(id)).length,
    );
    for (const worker of workers) cluster.network.partition([worker.host], [cluster.manager.host]);
    const life = cluster.start(cluster.manager);
    await cluster.wait(life.node.ready);
    await cluster.step(10_000);
    expect(workers.map(stateOf)).toEqual(workers.map(() => NodeStatus_State.UNKNOWN));
    expect(tasksOf(service).map(({ id }) => id)).toEqual(before);
    cluster.network.heal();
    await settle();
    expect(tasksOf(service).map(({ id }) => id)).toEqual(before);
  });

  it('moves tasks off a drained node and leaves those of a paused one', async () => {
    const [first, second] = await addWorkers(2);
    if (first === undefined || second === undefined) throw new Error('no workers');
    const service = await createService('web', 6);
    await settle();
    await setAvailability(first, NodeSpec_Availability.DRAIN);
    await setAvailability(second, NodeSpec_Availability.PAUSE);
    await cluster.step(15_000);
    expect(first.executor.running()).toEqual([]);
    expect(second.executor.running()).toHaveLength(2);
    expect(runningOn(service)).toHaveLength(6);
    await settle();
  });

  it('lets go of a node that is removed', async () => {
    const [worker] = await addWorkers(2);
    if (worker === undefined) throw new Error('no worker');
    const service = await createService('web', 6);
    await settle();
    await expect(cluster.wait(cluster.control().removeNode({ nodeId: worker.nodeId }, CALL))).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
    });
    await cluster.stop(worker);
    await cluster.wait(cluster.control().removeNode({ nodeId: worker.nodeId, force: true }, CALL));
    await cluster.until(() => runningOn(service).length === 6, 20_000, 'replacements');
    await settle();
    cluster.start(worker);
    await cluster.step(30_000);
    expect(cluster.view((tx) => tx.get('node', worker.nodeId))).toBeUndefined();
  });

  it('keeps every acknowledged service wherever the manager is killed in the midst of writing', async () => {
    await addWorkers(1);
    let created = 0;
    for (let operations = 0; operations < 24; operations++) {
      const random = cluster.random.fork();
      cluster.crashAtDiskOperation(cluster.manager, operations, 'machine', { kind: 'random', random });
      while (cluster.manager.life !== undefined) {
        await createService(`service-${created++}`, 1).catch(() => undefined);
      }
      const life = cluster.start(cluster.manager);
      await cluster.wait(life.node.ready);
      const names = cluster.view((tx) => tx.find('service', by.all())).map(({ id }) => id);
      expect(names).toEqual(expect.arrayContaining([...acknowledged.present]));
    }
    expect(acknowledged.present.length).toBeGreaterThan(20);
    await settle();
  });
});
