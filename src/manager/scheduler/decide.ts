import { randomInt, type Random } from '../../base/index.js';
import { TaskState, type GenericResource, type Service, type Task, type VolumeAttachment } from '../../api/index.js';
import type { ClusterState } from './cluster-state.js';
import { Pipeline } from './filters.js';
import type { NodeInfo } from './node-info.js';
import { PlacementTree } from './placement-tree.js';
import { requirementsOf, type Requirements } from './requirements.js';

/** A task gets a node, or the node it came with is confirmed. */
export interface Assignment {
  readonly kind: 'assign';
  readonly task: Task;
  readonly nodeId: string;
  /** Held by the state as well: neither may change it. */
  readonly generic: GenericResource[];
  readonly volumes: VolumeAttachment[];
  readonly message: string;
}

/** What becomes of a task. */
export type Decision =
  | Assignment
  /** Nothing suits it now; `error` says why. */
  | { readonly kind: 'refuse'; readonly task: Task; readonly error: string }
  /** It is not meant to run any more and never got a node, so nobody else can end it. */
  | { readonly kind: 'shut-down'; readonly task: Task };

/** What deciding needs beside the state of the cluster. */
export interface DecideContext {
  readonly nowMs: number;
  readonly random: Random;
  readonly service: (id: string) => Service | undefined;
}

/** The decisions for one group of tasks, and how many nodes and tasks were looked at for them. */
export interface GroupDecisions {
  readonly decisions: readonly Decision[];
  readonly effort: number;
}

const CHOSEN = 'scheduler assigned task to node';
const CONFIRMED = 'scheduler confirmed task can run on preassigned node';

/**
 * Decides about all queued tasks worth trying, group by group. Each decision is made on the state that the
 * ones before left, and changes it; those that do not reach the store must be taken back.
 */
export function* decide(state: ClusterState, context: DecideContext): Generator<GroupDecisions, void, undefined> {
  const waiting = state.takeQueue();
  const decisions = waiting.filter(isUnwanted).flatMap((task) => endUnwanted(state, task));
  const wanted = waiting.filter((task) => !isUnwanted(task));
  for (const task of wanted.filter((each) => each.nodeId !== '')) decisions.push(...confirm(state, task));
  yield { decisions, effort: waiting.length };
  for (const group of groupsOf(wanted.filter((task) => task.nodeId === ''))) yield placeGroup(state, group, context);
}

function isUnwanted(task: Task): boolean {
  return task.desiredState > TaskState.COMPLETE;
}

/** Tasks to be removed are left to who removes them. */
function endUnwanted(state: ClusterState, task: Task): readonly Decision[] {
  state.drop(task.id);
  return task.desiredState === TaskState.SHUTDOWN ? [{ kind: 'shut-down', task }] : [];
}

/** A node of its own is only confirmed; while it is unknown, or has no room, the task waits. */
function confirm(state: ClusterState, task: Task): readonly Decision[] {
  const info = state.node(task.nodeId);
  const pipeline = new Pipeline(requirementsOf(task), state.volumes);
  if (info !== undefined && pipeline.passes(info)) return [assign(state, task, info, pipeline.required, CONFIRMED)];
  state.refuse(task.id);
  return info === undefined ? [] : [{ kind: 'refuse', task, error: pipeline.explain([info]) }];
}

/**
 * Tasks of one service and version of its spec are alike. Tasks without a version are, too, when they ask
 * for the same; SwarmKit takes each of those alone, at the full price for each.
 */
function groupsOf(tasks: readonly Task[]): Iterable<readonly Task[]> {
  const groups = new Map<string, Task[]>();
  for (const task of tasks) {
    const key = `${task.serviceId}/${task.specVersion === undefined ? signatureOf(task) : task.specVersion.index}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [task]);
    else group.push(task);
  }
  return groups.values();
}

function signatureOf(task: Task): string {
  return JSON.stringify(requirementsOf(task), (_name, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
}

function placeGroup(state: ClusterState, group: readonly Task[], context: DecideContext): GroupDecisions {
  const sample = group[0] as Task;
  const pipeline = new Pipeline(requirementsOf(sample), state.volumes);
  const { nodes } = state;
  const tree = new PlacementTree(pipeline, nodes, sample, context.nowMs, randomInt(context.random, nodes.length));
  const decisions: Decision[] = [];
  let placed = 0;
  for (const task of group) {
    const take = (info: NodeInfo): void => {
      decisions.push(assign(state, task, info, pipeline.required, CHOSEN));
    };
    if (!tree.place(take)) break;
    placed += 1;
  }
  const left = group.slice(placed);
  if (left.length > 0) decisions.push(...refuse(state, left, noSuitableNode(pipeline, nodes), context));
  return { decisions, effort: nodes.length * (left.length > 0 ? 2 : 1) + group.length };
}

function noSuitableNode(pipeline: Pipeline, nodes: readonly NodeInfo[]): string {
  const explanation = pipeline.explain(nodes);
  return explanation === '' ? 'no suitable node' : `no suitable node (${explanation})`;
}

/** Tasks whose service is gone, or has a newer version, are about to be replaced or removed: they do not wait. */
function refuse(
  state: ClusterState,
  tasks: readonly Task[],
  error: string,
  context: DecideContext,
): readonly Decision[] {
  return tasks.flatMap((task) => {
    const service = context.service(task.serviceId);
    if (service === undefined || isObsolete(task, service)) {
      state.drop(task.id);
      return [];
    }
    state.refuse(task.id);
    return [{ kind: 'refuse', task, error }];
  });
}

function isObsolete(task: Task, service: Service): boolean {
  if (task.specVersion === undefined || service.specVersion === undefined) return false;
  return service.specVersion.index > task.specVersion.index;
}

function assign(state: ClusterState, task: Task, info: NodeInfo, required: Requirements, message: string): Assignment {
  const generic = [...info.chooseGeneric(required.generic)];
  const volumes =
    required.clusterMounts.length === 0 ? [] : [...(state.volumes.choose(required.clusterMounts, info.node) ?? [])];
  const nodeId = info.node.id;
  state.assign({ ...task, nodeId, assignedGenericResources: generic, volumes });
  return { kind: 'assign', task, nodeId, generic, volumes, message };
}
