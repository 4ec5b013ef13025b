import { errorText } from '../../base/index.js';
import type { Clock, Logger } from '../../base/index.js';
import type { TaskOutput } from './task-output.js';

/** Tasks whose output is read at the same time. */
const READERS_MAX = 4;

interface Entry {
  readonly output: TaskOutput;
  ended: boolean;
  /** Set when there may be more than the read under way will see. */
  again: boolean;
  readonly done: (() => void)[];
}

/** Reads the output of tasks that have written something, few at a time and each in turn. */
export class OutputPump {
  /** Waiting or being read, oldest first. */
  readonly #entries = new Map<TaskOutput, Entry>();
  readonly #waiting: Entry[] = [];
  #readers = 0;

  constructor(
    readonly clock: Clock,
    readonly log: Logger,
  ) {}

  /** Says that a task may have written something. */
  request(output: TaskOutput): void {
    this.#enqueue(output);
  }

  /** Resolves when all that is there at the moment has been read; `ended`: there will be nothing more. */
  drain(output: TaskOutput, ended: boolean): Promise<void> {
    return new Promise((resolve) => {
      const entry = this.#enqueue(output);
      entry.ended ||= ended;
      entry.done.push(resolve);
    });
  }

  #enqueue(output: TaskOutput): Entry {
    const present = this.#entries.get(output);
    if (present !== undefined) {
      present.again = true;
      return present;
    }
    const entry: Entry = { output, ended: false, again: false, done: [] };
    this.#entries.set(output, entry);
    this.#waiting.push(entry);
    if (this.#readers < READERS_MAX) {
      this.#readers++;
      void this.#run();
    }
    return entry;
  }

  async #run(): Promise<void> {
    for (let entry = this.#waiting.shift(); entry !== undefined; entry = this.#waiting.shift()) {
      if (await this.#read(entry)) this.#waiting.push(entry);
      else {
        this.#entries.delete(entry.output);
        for (const resolve of entry.done) resolve();
      }
    }
    this.#readers--;
  }

  async #read(entry: Entry): Promise<boolean> {
    entry.again = false;
    try {
      const more = await entry.output.read(this.clock.nowMs(), entry.ended);
      return more || entry.again;
    } catch (error) {
      const { taskId } = entry.output.paths;
      this.log.warn({ 'task.id': taskId, error: errorText(error) }, 'reading the output of a task failed');
      return false;
    }
  }
}
