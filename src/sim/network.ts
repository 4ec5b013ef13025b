import type { RpcNetwork } from '../api/index.js';
import { SILENT_LOGGER, type Clock, type Logger } from '../base/index.js';
import { SimConnection, type End, type Weather } from './network-connection.js';
import { SimHost } from './network-host.js';
import type { SeededRandom } from './random.js';

/** How the simulated network behaves in fair weather. */
export interface SimNetworkOptions {
  /** Travel time of a message between hosts, spread evenly. Default: 0.2 to 2 ms. */
  readonly delayMsMin?: number;
  readonly delayMsMax?: number;
  /** Chance that a message tears its connection, as lost packets do after TCP gave up. Default: 0. */
  readonly tearRate?: number;
}

/** What is left of a host that crashes. */
export type Crash =
  /** The program is gone, the kernel resets its connections. */
  | 'process'
  /** The machine is gone: nobody is told. */
  | 'machine';

/** Travel time within one host. */
const LOCAL_DELAY_MS = 0.05;

/**
 * Hosts and what lies between them, in memory, on virtual time, the same every time for one seed. Messages
 * are encoded, so that nothing is shared; callers are judged by the same gate as on the real network.
 */
export class SimNetwork implements Weather {
  readonly clock: Clock;
  readonly log: Logger;
  readonly #random: SeededRandom;
  readonly #delayMsMin: number;
  readonly #delayMsMax: number;
  readonly #hosts = new Map<string, SimHost>();
  readonly #connections = new Set<SimConnection>();
  readonly #blocked = new Set<string>();
  /** Machines that are off. */
  readonly #off = new Set<string>();
  /** May be changed while it runs. */
  tearRate: number;

  constructor(
    options: SimNetworkOptions,
    deps: { readonly clock: Clock; readonly random: SeededRandom; readonly log?: Logger },
  ) {
    this.clock = deps.clock;
    this.log = deps.log ?? SILENT_LOGGER;
    this.#random = deps.random;
    this.#delayMsMin = options.delayMsMin ?? 0.2;
    this.#delayMsMax = Math.max(this.#delayMsMin, options.delayMsMax ?? 2);
    this.tearRate = options.tearRate ?? 0;
  }

  /** The network of the host with this name, which is also its address; after a crash a new one. */
  host(name: string): RpcNetwork {
    const known = this.#hosts.get(name);
    if (known !== undefined) return known;
    const host = new SimHost(name, this);
    this.#hosts.set(name, host);
    if (this.#off.delete(name)) this.#lookAll();
    return host;
  }

  /** Lets nothing through from one host to another until {@link heal}; the way back stays open. */
  block(from: string, to: string): void {
    this.#blocked.add(wayKey(from, to));
    this.#lookAll();
  }

  /** Parts the hosts of one side from those of the other, both ways. */
  partition(side: readonly string[], otherSide: readonly string[]): void {
    for (const a of side) {
      for (const b of otherSide) {
        this.#blocked.add(wayKey(a, b));
        this.#blocked.add(wayKey(b, a));
      }
    }
    this.#lookAll();
  }

  /** Opens all ways again; what waits arrives. */
  heal(): void {
    this.#blocked.clear();
    this.#lookAll();
  }

  /** Tears all connections between two hosts. */
  tear(a: string, b: string): void {
    for (const connection of this.#connections) {
      const { client, server } = connection.hosts;
      if ((client === a && server === b) || (client === b && server === a)) {
        connection.lose('client', 'connection reset by peer');
      }
    }
  }

  /** Ends a host: its listeners are gone, its calls fail, nothing leaves it any more. */
  crash(name: string, crash: Crash): void {
    const reason = `the host ${name} has crashed`;
    this.#hosts.get(name)?.shutDown();
    this.#hosts.delete(name);
    if (crash === 'machine') this.#off.add(name);
    for (const connection of this.#connections) {
      for (const end of ['client', 'server'] as const) {
        if (connection.hosts[end] !== name) continue;
        if (crash === 'process') connection.lose(end, reason);
        else connection.fallSilent(end, reason);
      }
    }
  }

  /** For hosts. */
  hostAt(name: string): SimHost | undefined {
    return this.#hosts.get(name);
  }

  /** For hosts. */
  connect(hosts: Readonly<Record<End, string>>): SimConnection {
    const connection = new SimConnection(hosts, this, this.clock, (gone) => this.#connections.delete(gone));
    this.#connections.add(connection);
    return connection;
  }

  delayMs(from: string, to: string): number {
    if (from === to) return LOCAL_DELAY_MS;
    return this.#delayMsMin + this.#random.float() * (this.#delayMsMax - this.#delayMsMin);
  }

  isTorn(from: string, to: string): boolean {
    return from !== to && this.tearRate > 0 && this.#random.float() < this.tearRate;
  }

  isBlocked(from: string, to: string): boolean {
    return this.#off.has(from) || this.#off.has(to) || this.#blocked.has(wayKey(from, to));
  }

  #lookAll(): void {
    for (const connection of this.#connections) connection.look();
  }
}

function wayKey(from: string, to: string): string {
  return `${from} ${to}`;
}
