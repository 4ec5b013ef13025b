import { MemoryAgentDatabase, type AgentDatabase, type DatabaseWrite } from '../agent/index.js';
import { sleep, type Clock } from '../base/index.js';
import type { SeededRandom } from './random.js';

/** Commits that a machine without power may lose, as a write-ahead log without a sync for each may. */
const RECENT_COMMITS_MAX = 8;

/** Longest time that a commit takes. */
const COMMIT_MS_MAX = 3;

const NEVER = new AbortController().signal;

/**
 * The file behind an agent's database: a killed process loses what it had not finished to commit, a machine
 * without power also the last commits.
 */
export class SimAgentDatabase {
  readonly #durable = new MemoryAgentDatabase();
  readonly #recent: (readonly DatabaseWrite[])[] = [];
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** The database as one process has it open; it hears nothing more after `isAlive` has become false. */
  open(clock: Clock, isAlive: () => boolean): AgentDatabase {
    let last = Promise.resolve();
    const commit = async (writes: readonly DatabaseWrite[]): Promise<void> => {
      await sleep(clock, this.#random.float() * COMMIT_MS_MAX, NEVER);
      if (isAlive()) await this.#commit(writes);
    };
    return {
      load: () => this.load(),
      commit: (writes) => {
        last = last.then(() => commit(writes));
        return last;
      },
      close: () => last,
    };
  }

  /** Everything committed, by task id. */
  async load(): ReturnType<AgentDatabase['load']> {
    for (const writes of this.#recent.splice(0)) await this.#durable.commit(writes);
    return this.#durable.load();
  }

  /** The machine lost its power: of the last commits only the first ones are found. */
  losePower(): void {
    this.#recent.splice(Math.floor(this.#random.float() * (this.#recent.length + 1)));
  }

  async #commit(writes: readonly DatabaseWrite[]): Promise<void> {
    this.#recent.push(writes);
    if (this.#recent.length <= RECENT_COMMITS_MAX) return;
    await this.#durable.commit(this.#recent.shift() ?? []);
  }
}
