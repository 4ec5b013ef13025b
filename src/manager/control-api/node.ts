import {
  NodeRole,
  NodeSpec_Membership,
  NodeStatus_State,
  TaskState,
  taskState,
  timestampFromMs,
  TaskStatusSchema,
  ManagerStatusSchema,
  BlacklistedCertificateSchema,
  type Cluster,
  type ListNodesRequest,
  type Node,
  type NodeSpec,
  type Task,
} from '../../api/index.js';
import { create } from '@bufbuild/protobuf';

import { Code, SwarmError } from '../../base/index.js';
import { by, type ReadTransaction, type WriteTransaction } from '../../store/index.js';
import { certificateExpiryMs, unexpired } from './blacklist.js';
import { CLUSTER_NAME } from './validate-cluster.js';
import { commit, written, type ControlContext, type Handlers, type RaftMember } from './deps.js';
import { failedPrecondition, invalidArgument, notFound } from './errors.js';
import { choice, firstChoice, hasLabels, oneOf, passing, startsWithAny } from './filters.js';
import { Slices } from './slices.js';

/**
 * Tasks orphaned in the same transaction that removes their node. More than these are orphaned before,
 * in a batch, because a transaction is bounded.
 */
const ORPHANS_PER_REMOVAL_MAX = 50;

/** Batches of orphans before a removal gives up because new tasks keep coming. */
const ORPHAN_BATCHES_MAX = 10;

/** Source: SwarmKit; shown by clients. */
const ORPHANED_MESSAGE = 'Task belonged to a node that has been deleted';

/** Handlers for nodes. */
export function nodeHandlers(control: ControlContext): Handlers<'getNode' | 'listNodes' | 'updateNode' | 'removeNode'> {
  return {
    getNode: async ({ nodeId }) => {
      if (nodeId === '') throw invalidArgument();
      const node = control.store.view((tx) => requiredNode(tx, nodeId));
      return { node: withManagerStatus([node], control.raft?.members() ?? [])[0] as Node };
    },
    listNodes: async ({ filters }, { signal }) => {
      const candidates = control.store.view((tx) => tx.find('node', nodeFinder(filters)));
      const nodes = await passing(control, signal, candidates, nodeChecks(filters));
      return { nodes: withManagerStatus(nodes, control.raft?.members() ?? []) };
    },
    updateNode: async ({ nodeId, nodeVersion, spec }, call) => {
      if (nodeId === '' || nodeVersion === undefined || spec === undefined) throw invalidArgument();
      return commit(control, call, (tx) => {
        const old = requiredNode(tx, nodeId);
        if (old.spec?.desiredRole === NodeRole.MANAGER && spec.desiredRole === NodeRole.WORKER) {
          checkDemotion(control, tx, old);
        }
        if (old.spec?.desiredRole === NodeRole.WORKER && spec.desiredRole === NodeRole.MANAGER) {
          checkPromotion(control, old);
        }
        tx.update('node', withSpec(old, spec, nodeVersion));
        return { node: written(tx, 'node', nodeId) };
      });
    },
    removeNode: async ({ nodeId, force }, call) => {
      if (nodeId === '') throw invalidArgument();
      await orphanMany(control, nodeId, force, call.signal);
      await commit(control, call, (tx) => {
        checkRemoval(control, requiredNode(tx, nodeId), force);
        removeNode(control, tx, nodeId);
      });
      return {};
    },
  };
}

function requiredNode(tx: ReadTransaction, nodeId: string): Node {
  const node = tx.get('node', nodeId);
  if (node === undefined) throw notFound(`node ${nodeId} not found`);
  return node;
}

function withSpec(old: Node, spec: NodeSpec, version: NonNullable<Node['meta']>['version']): Node {
  if (old.meta === undefined || version === undefined) throw invalidArgument();
  return { ...old, meta: { ...old.meta, version }, spec };
}

/** Nodes with what the raft group knows of those that are its members. */
function withManagerStatus(nodes: readonly Node[], members: readonly RaftMember[]): Node[] {
  const byNode = new Map(members.map((member) => [member.nodeId, member]));
  return nodes.map((node) => {
    const member = byNode.get(node.id);
    if (member === undefined) return node;
    const { raftId, addr, leader, reachability } = member;
    return { ...node, managerStatus: create(ManagerStatusSchema, { raftId, addr, leader, reachability }) };
  });
}

type NodeFilters = ListNodesRequest['filters'];

function nodeFinder(filters: NodeFilters): ReturnType<typeof firstChoice> {
  return firstChoice([
    choice(filters?.names, by.name),
    choice(filters?.namePrefixes, by.namePrefix),
    choice(filters?.idPrefixes, by.idPrefix),
    choice(filters?.roles, by.role),
    choice(filters?.memberships, by.membership),
  ]);
}

/** Nodes go by their hostnames, not by the names in their annotations. */
function nodeChecks(filters: NodeFilters): Parameters<typeof passing<Node>>[3] {
  return [
    oneOf(filters?.names, (node: Node) => node.description?.hostname),
    startsWithAny(filters?.namePrefixes, (node: Node) => node.description?.hostname),
    startsWithAny(filters?.idPrefixes, (node: Node) => node.id),
    hasLabels(filters?.labels, (node: Node) => node.description?.engine?.labels),
    hasLabels(filters?.nodeLabels, (node: Node) => node.spec?.annotations?.labels),
    oneOf(filters?.roles, (node: Node) => node.role),
    oneOf(filters?.memberships, (node: Node) => node.spec?.membership ?? NodeSpec_Membership.PENDING),
  ];
}

function checkPromotion(control: ControlContext, node: Node): void {
  if (control.raft?.admitsMembers !== false) return;
  throw new SwarmError(
    Code.UNIMPLEMENTED,
    `node ${node.id} cannot be promoted: this cluster cannot have a second manager yet`,
  );
}

function checkDemotion(control: ControlContext, tx: ReadTransaction, node: Node): void {
  const staysManager = (other: Node): boolean => other.id !== node.id && other.spec?.desiredRole === NodeRole.MANAGER;
  if (!tx.find('node', by.role(NodeRole.MANAGER)).some(staysManager)) {
    throw failedPrecondition('attempting to demote the last manager of the swarm');
  }
  const member = control.raft?.members().find(({ nodeId }) => nodeId === node.id);
  if (member === undefined) throw notFound("can't find manager in raft memberlist");
  if (control.raft?.canRemoveMember(member.raftId) !== true) {
    throw failedPrecondition("can't remove member from the raft: this would result in a loss of quorum");
  }
}

function checkRemoval(control: ControlContext, node: Node, force: boolean): void {
  if (node.spec?.desiredRole === NodeRole.MANAGER && control.raft === undefined) {
    throw failedPrecondition(
      `node ${node.id} is a manager but cannot access node information from the raft memberlist`,
    );
  }
  // A demotion that is still under way leaves the node a member for a while, whatever its desired role.
  if (control.raft?.members().some(({ nodeId }) => nodeId === node.id) === true) {
    throw failedPrecondition(
      `node ${node.id} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
    );
  }
  if (!force && node.status?.state === NodeStatus_State.READY) {
    throw failedPrecondition(`node ${node.id} is not down and can't be removed`);
  }
}

function removeNode(control: ControlContext, tx: WriteTransaction, nodeId: string): void {
  const node = requiredNode(tx, nodeId);
  const nowMs = control.clock.nowMs();
  tx.update('cluster', withRemoved(onlyCluster(tx), node, nowMs));
  for (const task of unfinishedTasks(tx, nodeId)) tx.update('task', orphaned(task, nowMs));
  tx.remove('node', nodeId);
}

function onlyCluster(tx: ReadTransaction): Cluster {
  const [cluster, ...others] = tx.find('cluster', by.name(CLUSTER_NAME));
  if (cluster === undefined || others.length > 0) {
    throw new SwarmError(Code.INTERNAL, 'could not fetch cluster object');
  }
  return cluster;
}

/** The cluster with the node's certificate refused until some time after its expiry. */
function withRemoved(cluster: Cluster, node: Node, nowMs: number): Cluster {
  const expiryMs = certificateExpiryMs(node.certificate?.certificate);
  const entry = create(
    BlacklistedCertificateSchema,
    expiryMs === undefined ? {} : { expiry: timestampFromMs(expiryMs) },
  );
  const blacklistedCertificates = { ...cluster.blacklistedCertificates, [node.id]: entry };
  return { ...cluster, blacklistedCertificates: unexpired(blacklistedCertificates, nowMs) };
}

function unfinishedTasks(tx: ReadTransaction, nodeId: string): readonly Task[] {
  return tx.find('task', by.node(nodeId)).filter((task) => taskState(task) < TaskState.COMPLETE);
}

function orphaned(task: Task, nowMs: number): Task {
  return {
    ...task,
    status: create(TaskStatusSchema, {
      timestamp: timestampFromMs(nowMs),
      state: TaskState.ORPHANED,
      message: ORPHANED_MESSAGE,
    }),
  };
}

/** Orphans the tasks of a node that may be removed, until few enough are left for one transaction. */
async function orphanMany(control: ControlContext, nodeId: string, force: boolean, signal: AbortSignal): Promise<void> {
  for (let round = 0; round < ORPHAN_BATCHES_MAX; round++) {
    const tasks = control.store.view((tx) => {
      checkRemoval(control, requiredNode(tx, nodeId), force);
      return unfinishedTasks(tx, nodeId);
    });
    if (tasks.length <= ORPHANS_PER_REMOVAL_MAX) return;
    await control.store.batch(async (batch) => {
      const slices = new Slices(control.clock, control.sliceMs);
      for (const { id } of tasks) {
        if (slices.isOver()) await slices.next(signal);
        batch.update((tx) => {
          const task = tx.get('task', id);
          if (task === undefined || taskState(task) >= TaskState.COMPLETE) return;
          tx.update('task', orphaned(task, control.clock.nowMs()));
        });
      }
    });
  }
}
