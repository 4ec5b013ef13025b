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

/** Some decisions, and how much work they were, and will be to write, in looks at a node. */
export interface DecisionChunk {
  readonly decisions: readonly Decision[];
  readonly effort: number;
}

/** Decisions after which the caller gets a turn. */
const CHUNK = 250;

/** What deciding about a task and writing it costs, in looks at a node. */
const EFFORT_PER_TASK = 100;

const CHOSEN = 'scheduler assigned task to node';
const CONFIRMED = 'scheduler confirmed task can run on preassigned node';

/**
 * Decides about all queued tasks worth trying, group by group. Each decision is made on the state that the
 * ones before left, and changes it; those that do not reach the store must be taken back. Between two chunks
 * the caller may do other things, as long as events of the store are not among them.
 */
export function* decide(state: ClusterState, context: DecideContext): Generator<DecisionChunk, void, undefined> {
  const waiting = state.takeQueue();
  const wanted = waiting.filter((task) => !isUnwanted(task));
  const own = wanted.filter((task) => task.nodeId !== '');
  yield* inChunks(waiting.filter(isUnwanted), (task) => endUnwanted(state, task));
  yield* inChunks(own, (task) => confirm(state, task));
  for (const group of groupsOf(wanted.filter((task) => task.nodeId === ''))) yield* placeGroup(state, group, context);
}

function* inChunks(
  tasks: readonly Task[],
  decideOne: (task: Task) => readonly Decision[],
): Generator<DecisionChunk, void, undefined> {
  for (let at = 0; at < tasks.length; at += CHUNK) {
    const decisions = tasks.slice(at, at + CHUNK).flatMap(decideOne);
    yield { decisions, effort: decisions.length * EFFORT_PER_TASK };
  }
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

function* placeGroup(
  state: ClusterState,
  group: readonly Task[],
  context: DecideContext,
): Generator<DecisionChunk, void, undefined> {
  const sample = group[0] as Task;
  const pipeline = new Pipeline(requirementsOf(sample), state.volumes);
  const { nodes } = state;
  const tree = new PlacementTree(pipeline, nodes, sample, context.nowMs, randomInt(context.random, nodes.length));
  let decisions: Decision[] = [];
  let effort = nodes.length;
  for (const [index, task] of group.entries()) {
    const take = (info: NodeInfo): void => {
      decisions.push(assign(state, task, info, pipeline.required, CHOSEN));
    };
    if (!tree.place(take)) {
      const error = noSuitableNode(pipeline, nodes);
      effort += nodes.length;
      yield { decisions, effort: effort + decisions.length * EFFORT_PER_TASK };
      yield* inChunks(group.slice(index), (each) => refuse(state, each, error, context));
      return;
    }
    if (decisions.length < CHUNK) continue;
    yield { decisions, effort: effort + decisions.length * EFFORT_PER_TASK };
    decisions = [];
    effort = 0;
  }
  yield { decisions, effort: effort + decisions.length * EFFORT_PER_TASK };
}

function noSuitableNode(pipeline: Pipeline, nodes: readonly NodeInfo[]): string {
  const explanation = pipeline.explain(nodes);
  return explanation === '' ? 'no suitable node' : `no suitable node (${explanation})`;
}

/** A task whose service is gone, or has a newer version, is about to be replaced or removed: it does not wait. */
function refuse(state: ClusterState, task: Task, error: string, context: DecideContext): readonly Decision[] {
  const service = context.service(task.serviceId);
  if (service === undefined || isObsolete(task, service)) {
    state.drop(task.id);
    return [];
  }
  state.refuse(task.id);
  return [{ kind: 'refuse', task, error }];
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
