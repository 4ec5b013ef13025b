import { TemporaryError } from '../../agent/exec/index.js';
import type { Clock, Logger } from '../../base/index.js';
import { Code, isSwarmError } from '../../base/index.js';
import type { ContainerInspect, DockerClient, EngineRequest } from '../docker-client/index.js';
import { EventHub } from './event-hub.js';

/** The engine as the controllers of one executor use it. */
export class Engine {
  readonly events: EventHub;

  constructor(
    readonly client: DockerClient,
    readonly runtimeDir: string,
    readonly clock: Clock,
    readonly log: Logger,
  ) {
    this.events = new EventHub(client, clock, log);
  }

  /** Whether the engine sees the files of this machine under the same names. */
  get sharedFiles(): boolean {
    return this.client.address.kind === 'unix';
  }

  /** A call; an engine that cannot be reached is a failure that may pass. */
  async call<T = void>(request: EngineRequest, signal: AbortSignal): Promise<T> {
    try {
      return await this.client.json<T>(request, signal);
    } catch (error) {
      if (isSwarmError(error, Code.UNAVAILABLE)) throw new TemporaryError(error.message, error);
      throw error;
    }
  }

  /** As {@link call}, but what is not there, or is as wanted already, is as good. Whether it was there. */
  async callIfPresent(request: EngineRequest, signal: AbortSignal): Promise<boolean> {
    try {
      await this.call(request, signal);
      return true;
    } catch (error) {
      if (isSwarmError(error, Code.NOT_FOUND)) return false;
      throw error;
    }
  }

  /** Fails with NotFound where there is no such container. */
  inspect(name: string, signal: AbortSignal): Promise<ContainerInspect> {
    return this.call<ContainerInspect>({ method: 'GET', path: `${containerPath(name)}/json` }, signal);
  }

  close(): void {
    this.events.close();
    this.client.close();
  }
}

/** Path of a container in the API. */
export function containerPath(name: string): string {
  return `/containers/${encodeURIComponent(name)}`;
}
