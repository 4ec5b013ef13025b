import { UpdateStatus_UpdateState, type UpdateStatus } from '../../api/index.js';
import { timeText } from './codec.js';

const UPDATE_STATES: Readonly<Record<UpdateStatus_UpdateState, string>> = {
  [UpdateStatus_UpdateState.UNKNOWN]: '',
  [UpdateStatus_UpdateState.UPDATING]: 'updating',
  [UpdateStatus_UpdateState.PAUSED]: 'paused',
  [UpdateStatus_UpdateState.COMPLETED]: 'completed',
  [UpdateStatus_UpdateState.ROLLBACK_STARTED]: 'rollback_started',
  [UpdateStatus_UpdateState.ROLLBACK_PAUSED]: 'rollback_paused',
  [UpdateStatus_UpdateState.ROLLBACK_COMPLETED]: 'rollback_completed',
};

/** The word for an update's state. */
export function updateStateWord(state: UpdateStatus_UpdateState): string {
  return UPDATE_STATES[state];
}

/** How far an update has come. */
export function updateStatusToJson(status: UpdateStatus): Record<string, unknown> {
  const state = updateStateWord(status.state);
  return {
    ...(state === '' ? {} : { State: state }),
    ...(status.startedAt === undefined ? {} : { StartedAt: timeText(status.startedAt) }),
    ...(status.completedAt === undefined ? {} : { CompletedAt: timeText(status.completedAt) }),
    ...(status.message === '' ? {} : { Message: status.message }),
  };
}
