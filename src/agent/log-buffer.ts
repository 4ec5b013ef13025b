import type { LogMessage } from '../api/index.js';
import { WakeUp, orAborted } from '../base/index.js';

/** Messages that wait for the stream before writers are held back. */
const MESSAGES_MAX = 1024;
/** Bytes of output in one published message. */
const BYTES_MAX = 262_144;

/** Between the tasks that write log lines and the one stream that carries them away; bounded. */
export class LogBuffer {
  #messages: LogMessage[] = [];
  #ended = false;
  #roomWaiters: (() => void)[] = [];
  readonly #wakeUp = new WakeUp();

  /** Adds a line; waits while the buffer is full. */
  async push(message: LogMessage, signal: AbortSignal): Promise<void> {
    while (this.#messages.length >= MESSAGES_MAX) {
      await orAborted(new Promise<void>((resolve) => this.#roomWaiters.push(resolve)), signal);
    }
    signal.throwIfAborted();
    this.#messages.push(message);
    this.#wakeUp.notify();
  }

  /** No more lines will come. */
  end(): void {
    this.#ended = true;
    this.#wakeUp.notify();
  }

  /** All lines that wait, as many as one message may hold; undefined at the end. */
  async take(signal: AbortSignal): Promise<LogMessage[] | undefined> {
    while (this.#messages.length === 0) {
      if (this.#ended) return undefined;
      await this.#wakeUp.wait(signal);
    }
    const batch = this.#messages.splice(0, this.#fitting());
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const resolve of waiters) resolve();
    return batch;
  }

  #fitting(): number {
    let bytes = 0;
    const end = this.#messages.findIndex((message, at) => {
      bytes += message.data.length;
      return at > 0 && bytes > BYTES_MAX;
    });
    return end === -1 ? this.#messages.length : end;
  }
}
