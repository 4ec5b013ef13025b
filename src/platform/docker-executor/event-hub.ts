import { canceled, errorText, sleep } from '../../base/index.js';
import type { Clock, Logger, WakeUp } from '../../base/index.js';
import { jsonMessages, type DockerClient, type EngineEvent } from '../docker-client/index.js';

/** Wait before a lost stream of events is opened again, in milliseconds. */
const RECONNECT_MS = 500;

const FILTERS = JSON.stringify({
  type: ['container'],
  label: ['com.docker.swarm.task'],
  event: ['start', 'die', 'destroy', 'health_status'],
});

/**
 * One stream of the engine's events for all tasks of this node. An event only says where to look; after a
 * gap in the stream everybody is told to look.
 */
export class EventHub {
  readonly #listeners = new Map<string, Set<WakeUp>>();
  #running: AbortController | undefined;

  constructor(
    readonly client: DockerClient,
    readonly clock: Clock,
    readonly log: Logger,
  ) {}

  /** Wakes up whenever something happens to the container of that name, until disposed. */
  listen(name: string, wakeUp: WakeUp): Disposable {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(wakeUp));
    if (this.#running === undefined) {
      this.#running = new AbortController();
      void this.#run(this.#running.signal);
    }
    return {
      [Symbol.dispose]: () => {
        listeners.delete(wakeUp);
        if (listeners.size === 0 && this.#listeners.get(name) === listeners) this.#listeners.delete(name);
      },
    };
  }

  /** Closes the stream. */
  close(): void {
    this.#running?.abort(canceled('the event stream'));
    this.#running = undefined;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const query = { filters: FILTERS };
        const chunks = await this.client.open({ method: 'GET', path: '/events', query }, signal);
        // What happened before the stream was open is seen by looking.
        this.#notifyAll();
        for await (const event of jsonMessages<EngineEvent>(chunks)) {
          this.#notify(event.Actor.Attributes['name'] ?? '');
        }
      } catch (error) {
        if (!signal.aborted) this.log.debug({ error: errorText(error) }, 'the event stream of the engine ended');
      }
      await sleep(this.clock, RECONNECT_MS, signal).catch(() => undefined);
    }
  }

  #notifyAll(): void {
    for (const name of this.#listeners.keys()) this.#notify(name);
  }

  #notify(name: string): void {
    for (const wakeUp of this.#listeners.get(name) ?? []) wakeUp.notify();
  }
}
