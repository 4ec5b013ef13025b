import {
  isTerminal,
  NodeSpec_Availability,
  NodeStatus_State,
  RestartPolicy_RestartCondition,
  TaskState,
  taskState,
  UpdateStatus_UpdateState,
  type Node,
  type Service,
  type Task,
} from '../api/index.js';
import { by, type ReadTransaction } from '../store/index.js';
import type { SimCluster } from './cluster.js';
import type { SimMachine } from './machine.js';

const PAUSED = [UpdateStatus_UpdateState.PAUSED, UpdateStatus_UpdateState.ROLLBACK_PAUSED];

/** What keeps a cluster that is left alone from being as its users want it; empty when all is well. */
export async function unsettled(cluster: SimCluster, canRun: (task: Task) => boolean): Promise<readonly string[]> {
  if (cluster.manager.life?.node.store() === undefined) return ['the manager does not serve'];
  const found = cluster.view((tx) => [
    ...nodeProblems(cluster, tx),
    ...tx.find('service', by.all()).flatMap((service) => serviceProblems(tx, service, canRun)),
    ...tx
      .find('task', by.all())
      .filter((task) => tx.get('service', task.serviceId) === undefined)
      .map((task) => `task ${task.id} has no service`),
  ]);
  for (const machine of cluster.machines.values()) found.push(...(await machineProblems(cluster, machine)));
  return found;
}

/** Nodes that run are ready, those that do not are not. */
function nodeProblems(cluster: SimCluster, tx: ReadTransaction): readonly string[] {
  return tx.find('node', by.all()).flatMap(({ id, status }) => {
    const machine = cluster.machineOf(id);
    const wanted = machine?.life === undefined ? NodeStatus_State.DOWN : NodeStatus_State.READY;
    const state = status?.state ?? NodeStatus_State.UNKNOWN;
    return state === wanted ? [] : [`${machine?.name} (node ${id}) is ${NodeStatus_State[state]}`];
  });
}

function serviceProblems(tx: ReadTransaction, service: Service, canRun: (task: Task) => boolean): readonly string[] {
  const tasks = tx.find('task', by.service(service.id));
  const name = service.spec?.annotations?.name;
  const live = tasks.filter((task) => !isTerminal(taskState(task)) && task.desiredState <= TaskState.RUNNING);
  if (tasks.some((task) => !canRun(task) && (live.includes(task) || task.desiredState <= TaskState.COMPLETE)))
    return [];
  const running = live.filter((task) => taskState(task) === TaskState.RUNNING);
  const nodes = tx.find('node', by.all()).filter(isUsable);
  const finished = finishedSlots(service, tasks);
  const mode = service.spec?.mode;
  switch (mode?.case) {
    case 'replicated': {
      const wanted = nodes.length === 0 ? 0n : mode.value.replicas;
      const isPaused = PAUSED.includes(service.updateStatus?.state ?? UpdateStatus_UpdateState.UNKNOWN);
      // An update that starts before it stops leaves both tasks of a slot when it is paused between the two.
      const slots = new Set(running.map(slotOf));
      for (const slot of slots) finished.delete(slot);
      const count = BigInt(isPaused ? slots.size : running.length);
      const isRight = count <= wanted && count + BigInt(finished.size) >= wanted;
      return isRight ? [] : [`${name} has ${count} of ${wanted} replicas`];
    }
    case 'global': {
      const on = new Set(running.map(({ nodeId }) => nodeId));
      return nodes
        .filter(({ id }) => !on.has(id) && !finished.has(id))
        .map(({ id }) => `${name} does not run on node ${id}`);
    }
    default:
      return [];
  }
}

/** Slots that are not filled again, because a task in them ended well and only failures are made good. */
function finishedSlots({ spec }: Service, tasks: readonly Task[]): Set<string> {
  if (spec?.task?.restart?.condition !== RestartPolicy_RestartCondition.ON_FAILURE) return new Set();
  return new Set(tasks.filter((task) => taskState(task) === TaskState.COMPLETE).map(slotOf));
}

function slotOf({ slot, nodeId }: Task): string {
  return slot === 0n ? nodeId : slot.toString();
}

function isUsable({ status, spec }: Node): boolean {
  return status?.state === NodeStatus_State.READY && spec?.availability === NodeSpec_Availability.ACTIVE;
}

/** What a node has is what the store assigns to it. */
async function machineProblems(cluster: SimCluster, machine: SimMachine): Promise<readonly string[]> {
  const { nodeId, name } = machine;
  if (machine.life === undefined || cluster.view((tx) => tx.get('node', nodeId)) === undefined) return [];
  const tasks = cluster.view((tx) => tx.find('task', by.node(nodeId)));
  const assigned = tasks.filter((task) => taskState(task) >= TaskState.ASSIGNED).map(({ id }) => id);
  const held = (await machine.database.load()).filter((stored) => stored.assigned).map(({ task }) => task.id);
  const running = tasks.filter((task) => taskState(task) === TaskState.RUNNING).map(({ id }) => id);
  return [
    ...difference(`${name} has tasks`, held, assigned),
    ...difference(`${name} runs`, machine.executor.running(), running),
    ...secretProblems(machine, tasks),
  ];
}

function difference(what: string, actual: readonly string[], wanted: readonly string[]): readonly string[] {
  const [a, w] = [actual.toSorted().join(), wanted.toSorted().join()];
  return a === w ? [] : [`${what} ${a}, not ${w}`];
}

/** A node has a secret while a live task needs it, and not after. */
function secretProblems(machine: SimMachine, tasks: readonly Task[]): readonly string[] {
  const live = tasks.filter((task) => !isTerminal(taskState(task)));
  const needed = new Set(live.flatMap(secretsOf));
  const problems: string[] = [];
  for (const [taskId, { task, dependencies }] of machine.controllers) {
    const isLive = live.some(({ id }) => id === taskId);
    for (const id of secretsOf(task)) {
      const isThere = dependencies.secret(id) !== undefined;
      if (isThere && !needed.has(id)) problems.push(`${machine.name} still has secret ${id}`);
      if (!isThere && isLive) problems.push(`${machine.name} lacks secret ${id} of task ${taskId}`);
    }
  }
  return problems;
}

function secretsOf({ spec }: Task): readonly string[] {
  return spec?.runtime.case === 'container' ? spec.runtime.value.secrets.map(({ secretId }) => secretId) : [];
}
