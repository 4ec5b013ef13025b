import type { Task } from '../../api/index.js';
import type { Pipeline } from './filters.js';
import { Heap } from './heap.js';
import { FAILURES_MAX, type NodeInfo } from './node-info.js';
import type { Spread } from './requirements.js';

/** A node and its rank among those that may take the next task of a group. */
interface Candidate {
  readonly info: NodeInfo;
  /** Recent failures; 0 while they are too few to matter. */
  readonly failures: number;
  /** Decides between nodes that are otherwise equal. */
  readonly order: number;
  ofService: number;
  total: number;
}

/** A set of nodes that share the values of the spread labels so far. */
interface Branch {
  /** Tasks of the service on all nodes of the branch, whether or not these may take more. */
  tasks: number;
  readonly order: number;
  readonly next: Heap<Branch> | Heap<Candidate>;
  readonly isLeaf: boolean;
}

/**
 * The nodes that may take tasks of one group, arranged by the group's spread preferences: one level of
 * branches for each. The next task goes down the branches with the fewest tasks of the service, and in
 * the leaf to the node with the fewest failures, then tasks of the service, then tasks of all.
 *
 * Building it looks at each node once; placing a task then costs the logarithm of their number.
 */
export class PlacementTree {
  readonly #pipeline: Pipeline;
  readonly #root: Branch;

  /**
   * @param firstIndex where in `nodes` the count of ties begins, so that equal nodes take turns
   */
  constructor(pipeline: Pipeline, nodes: readonly NodeInfo[], task: Task, nowMs: number, firstIndex: number) {
    this.#pipeline = pipeline;
    const ordered = [...nodes.slice(firstIndex), ...nodes.slice(0, firstIndex)];
    const candidates = ordered.map((info, order) => candidateOf(info, order, task, nowMs));
    this.#root = this.#grow(candidates, pipeline.required.spreads, 0);
  }

  /**
   * Places one more task: `take` makes the chosen node hold it. Returns false when no node may take it.
   */
  place(take: (info: NodeInfo) => void): boolean {
    return this.#placeIn(this.#root, take);
  }

  #grow(candidates: readonly Candidate[], spreads: readonly Spread[], order: number): Branch {
    const tasks = candidates.reduce((total, candidate) => total + candidate.ofService, 0);
    const [spread, ...rest] = spreads;
    if (spread === undefined) {
      const usable = candidates.filter((candidate) => this.#pipeline.passes(candidate.info));
      return { tasks, order, isLeaf: true, next: new Heap(usable, candidateBefore) };
    }
    const groups = new Map<string, Candidate[]>();
    for (const candidate of candidates) {
      const value = labelOf(candidate.info, spread);
      const group = groups.get(value);
      if (group === undefined) groups.set(value, [candidate]);
      else group.push(candidate);
    }
    const branches = [...groups.values()].map((group, index) => this.#grow(group, rest, index));
    return { tasks, order, isLeaf: false, next: new Heap(branches, branchBefore) };
  }

  #placeIn(branch: Branch, take: (info: NodeInfo) => void): boolean {
    const placed = branch.isLeaf
      ? this.#placeInLeaf(branch.next as Heap<Candidate>, take)
      : this.#placeInBranches(branch.next as Heap<Branch>, take);
    if (placed) branch.tasks += 1;
    return placed;
  }

  /** Branches without room are taken out: room never grows while a group is placed. */
  #placeInBranches(branches: Heap<Branch>, take: (info: NodeInfo) => void): boolean {
    for (let branch = branches.top(); branch !== undefined; branch = branches.top()) {
      if (this.#placeIn(branch, take)) {
        branches.topChanged();
        return true;
      }
      branches.removeTop();
    }
    return false;
  }

  #placeInLeaf(candidates: Heap<Candidate>, take: (info: NodeInfo) => void): boolean {
    for (let candidate = candidates.top(); candidate !== undefined; candidate = candidates.top()) {
      if (!this.#pipeline.passes(candidate.info)) {
        candidates.removeTop();
        continue;
      }
      take(candidate.info);
      candidate.ofService += 1;
      candidate.total += 1;
      candidates.topChanged();
      return true;
    }
    return false;
  }
}

function candidateOf(info: NodeInfo, order: number, task: Task, nowMs: number): Candidate {
  const failures = info.recentFailures(task, nowMs);
  return {
    info,
    order,
    failures: failures >= FAILURES_MAX ? failures : 0,
    ofService: info.activeTasksOf(task.serviceId),
    total: info.activeTasks,
  };
}

function candidateBefore(a: Candidate, b: Candidate): boolean {
  if (a.failures !== b.failures) return a.failures < b.failures;
  if (a.ofService !== b.ofService) return a.ofService < b.ofService;
  if (a.total !== b.total) return a.total < b.total;
  return a.order < b.order;
}

function branchBefore(a: Branch, b: Branch): boolean {
  return a.tasks === b.tasks ? a.order < b.order : a.tasks < b.tasks;
}

function labelOf(info: NodeInfo, spread: Spread): string {
  const labels = spread.of === 'node' ? info.node.spec?.annotations?.labels : info.node.description?.engine?.labels;
  return labels?.[spread.label] ?? '';
}
