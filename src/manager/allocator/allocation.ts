import { create } from '@bufbuild/protobuf';

import {
  TaskState,
  TaskStatusSchema,
  timestampFromMs,
  type Network,
  type NetworkAttachment,
  type NetworkAttachmentConfig,
  type Service,
  type Task,
  type TaskStatus,
} from '../../api/index.js';
import type { Allocation, WantedNetwork } from './network-provider.js';

/** Message of a task that has all it needs from the allocator. Source: SwarmKit. */
const ALLOCATED_MESSAGE = 'pending task scheduling';

/** Shared by all tasks without networks. */
const NONE: NetworkAttachment[] = [];

/** The networks a service asks for: those of its tasks, or the service's own list where that is empty. */
export function serviceNetworks(service: Service): readonly NetworkAttachmentConfig[] {
  const ofTasks = service.spec?.task?.networks ?? [];
  return ofTasks.length > 0 ? ofTasks : (service.spec?.networks ?? []);
}

/** The networks a task asks for. */
export function taskNetworks(task: Task, service: Service | undefined): readonly NetworkAttachmentConfig[] {
  const ofTask = task.spec?.networks ?? [];
  return ofTask.length > 0 ? ofTask : (service?.spec?.networks ?? []);
}

/** The networks as they exist, or which one does not. */
export function findNetworks(
  configs: readonly NetworkAttachmentConfig[],
  networkOf: (networkId: string) => Network | undefined,
): Allocation<readonly WantedNetwork[]> {
  const wanted: WantedNetwork[] = [];
  for (const config of configs) {
    const network = networkOf(config.target);
    if (network === undefined) return { kind: 'waiting', reason: `network ${config.target} does not exist` };
    wanted.push({ config, network });
  }
  return { kind: 'allocated', value: wanted };
}

/**
 * Statuses of one wave of tasks. Tasks that were created together share their status object, and go on
 * sharing it.
 */
export class StatusWave {
  readonly #pending = new Map<TaskStatus | undefined, TaskStatus>();
  readonly #waiting = new Map<TaskStatus | undefined, Map<string, TaskStatus>>();

  constructor(private readonly nowMs: number) {}

  /** The task with its resources, ready to be scheduled. */
  allocated(task: Task, service: Service | undefined, networks: readonly NetworkAttachment[]): Task {
    const status = this.#pending.get(task.status) ?? {
      ...(task.status ?? create(TaskStatusSchema)),
      state: TaskState.PENDING,
      message: ALLOCATED_MESSAGE,
      err: '',
      timestamp: timestampFromMs(this.nowMs),
    };
    this.#pending.set(task.status, status);
    return {
      ...task,
      status,
      networks: networks.length === 0 ? NONE : [...networks],
      endpoint: service?.endpoint ?? task.endpoint,
    };
  }

  /** The task with the reason why it has to wait; undefined when it says so already. */
  waiting(task: Task, reason: string): Task | undefined {
    if (task.status?.err === reason) return undefined;
    const known = this.#waiting.get(task.status) ?? new Map<string, TaskStatus>();
    this.#waiting.set(task.status, known);
    const status = known.get(reason) ?? {
      ...(task.status ?? create(TaskStatusSchema)),
      err: reason,
      timestamp: timestampFromMs(this.nowMs),
    };
    known.set(reason, status);
    return { ...task, status };
  }
}
