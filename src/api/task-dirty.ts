import { createRegistry, equals } from '@bufbuild/protobuf';

import { isSwarmError } from '../base/index.js';
import { nodeMatches, parseConstraints, type Constraint } from './constraint.js';
import {
  EndpointSpecSchema,
  PlacementSchema,
  TaskSpecSchema,
  TaskState,
  type EndpointSpec,
  type Node,
  type Placement,
  type Service,
  type Task,
  type TaskSpec,
} from './messages.js';
import { taskState } from './task.js';

/** How the spec of a task differs from its service's, as far as anybody asks. */
interface SpecDifference {
  readonly equal: boolean;
  readonly equalButPlacement: boolean;
  readonly equalButPullOptions: boolean;
}

/** Fields of newer versions count too. */
const STRICT = { registry: createRegistry(), unknown: true };

const EQUAL: SpecDifference = { equal: true, equalButPlacement: false, equalButPullOptions: true };

/**
 * Tells which tasks no longer match their service. The tasks of one version share one spec object, so
 * each pair of specs is compared once, however many tasks there are.
 */
export class DirtyCheck {
  readonly #differences = new WeakMap<TaskSpec, WeakMap<TaskSpec, SpecDifference>>();
  readonly #constraints = new WeakMap<Placement, readonly Constraint[]>();

  /**
   * Whether the task must be replaced for the service to be as declared. Not dirty: same spec version;
   * same task and endpoint spec; only the placement changed and the node satisfies it; only pull options
   * changed and the image has been pulled.
   */
  isDirty(service: Service, task: Task, node: Node | undefined): boolean {
    if (sameVersion(service, task)) return false;
    const difference = this.#difference(service.spec?.task, task.spec);
    if (difference.equalButPlacement && this.fits(service, node)) return false;
    const specMatches = imagePulled(task) ? difference.equalButPullOptions : difference.equal;
    return !specMatches || !sameEndpoint(service.spec?.endpoint, task);
  }

  /** Whether the service's constraints allow the node. */
  fits(service: Service, node: Node | undefined): boolean {
    return node !== undefined && this.placementFits(service.spec?.task, node);
  }

  /** Whether the constraints of a spec allow the node. */
  placementFits(spec: TaskSpec | undefined, node: Node): boolean {
    const placement = spec?.placement;
    if (placement === undefined || placement.constraints.length === 0) return true;
    const constraints = this.#constraints.get(placement) ?? parseOrNone(placement.constraints);
    this.#constraints.set(placement, constraints);
    return nodeMatches(constraints, node);
  }

  #difference(wanted: TaskSpec | undefined, actual: TaskSpec | undefined): SpecDifference {
    if (wanted === actual) return EQUAL;
    if (wanted === undefined || actual === undefined) {
      return { equal: false, equalButPlacement: false, equalButPullOptions: false };
    }
    const known = this.#differences.get(wanted) ?? new WeakMap<TaskSpec, SpecDifference>();
    this.#differences.set(wanted, known);
    const difference = known.get(actual) ?? compare(wanted, actual);
    known.set(actual, difference);
    return difference;
  }
}

/** Whether two task specs say the same. Cheap where they are shared, as tasks of one service are. */
export function sameTaskSpec(one: TaskSpec | undefined, other: TaskSpec | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one === other || equals(TaskSpecSchema, one, other, STRICT);
}

/** Whether two endpoint specs say the same. */
export function sameEndpointSpec(one: EndpointSpec | undefined, other: EndpointSpec | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one === other || equals(EndpointSpecSchema, one, other, STRICT);
}

function compare(wanted: TaskSpec, actual: TaskSpec): SpecDifference {
  if (equals(TaskSpecSchema, wanted, actual, STRICT)) return EQUAL;
  return {
    equal: false,
    equalButPlacement:
      !samePlacement(wanted.placement, actual.placement) &&
      equals(TaskSpecSchema, { ...wanted, placement: actual.placement }, actual, STRICT),
    equalButPullOptions: equals(TaskSpecSchema, withPullOptionsOf(actual, wanted), actual, STRICT),
  };
}

function samePlacement(left: Placement | undefined, right: Placement | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return equals(PlacementSchema, left, right, STRICT);
}

function withPullOptionsOf(actual: TaskSpec, wanted: TaskSpec): TaskSpec {
  if (actual.runtime.case !== 'container' || wanted.runtime.case !== 'container') return wanted;
  const value = { ...wanted.runtime.value, pullOptions: actual.runtime.value.pullOptions };
  return { ...wanted, runtime: { case: 'container', value } };
}

function sameVersion(service: Service, task: Task): boolean {
  return (
    service.specVersion !== undefined &&
    task.specVersion !== undefined &&
    service.specVersion.index === task.specVersion.index
  );
}

function imagePulled(task: Task): boolean {
  const state = taskState(task);
  return task.desiredState <= TaskState.RUNNING && state >= TaskState.READY && state <= TaskState.RUNNING;
}

function sameEndpoint(wanted: EndpointSpec | undefined, task: Task): boolean {
  return task.endpoint === undefined || sameEndpointSpec(wanted, task.endpoint.spec);
}

// Constraints were validated with the service; should one of another version not parse, it does not count (SwarmKit).
function parseOrNone(expressions: readonly string[]): readonly Constraint[] {
  try {
    return parseConstraints(expressions);
  } catch (error) {
    if (isSwarmError(error)) return [];
    throw error;
  }
}
