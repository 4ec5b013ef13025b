import {
  effectiveUpdate,
  msFromDuration,
  type UpdateConfig_FailureAction,
  UpdateConfig_UpdateOrder,
  UpdateStatus_UpdateState,
  type Service,
} from '../../api/index.js';

/** By how much monitoring outlasts a delay that is not shorter than it. Source: SwarmKit. */
const MONITOR_EXTENSION_MS = 1_000;

/** How one update proceeds. */
export interface UpdateSettings {
  /** Slots that are replaced at the same time. */
  readonly parallelism: number;
  /** Pause after a slot before the next one takes its turn. */
  readonly delayMs: number;
  /** How long a new task has to run to count as good. */
  readonly monitorMs: number;
  readonly failureAction: UpdateConfig_FailureAction;
  /** Share of failed slots above which the failure action is taken. */
  readonly failureRatioMax: number;
  readonly startFirst: boolean;
  /** A rollback is never rolled back itself. */
  readonly rollingBack: boolean;
}

/** The settings that count for the present update of the service, which may be a rollback. */
export function updateSettings(service: Service, dirtySlots: number): UpdateSettings {
  const rollingBack = service.updateStatus?.state === UpdateStatus_UpdateState.ROLLBACK_STARTED;
  const config = effectiveUpdate(rollingBack ? service.spec?.rollback : service.spec?.update);
  const delayMs = msFromDuration(config.delay) ?? 0;
  const monitorMs = msFromDuration(config.monitor) ?? 0;
  return {
    parallelism: config.parallelism === 0n ? dirtySlots : Number(config.parallelism),
    delayMs,
    monitorMs: delayMs >= monitorMs ? delayMs + MONITOR_EXTENSION_MS : monitorMs,
    failureAction: config.failureAction,
    failureRatioMax: config.maxFailureRatio,
    startFirst: config.order === UpdateConfig_UpdateOrder.START_FIRST,
    rollingBack,
  };
}

/** Whether an update waits for the user to decide. */
export function isPaused(service: Service): boolean {
  const state = service.updateStatus?.state;
  return state === UpdateStatus_UpdateState.PAUSED || state === UpdateStatus_UpdateState.ROLLBACK_PAUSED;
}

/** Whether an update or a rollback is under way. */
export function isUpdating(service: Service): boolean {
  const state = service.updateStatus?.state;
  return state === UpdateStatus_UpdateState.UPDATING || state === UpdateStatus_UpdateState.ROLLBACK_STARTED;
}
