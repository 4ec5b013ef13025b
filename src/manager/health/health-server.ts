import { bindService, Health, HealthCheckResponse_ServingStatus, type BoundService } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';

/** Whether a service answers. */
export type ServingStatus = 'serving' | 'not-serving';

const STATUSES: Readonly<Record<ServingStatus, HealthCheckResponse_ServingStatus>> = {
  serving: HealthCheckResponse_ServingStatus.SERVING,
  'not-serving': HealthCheckResponse_ServingStatus.NOT_SERVING,
};

/** One status per named service: "" is the process itself, "Raft" and "ControlAPI" are set by the manager. */
export class HealthServer {
  readonly #statuses = new Map<string, ServingStatus>([['', 'serving']]);

  /** Sets the status of a service, from now on known by this name. */
  set(service: string, status: ServingStatus): void {
    this.#statuses.set(service, status);
  }

  /** The Health service. Unknown names are NotFound. */
  service(): BoundService {
    return bindService(Health, {
      check: async ({ service }) => {
        const status = this.#statuses.get(service);
        if (status === undefined) throw new SwarmError(Code.NOT_FOUND, 'unknown service');
        return { status: STATUSES[status] };
      },
    });
  }
}
