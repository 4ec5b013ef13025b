import type { LogMessage } from '../../api/index.js';
import { WakeUp, orAborted } from '../../base/index.js';

/** How much may wait for one reader. */
export interface QueueLimits {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/**
 * Log messages on their way to one reader. A full queue holds its publishers up instead of dropping
 * lines; each of them can only hold what it is about to hand over.
 */
export class LogQueue {
  readonly #limits: QueueLimits;
  readonly #wakeUp = new WakeUp();
  #messages: LogMessage[] = [];
  #bytes = 0;
  #room = Promise.withResolvers<void>();
  #closed = false;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  get empty(): boolean {
    return this.#messages.length === 0;
  }

  /**
   * Adds messages, in order, once there is room: a queue that is not full takes any number.
   * @returns false when the reader has gone.
   */
  async put(messages: readonly LogMessage[], signal: AbortSignal): Promise<boolean> {
    while (this.#full && !this.#closed) await orAborted(this.#room.promise, signal);
    if (this.#closed) return false;
    for (const message of messages) {
      this.#messages.push(message);
      this.#bytes += message.data.length;
    }
    this.#wakeUp.notify();
    return true;
  }

  /** Makes a waiting {@link take} look again. */
  notify(): void {
    this.#wakeUp.notify();
  }

  /** Everything that waits; empty after a {@link notify} when there is nothing. */
  async take(signal: AbortSignal): Promise<LogMessage[]> {
    if (this.empty) await this.#wakeUp.wait(signal);
    signal.throwIfAborted();
    const messages = this.#messages;
    this.#messages = [];
    this.#bytes = 0;
    this.#admitPublishers();
    return messages;
  }

  /** The reader has gone: publishers stop waiting, what waits is dropped. */
  close(): void {
    this.#closed = true;
    this.#messages = [];
    this.#admitPublishers();
  }

  get #full(): boolean {
    return this.#messages.length >= this.#limits.messagesMax || this.#bytes >= this.#limits.bytesMax;
  }

  #admitPublishers(): void {
    const room = this.#room;
    this.#room = Promise.withResolvers<void>();
    room.resolve();
  }
}
