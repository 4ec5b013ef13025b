import type { Clock, Timer } from '../base/index.js';

/** What happens to messages under way; asked anew for each. */
export interface Weather {
  /** Travel time of a message. */
  delayMs(from: string, to: string): number;
  /** Whether a message tears its connection. */
  isTorn(from: string, to: string): boolean;
  /** Whether nothing gets through at present. */
  isBlocked(from: string, to: string): boolean;
}

/** One of the two ends of a connection. */
export type End = 'client' | 'server';

/** How long a silence the callers' keepalive bears. Source: `platform/rpc`. */
const CLIENT_SILENCE_MS_MAX = 15_000;

/** The same for servers, which only the kernel's keepalive tells. */
const SERVER_SILENCE_MS_MAX = 25_000;

interface Parcel {
  readonly dueMs: number;
  readonly deliver: () => void;
}

/**
 * A connection between two hosts: two ordered pipes that may be delayed, blocked for a while or torn. What is
 * blocked arrives after the block ends, as TCP would send it again, unless an end has lost patience by then.
 */
export class SimConnection {
  readonly hosts: Readonly<Record<End, string>>;
  /** Called once at each end when it learns that the connection is lost, with the reason. */
  readonly onLost: Record<End, (reason: string) => void> = { client: () => undefined, server: () => undefined };
  readonly #weather: Weather;
  readonly #clock: Clock;
  readonly #onGone: (connection: SimConnection) => void;
  readonly #parcels: Record<End, Parcel[]> = { client: [], server: [] };
  readonly #lost: Record<End, boolean> = { client: false, server: false };
  readonly #patience: Partial<Record<End, Timer>> = {};
  /** Ends that fell silent without a word. */
  readonly #silent: Record<End, boolean> = { client: false, server: false };

  /** @param onGone called when both ends know that it is lost. */
  constructor(
    hosts: Readonly<Record<End, string>>,
    weather: Weather,
    clock: Clock,
    onGone: (connection: SimConnection) => void,
  ) {
    this.hosts = hosts;
    this.#weather = weather;
    this.#clock = clock;
    this.#onGone = onGone;
    this.look();
  }

  isLost(end: End): boolean {
    return this.#lost[end];
  }

  /** Sends something to an end; `deliver` runs there. Dropped when the sender has lost the connection. */
  send(to: End, deliver: () => void): void {
    const from = other(to);
    if (this.#lost[from]) return;
    if (this.#weather.isTorn(this.hosts[from], this.hosts[to])) {
      this.lose(from, 'connection reset by peer');
      return;
    }
    this.#post(to, deliver);
  }

  /** An end loses the connection; the other end learns of it through the pipe, after what was sent before. */
  lose(end: End, reason: string): void {
    if (this.#lost[end]) return;
    this.#post(other(end), () => this.lose(other(end), reason === '' ? '' : 'connection reset by peer'));
    this.#forget(end, reason);
  }

  /** An end dies without a word: the other one only notices the silence. */
  fallSilent(end: End, reason: string): void {
    if (this.#lost[end]) return;
    this.#silent[end] = true;
    this.#forget(end, reason);
    this.look();
  }

  /** Looks at the weather, after it has changed. */
  look(): void {
    for (const end of ['client', 'server'] as const) this.#pump(end);
    const isSilent = (end: End): boolean =>
      this.#silent[other(end)] || this.#isBlocked(end) || this.#isBlocked(other(end));
    this.#watch('client', isSilent('client'), CLIENT_SILENCE_MS_MAX);
    this.#watch('server', isSilent('server'), SERVER_SILENCE_MS_MAX);
  }

  #watch(end: End, isSilent: boolean, limitMs: number): void {
    if (!isSilent || this.#lost[end]) {
      this.#patience[end]?.cancel();
      delete this.#patience[end];
      return;
    }
    this.#patience[end] ??= this.#clock.setTimer(limitMs, () =>
      this.lose(end, 'keepalive ping failed to receive ACK within timeout'),
    );
  }

  #forget(end: End, reason: string): void {
    this.#lost[end] = true;
    this.#patience[end]?.cancel();
    this.#parcels[end] = [];
    this.onLost[end](reason === '' ? 'EOF' : reason);
    const peer = other(end);
    if (this.#lost[peer] || this.#silent[peer]) this.#onGone(this);
  }

  #post(to: End, deliver: () => void): void {
    const parcels = this.#parcels[to];
    const earliestMs = this.#clock.monotonicMs() + this.#weather.delayMs(this.hosts[other(to)], this.hosts[to]);
    const dueMs = Math.max(earliestMs, parcels.at(-1)?.dueMs ?? 0);
    parcels.push({ dueMs, deliver });
    this.#clock.setTimer(dueMs - this.#clock.monotonicMs(), () => this.#pump(to));
  }

  #pump(to: End): void {
    while (!this.#lost[to] && !this.#isBlocked(to)) {
      const parcels = this.#parcels[to];
      const first = parcels[0];
      if (first === undefined || first.dueMs > this.#clock.monotonicMs()) return;
      parcels.shift();
      first.deliver();
    }
  }

  #isBlocked(to: End): boolean {
    return this.#weather.isBlocked(this.hosts[other(to)], this.hosts[to]);
  }
}

function other(end: End): End {
  return end === 'client' ? 'server' : 'client';
}
