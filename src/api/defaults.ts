import { create } from '@bufbuild/protobuf';

import {
  ContainerSpec_DNSConfigSchema,
  ContainerSpec_PullOptionsSchema,
  PlacementSchema,
  ResourceRequirementsSchema,
  RestartPolicy_RestartCondition,
  RestartPolicySchema,
  UpdateConfig_FailureAction,
  UpdateConfig_UpdateOrder,
  UpdateConfigSchema,
  type RestartPolicy,
  type ServiceSpec,
  type TaskSpec,
  type UpdateConfig,
} from './messages.js';
import { durationFromMs } from './time.js';

/** Values that count where a service leaves them out. Never stored. Source: SwarmKit api/defaults. */
export const SERVICE_DEFAULTS = {
  stopGracePeriodMs: 10_000,
  restartDelayMs: 5_000,
  updateMonitorMs: 5_000,
} as const;

/** The restart policy of a task that names none. */
export const DEFAULT_RESTART: RestartPolicy = create(RestartPolicySchema, {
  condition: RestartPolicy_RestartCondition.ANY,
  delay: durationFromMs(SERVICE_DEFAULTS.restartDelayMs),
});

/** How updates and rollbacks proceed where the service does not say. */
export const DEFAULT_UPDATE: UpdateConfig = create(UpdateConfigSchema, {
  failureAction: UpdateConfig_FailureAction.PAUSE,
  monitor: durationFromMs(SERVICE_DEFAULTS.updateMonitorMs),
  parallelism: 1n,
  order: UpdateConfig_UpdateOrder.STOP_FIRST,
});

/** The restart policy that counts: the given one with its delay filled in, or the default. */
export function effectiveRestart(restart: RestartPolicy | undefined): RestartPolicy {
  if (restart === undefined) return DEFAULT_RESTART;
  return restart.delay === undefined ? { ...restart, delay: DEFAULT_RESTART.delay } : restart;
}

/** The update (or rollback) settings that count: the given ones with the monitor filled in, or the defaults. */
export function effectiveUpdate(update: UpdateConfig | undefined): UpdateConfig {
  if (update === undefined) return DEFAULT_UPDATE;
  return update.monitor === undefined ? { ...update, monitor: DEFAULT_UPDATE.monitor } : update;
}

/** The spec with all defaults filled in, as `insert_defaults` shows it. Does not change its argument. */
export function withServiceDefaults(spec: ServiceSpec): ServiceSpec {
  return {
    ...spec,
    ...(spec.task === undefined ? {} : { task: withTaskDefaults(spec.task) }),
    update: effectiveUpdate(spec.update),
    rollback: effectiveUpdate(spec.rollback),
  };
}

function withTaskDefaults(task: TaskSpec): TaskSpec {
  const filled: TaskSpec = {
    ...task,
    resources: task.resources ?? create(ResourceRequirementsSchema),
    restart: effectiveRestart(task.restart),
    placement: task.placement ?? create(PlacementSchema),
  };
  if (task.runtime.case !== 'container') return filled;
  const container = task.runtime.value;
  return {
    ...filled,
    runtime: {
      case: 'container',
      value: {
        ...container,
        stopGracePeriod: container.stopGracePeriod ?? durationFromMs(SERVICE_DEFAULTS.stopGracePeriodMs),
        pullOptions: container.pullOptions ?? create(ContainerSpec_PullOptionsSchema),
        dnsConfig: container.dnsConfig ?? create(ContainerSpec_DNSConfigSchema),
      },
    },
  };
}
