import { create } from '@bufbuild/protobuf';

import {
  RestartPolicy_RestartCondition,
  RestartPolicySchema,
  UpdateConfig_FailureAction,
  UpdateConfig_UpdateOrder,
  UpdateConfigSchema,
  type RestartPolicy,
  type UpdateConfig,
} from '../../../api/index.js';
import { parseCount, parseRatio } from '../values/amounts.js';
import { parseChoice } from '../values/choice.js';
import { parseDuration } from '../values/duration.js';
import type { ServiceFlags } from './flags.js';

const CONDITIONS = {
  none: RestartPolicy_RestartCondition.NONE,
  failure: RestartPolicy_RestartCondition.ON_FAILURE,
  any: RestartPolicy_RestartCondition.ANY,
};

const ACTIONS = {
  pause: UpdateConfig_FailureAction.PAUSE,
  continue: UpdateConfig_FailureAction.CONTINUE,
  rollback: UpdateConfig_FailureAction.ROLLBACK,
};

const ROLLBACK_ACTIONS = { pause: ACTIONS.pause, continue: ACTIONS.continue };

const ORDERS = {
  'stop-first': UpdateConfig_UpdateOrder.STOP_FIRST,
  'start-first': UpdateConfig_UpdateOrder.START_FIRST,
};

/** What the flags of an update, or those of a rollback, say. */
interface UpdateFlags {
  readonly parallelism: string | undefined;
  readonly delay: string | undefined;
  readonly onFailure: string | undefined;
  readonly order: string | undefined;
  readonly monitor: string | undefined;
  readonly maxFailureRatio: string | undefined;
}

/** The restart policy as the flags change it. */
export function restartOf(present: RestartPolicy | undefined, flags: ServiceFlags): RestartPolicy | undefined {
  const { restartCondition, restartDelay, restartMaxAttempts, restartWindow } = flags;
  if ([restartCondition, restartDelay, restartMaxAttempts, restartWindow].every((flag) => flag === undefined)) {
    return present;
  }
  return {
    ...(present ?? create(RestartPolicySchema, { condition: CONDITIONS.any })),
    ...(restartCondition === undefined
      ? {}
      : { condition: parseChoice('--restart-condition', restartCondition, CONDITIONS) }),
    ...(restartDelay === undefined ? {} : { delay: parseDuration('--restart-delay', restartDelay) }),
    ...(restartMaxAttempts === undefined
      ? {}
      : { maxAttempts: parseCount('--restart-max-attempts', restartMaxAttempts) }),
    ...(restartWindow === undefined ? {} : { window: parseDuration('--restart-window', restartWindow) }),
  };
}

/** How updates proceed, as the flags change it. */
export function updateOf(present: UpdateConfig | undefined, flags: ServiceFlags): UpdateConfig | undefined {
  return configOf('--update', present, ACTIONS, {
    parallelism: flags.updateParallelism,
    delay: flags.updateDelay,
    onFailure: flags.updateOnFailure,
    order: flags.updateOrder,
    monitor: flags.updateMonitor,
    maxFailureRatio: flags.updateMaxFailureRatio,
  });
}

/** How rollbacks proceed, as the flags change it. */
export function rollbackOf(present: UpdateConfig | undefined, flags: ServiceFlags): UpdateConfig | undefined {
  return configOf('--rollback', present, ROLLBACK_ACTIONS, {
    parallelism: flags.rollbackParallelism,
    delay: flags.rollbackDelay,
    onFailure: flags.rollbackOnFailure,
    order: flags.rollbackOrder,
    monitor: flags.rollbackMonitor,
    maxFailureRatio: flags.rollbackMaxFailureRatio,
  });
}

/** As in SwarmKit, a config that comes about by one flag has 0 for the parallelism not given: all at once. */
function configOf(
  prefix: string,
  present: UpdateConfig | undefined,
  actions: Readonly<Record<string, UpdateConfig_FailureAction>>,
  flags: UpdateFlags,
): UpdateConfig | undefined {
  if (Object.values(flags).every((flag) => flag === undefined)) return present;
  const { parallelism, delay, onFailure, order, monitor, maxFailureRatio } = flags;
  return {
    ...(present ?? create(UpdateConfigSchema)),
    ...(parallelism === undefined ? {} : { parallelism: parseCount(`${prefix}-parallelism`, parallelism) }),
    ...(delay === undefined ? {} : { delay: parseDuration(`${prefix}-delay`, delay) }),
    ...(onFailure === undefined ? {} : { failureAction: parseChoice(`${prefix}-on-failure`, onFailure, actions) }),
    ...(order === undefined ? {} : { order: parseChoice(`${prefix}-order`, order, ORDERS) }),
    ...(monitor === undefined ? {} : { monitor: parseDuration(`${prefix}-monitor`, monitor) }),
    ...(maxFailureRatio === undefined
      ? {}
      : { maxFailureRatio: parseRatio(`${prefix}-max-failure-ratio`, maxFailureRatio) }),
  };
}
