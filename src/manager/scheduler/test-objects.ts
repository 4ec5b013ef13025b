import { create, type MessageInitShape } from '@bufbuild/protobuf';

import {
  NodeSchema,
  NodeStatus_State,
  ServiceSchema,
  TaskSchema,
  TaskState,
  type Node,
  type Service,
  type Task,
} from '../../api/index.js';
import type { Random } from '../../base/index.js';
import { deepFreeze } from '../../store/index.js';

/** Fields of a node. */
export type NodeInit = Exclude<MessageInitShape<typeof NodeSchema>, Node>;

/** Fields of a task. */
export type TaskInit = Exclude<MessageInitShape<typeof TaskSchema>, Task>;

/** No chance at all: ties go to the first. */
export const NO_CHANCE: Random = { bytes: (count) => new Uint8Array(count), float: () => 0 };

/** A ready node with an engine. */
export function node(id: string, init: NodeInit = {}): Node {
  return deepFreeze(
    create(NodeSchema, {
      id,
      status: { state: NodeStatus_State.READY },
      spec: {},
      description: { hostname: `host-${id}`, engine: {} },
      ...init,
    }),
  );
}

/** A node that offers resources. */
export function nodeWith(id: string, resources: { nanoCpus?: bigint; memoryBytes?: bigint }): Node {
  return node(id, { description: { hostname: `host-${id}`, resources } });
}

/** A pending task of service `s` with version 1 of its spec. */
export function task(id: string, init: TaskInit = {}): Task {
  return deepFreeze(
    create(TaskSchema, {
      id,
      serviceId: 's',
      specVersion: { index: 1n },
      desiredState: TaskState.RUNNING,
      status: { state: TaskState.PENDING },
      ...init,
    }),
  );
}

/** A task that runs on a node. */
export function runningTask(id: string, nodeId: string, init: TaskInit = {}): Task {
  return task(id, { nodeId, status: { state: TaskState.RUNNING }, ...init });
}

export function service(id: string, specVersion = 1n): Service {
  return deepFreeze(
    create(ServiceSchema, { id, spec: { annotations: { name: id } }, specVersion: { index: specVersion } }),
  );
}
