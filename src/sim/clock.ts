import type { Clock, Timer } from '../base/index.js';

/** Where virtual time starts unless told otherwise: 2020-01-01T00:00:00Z. */
const START_MS = 1_577_836_800_000;

/**
 * Ticks in a millisecond. Whole ticks are exact both from the start and from the Unix epoch, so that going
 * from one scale to the other loses nothing; timers wait for the next tick, as real ones do for theirs.
 */
const TICKS_PER_MS = 1_024;

/** Turns of the tick queue that one settling grants; each drains all promise reactions, however long. */
const SETTLE_TURNS = 8;

/** Timers at one instant, after which time is considered stuck. */
const TIMERS_PER_INSTANT_MAX = 1_000_000;

interface PendingTimer {
  readonly dueMs: number;
  readonly sequence: number;
  readonly callback: () => void;
}

/**
 * Virtual time: it moves only when told to. Timers run in the order of their due times, equal ones in
 * the order of their creation, and between two of them everything that hangs on promises settles.
 *
 * A timer of delay 0 means "as soon as the loop is free" and needs no advance: it also runs by itself
 * once the present turn of the event loop has ended.
 */
export class SimClock implements Clock {
  readonly #startMs: number;
  #elapsedMs = 0;
  #sequence = 0;
  #timers: PendingTimer[] = [];

  constructor(startMs: number = START_MS) {
    this.#startMs = startMs;
  }

  nowMs(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const ticks = Math.ceil(Math.max(0, delayMs) * TICKS_PER_MS);
    const timer = { dueMs: this.#elapsedMs + ticks / TICKS_PER_MS, sequence: this.#sequence++, callback };
    this.#insert(timer);
    if (!(delayMs > 0)) setImmediate(() => this.#runIfPending(timer));
    return { cancel: () => this.#remove(timer) };
  }

  /** Number of timers that wait. */
  get pendingTimers(): number {
    return this.#timers.length;
  }

  /** Moves on by `ms`, running what falls due on the way, and lets everything settle. */
  async advance(ms: number): Promise<void> {
    const targetMs = this.#elapsedMs + ms;
    await this.settle();
    while (await this.#runNext(targetMs)) await this.settle();
    this.#elapsedMs = targetMs;
  }

  /**
   * Moves from timer to timer until `condition` holds.
   * @throws Error when it does not hold within `limitMs` of virtual time.
   */
  async runUntil(condition: () => boolean, limitMs: number): Promise<void> {
    const targetMs = this.#elapsedMs + limitMs;
    await this.settle();
    while (!condition()) {
      if (!(await this.#runNext(targetMs))) {
        this.#elapsedMs = targetMs;
        throw new Error(`the condition did not hold within ${limitMs} ms of virtual time`);
      }
      await this.settle();
    }
  }

  /**
   * Lets promise reactions run until none is left, without moving time. The tick queue is served only when
   * no reaction waits, so one turn drains chains of any length; more turns serve code that uses ticks.
   */
  async settle(): Promise<void> {
    for (let turn = 0; turn < SETTLE_TURNS; turn++) {
      await Promise.resolve();
      await new Promise<void>((resolve) => process.nextTick(resolve));
    }
  }

  #instantMs = -1;
  #timersThisInstant = 0;

  async #runNext(targetMs: number): Promise<boolean> {
    const timer = this.#timers[0];
    if (timer === undefined || timer.dueMs > targetMs) return false;
    this.#elapsedMs = Math.max(this.#elapsedMs, timer.dueMs);
    this.#countInstant();
    this.#timers.shift();
    timer.callback();
    return true;
  }

  #countInstant(): void {
    if (this.#instantMs !== this.#elapsedMs) {
      this.#instantMs = this.#elapsedMs;
      this.#timersThisInstant = 0;
    }
    this.#timersThisInstant++;
    if (this.#timersThisInstant > TIMERS_PER_INSTANT_MAX)
      throw new Error('virtual time is stuck: timers re-arm themselves with delay 0');
  }

  #runIfPending(timer: PendingTimer): void {
    if (this.#remove(timer)) timer.callback();
  }

  #remove(timer: PendingTimer): boolean {
    const at = this.#position(timer);
    if (this.#timers[at] !== timer) return false;
    this.#timers.splice(at, 1);
    return true;
  }

  #insert(timer: PendingTimer): void {
    this.#timers.splice(this.#position(timer), 0, timer);
  }

  /** Where the timer is, or belongs, in the sorted list. */
  #position(timer: PendingTimer): number {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#timers[middle];
      if (other !== undefined && isBefore(other, timer)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function isBefore(a: PendingTimer, b: PendingTimer): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.sequence < b.sequence);
}
