import { UpdateStatus_UpdateState, type Service } from '../../../api/index.js';
import { Code, isSwarmError, sleep, SwarmError } from '../../../base/index.js';
import type { Session } from '../session.js';
import { judgeProgress, type Aim, type Progress, type ServiceView } from './progress.js';
import { ProgressView } from './progress-view.js';

/** Least pause between two looks at the service. */
const LOOK_PERIOD_MS = 250;

/** Of our time, at most one part in this many is spent looking: a large service is looked at less often. */
const PAUSE_PER_LOOK = 4;

/** How long a service must stay as it is to count as settled or failed. */
const STABLE_MS = 1_000;

/** Looks in a row that may fail because no leader answers. */
const FAILED_LOOKS_MAX = 20;

/** How a service is followed. */
export interface FollowOptions {
  readonly aim: Aim;
  /** After this time without the service being settled: failure. Undefined: no limit. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Shows how a service gets to what is declared, until it is there.
 * @throws SwarmError when it will not get there: the update was paused or rolled back, the time is up.
 */
export async function followService(session: Session, serviceId: string, options: FollowOptions): Promise<void> {
  const { clock, signal } = session;
  const view = new ProgressView(session.terminal);
  const startMs = clock.monotonicMs();
  let since: { readonly state: Progress['state']; readonly atMs: number } | undefined;
  let cause = '';
  try {
    while (true) {
      const lookedMs = clock.monotonicMs();
      const seen = await lookPatiently(session, serviceId);
      const progress = judgeProgress(seen, options.aim);
      cause = rollbackCause(seen.service) ?? cause;
      await view.show(progress);
      const nowMs = clock.monotonicMs();
      if (since?.state !== progress.state) since = { state: progress.state, atMs: nowMs };
      if (progress.state !== 'working' && nowMs - since.atMs >= STABLE_MS) return conclude(seen, progress, cause);
      if (options.timeoutMs !== undefined && nowMs - startMs >= options.timeoutMs) throw timedOut(progress);
      await sleep(clock, Math.max(LOOK_PERIOD_MS, (nowMs - lookedMs) * PAUSE_PER_LOOK), signal);
    }
  } catch (error) {
    if (signal.aborted)
      await session.note(`swarmctl: the cluster goes on without us: see swarmctl service ps ${serviceId}`);
    throw error;
  }
}

function conclude({ service }: ServiceView, progress: Progress, cause: string): void {
  if (progress.state === 'settled') return;
  const isRolledBack = service.updateStatus?.state === UpdateStatus_UpdateState.ROLLBACK_COMPLETED;
  const failure = isRolledBack && cause !== '' ? cause : (progress.failure ?? '');
  throw new SwarmError(Code.ABORTED, `service ${progress.name}: ${failure}${detailsOf(progress)}`);
}

function timedOut(progress: Progress): SwarmError {
  const message = `service ${progress.name}: gave up waiting: ${progress.headline}${detailsOf(progress)}`;
  return new SwarmError(Code.DEADLINE_EXCEEDED, message);
}

function detailsOf({ reasons }: Progress): string {
  return reasons.length === 0 ? '' : ` (${reasons.join('; ')})`;
}

/** Why a rollback began, which its end does not say any more. */
function rollbackCause({ updateStatus }: Service): string | undefined {
  return updateStatus?.state === UpdateStatus_UpdateState.ROLLBACK_STARTED ? updateStatus.message : undefined;
}

/** Looks until a leader answers; an election takes some seconds. */
async function lookPatiently(session: Session, serviceId: string): Promise<ServiceView> {
  for (let failed = 1; ; failed++) {
    try {
      return await look(session, serviceId);
    } catch (error) {
      if (isSwarmError(error, Code.NOT_FOUND)) {
        throw new SwarmError(Code.NOT_FOUND, `service ${serviceId} was removed meanwhile`);
      }
      if (!isSwarmError(error, Code.UNAVAILABLE) || failed >= FAILED_LOOKS_MAX) throw error;
      await sleep(session.clock, LOOK_PERIOD_MS * PAUSE_PER_LOOK, session.signal);
    }
  }
}

async function look({ control, call }: Session, serviceId: string): Promise<ServiceView> {
  const { service } = await control.getService({ serviceId }, call);
  if (service === undefined) throw new SwarmError(Code.NOT_FOUND, `service ${serviceId} not found`);
  const [{ tasks }, { nodes }] = await Promise.all([
    control.listTasks({ filters: { serviceIds: [serviceId] } }, call),
    control.listNodes({}, call),
  ]);
  return { service, tasks, nodes };
}
