import { watch, type FSWatcher } from 'node:fs';

import { errorText } from '../../base/index.js';
import type { Clock, Logger, Timer } from '../../base/index.js';

/** How often tasks are looked at without an event, in milliseconds: for what the kernel did not tell. */
const SWEEP_MS = 1000;
/** Tasks looked at in one sweep, a millisecond or two of work; the next sweep goes on from there. */
const SWEEP_TASKS_MAX = 50;

/** What changes in the live directory mean to one task. */
export interface LiveListener {
  /** There may be new output. */
  onOutput(): void;
  /** The exit code may have been written, or the supervisor may be gone. */
  onExit(): void;
}

/**
 * Watches the one directory into which the supervisors of all tasks write, with a single watch of the
 * kernel, and looks at every task now and then in case an event was lost.
 */
export class LiveDirectory {
  readonly #listeners = new Map<string, LiveListener>();
  #watcher: FSWatcher | undefined;
  #timer: Timer | undefined;
  /** Tasks still to be looked at in this round. */
  #round: string[] = [];

  constructor(
    readonly path: string,
    readonly clock: Clock,
    readonly log: Logger,
  ) {}

  /** Tells of changes that concern the task, until disposed. The directory must exist. */
  listen(taskId: string, listener: LiveListener): Disposable {
    this.#listeners.set(taskId, listener);
    this.#watch();
    this.#arm();
    return {
      [Symbol.dispose]: () => {
        if (this.#listeners.get(taskId) === listener) this.#listeners.delete(taskId);
        if (this.#listeners.size === 0) this.close();
      },
    };
  }

  /** Stops watching. */
  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #watch(): void {
    if (this.#watcher !== undefined) return;
    this.#watcher = watch(this.path, { persistent: false }, (_, name) => {
      if (name !== null) this.#notify(name);
    });
    this.#watcher.on('error', (error) => {
      this.log.warn({ error: errorText(error) }, 'watching the output of tasks failed; it is polled instead');
    });
  }

  #notify(name: string): void {
    const at = name.lastIndexOf('.');
    const listener = this.#listeners.get(name.slice(0, at));
    if (name.slice(at) === '.exit') listener?.onExit();
    else listener?.onOutput();
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#listeners.size === 0) return;
    this.#timer = this.clock.setTimer(SWEEP_MS, () => {
      this.#timer = undefined;
      this.#sweep();
      this.#arm();
    });
  }

  #sweep(): void {
    if (this.#round.length === 0) this.#round = [...this.#listeners.keys()];
    for (const taskId of this.#round.splice(0, SWEEP_TASKS_MAX)) {
      const listener = this.#listeners.get(taskId);
      listener?.onExit();
      listener?.onOutput();
    }
  }
}
