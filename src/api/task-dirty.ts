import { createRegistry, equals } from '@bufbuild/protobuf';

import { nodeMatches, parseConstraints } from './constraint.js';
import {
  EndpointSpecSchema,
  PlacementSchema,
  TaskSpecSchema,
  TaskState,
  type ContainerSpec_PullOptions,
  type EndpointSpec,
  type Node,
  type Placement,
  type Service,
  type Task,
  type TaskSpec,
} from './messages.js';
import { taskState } from './task.js';

/** Fields of newer versions, which we do not know, count too. */
const STRICT = { registry: createRegistry(), unknown: true };

/**
 * Whether the task is not what the service's present spec asks for, so that an update must replace it.
 * A changed version alone does not count (scaling changes it too), nor do constraints that the task's
 * node satisfies, nor other pull options once the image is there.
 */
export function isTaskDirty(service: Service, task: Task, node: Node | undefined): boolean {
  const wantedVersion = service.specVersion?.index;
  if (wantedVersion !== undefined && wantedVersion === task.specVersion?.index) return false;
  const wanted = service.spec?.task;
  const present = task.spec;
  if (!sameTaskSpec(wanted, present)) {
    if (wanted === undefined || present === undefined) return true;
    if (differsInPlacementOnly(wanted, present) && placementHolds(wanted.placement, node)) return false;
    if (!imageIsThere(task) || !sameTaskSpec(withPullOptionsOf(wanted, present), present)) return true;
  }
  return task.endpoint !== undefined && !sameEndpointSpec(service.spec?.endpoint, task.endpoint.spec);
}

/** Whether two task specs say the same. Cheap where they are shared, as tasks of one service are. */
export function sameTaskSpec(one: TaskSpec | undefined, other: TaskSpec | undefined): boolean {
  if (one === other) return true;
  return one !== undefined && other !== undefined && equals(TaskSpecSchema, one, other, STRICT);
}

/** Whether two endpoint specs say the same. */
export function sameEndpointSpec(one: EndpointSpec | undefined, other: EndpointSpec | undefined): boolean {
  if (one === other) return true;
  return one !== undefined && other !== undefined && equals(EndpointSpecSchema, one, other, STRICT);
}

function differsInPlacementOnly(wanted: TaskSpec, present: TaskSpec): boolean {
  return (
    !samePlacement(wanted.placement, present.placement) &&
    sameTaskSpec(withPlacement(wanted, present.placement), present)
  );
}

function samePlacement(one: Placement | undefined, other: Placement | undefined): boolean {
  if (one === other) return true;
  return one !== undefined && other !== undefined && equals(PlacementSchema, one, other, STRICT);
}

function withPlacement(spec: TaskSpec, placement: Placement | undefined): TaskSpec {
  const { placement: _, ...rest } = spec;
  return placement === undefined ? rest : { ...rest, placement };
}

function placementHolds(placement: Placement | undefined, node: Node | undefined): boolean {
  return node !== undefined && nodeMatches(parseConstraints(placement?.constraints ?? []), node);
}

/** A task that got as far as READY and is to run on no longer needs to pull. */
function imageIsThere(task: Task): boolean {
  const state = taskState(task);
  return task.desiredState <= TaskState.RUNNING && state >= TaskState.READY && state <= TaskState.RUNNING;
}

function withPullOptionsOf(wanted: TaskSpec, present: TaskSpec): TaskSpec {
  if (wanted.runtime.case !== 'container' || present.runtime.case !== 'container') return wanted;
  const { pullOptions: _, ...container } = wanted.runtime.value;
  const pullOptions: ContainerSpec_PullOptions | undefined = present.runtime.value.pullOptions;
  return {
    ...wanted,
    runtime: { case: 'container', value: pullOptions === undefined ? container : { ...container, pullOptions } },
  };
}
