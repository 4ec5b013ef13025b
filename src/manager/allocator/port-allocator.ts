import { PortConfig_Protocol, PortConfig_PublishMode, type PortConfig, type Service } from '../../api/index.js';

/** All ports there are. */
const PORT_MIN = 1;
const PORT_MAX = 65_535;

/** Ports handed out where the user named none. Source: SwarmKit. */
const DYNAMIC_PORT_MIN = 30_000;
const DYNAMIC_PORT_MAX = 32_767;

/** The outcome for one service. */
export type PortAllocation =
  /** The service's ports as they are to be published, in the order of its spec. */
  | { readonly kind: 'allocated'; readonly ports: readonly PortConfig[]; readonly freed: boolean }
  /** Not all can be had; what the service holds and still wants, it keeps. */
  | { readonly kind: 'conflict'; readonly reason: string; readonly freed: boolean };

/**
 * The published ports of the routing mesh: each belongs to one service at a time. Ports published on the
 * host are passed through; they are the scheduler's business.
 */
export class PortAllocator {
  readonly #spaces = new Map<PortConfig_Protocol, PortSpace>();
  /** What each service holds. */
  readonly #held = new Map<string, readonly PortConfig[]>();

  /** Takes over what a stored service holds and still wants. All services before the first {@link allocate}. */
  restore(service: Service): void {
    const wanted = ingressPorts(service);
    const kept = match(wanted, service.endpoint?.ports.filter(isIngress) ?? []);
    const held = [...kept.values()].filter((port) => this.#space(port).take(port.publishedPort, service.id));
    if (held.length > 0) this.#held.set(service.id, held);
  }

  /**
   * Gives the service what its spec asks for: named ports as named, others as they were before or from
   * the dynamic range, one after the other. Frees what it no longer wants. All or nothing.
   */
  allocate(service: Service): PortAllocation {
    const wanted = ingressPorts(service);
    const held = this.#held.get(service.id) ?? [];
    const kept = match(wanted, held);
    const freed = this.#release(held, new Set(kept.values()));
    const taken = new Map<PortConfig, PortConfig>();
    // Named ports first, so that a dynamic one does not take what is named further on.
    for (const port of [...wanted].sort((left, right) => Number(isDynamic(left)) - Number(isDynamic(right)))) {
      if (kept.has(port)) continue;
      const published = this.#take(port, service.id);
      if (typeof published === 'string') {
        this.#release([...taken.values()], new Set());
        this.#hold(service.id, [...kept.values()]);
        return { kind: 'conflict', reason: published, freed };
      }
      taken.set(port, { ...port, publishedPort: published });
    }
    this.#hold(service.id, [...kept.values(), ...taken.values()]);
    // A named port may have got another target meanwhile: of it only the number was held.
    const ports = (service.spec?.endpoint?.ports ?? []).map((port) =>
      isDynamic(port) ? (kept.get(port) ?? taken.get(port) ?? port) : port,
    );
    return { kind: 'allocated', ports, freed };
  }

  /** Frees all that a service holds. Returns whether that was anything. */
  release(serviceId: string): boolean {
    const freed = this.#release(this.#held.get(serviceId) ?? [], new Set());
    this.#held.delete(serviceId);
    return freed;
  }

  #hold(serviceId: string, ports: readonly PortConfig[]): void {
    if (ports.length > 0) this.#held.set(serviceId, ports);
    else this.#held.delete(serviceId);
  }

  /** The port that was given, or why there is none. */
  #take(port: PortConfig, serviceId: string): number | string {
    const space = this.#space(port);
    const protocol = PortConfig_Protocol[port.protocol]?.toLowerCase() ?? `protocol ${port.protocol}`;
    if (isDynamic(port)) {
      return (
        space.takeDynamic(serviceId) ??
        `no ${protocol} port is free between ${DYNAMIC_PORT_MIN} and ${DYNAMIC_PORT_MAX}`
      );
    }
    if (space.take(port.publishedPort, serviceId)) return port.publishedPort;
    const owner = space.ownerOf(port.publishedPort);
    return owner === undefined
      ? `port ${port.publishedPort} is not between ${PORT_MIN} and ${PORT_MAX}`
      : `port ${port.publishedPort}/${protocol} is in use by service ${owner}`;
  }

  #release(ports: readonly PortConfig[], except: ReadonlySet<PortConfig>): boolean {
    const released = ports.filter((port) => !except.has(port));
    for (const port of released) this.#space(port).release(port.publishedPort);
    return released.length > 0;
  }

  #space(port: PortConfig): PortSpace {
    const space = this.#spaces.get(port.protocol) ?? new PortSpace();
    this.#spaces.set(port.protocol, space);
    return space;
  }
}

/** The ports of one protocol. */
class PortSpace {
  readonly #owners = new Map<number, string>();
  #nextDynamic = DYNAMIC_PORT_MIN;

  ownerOf(port: number): string | undefined {
    return this.#owners.get(port);
  }

  take(port: number, owner: string): boolean {
    if (port < PORT_MIN || port > PORT_MAX || this.#owners.has(port)) return false;
    this.#owners.set(port, owner);
    return true;
  }

  /** Serial: the next free one after the last that was handed out, so that ports are not reused at once. */
  takeDynamic(owner: string): number | undefined {
    const count = DYNAMIC_PORT_MAX - DYNAMIC_PORT_MIN + 1;
    for (let step = 0; step < count; step++) {
      const port = DYNAMIC_PORT_MIN + ((this.#nextDynamic - DYNAMIC_PORT_MIN + step) % count);
      if (!this.take(port, owner)) continue;
      this.#nextDynamic = port + 1;
      return port;
    }
    return undefined;
  }

  release(port: number): void {
    this.#owners.delete(port);
  }
}

/** Which of the held ports answers which wanted one; each held port answers at most one. */
function match(wanted: readonly PortConfig[], held: readonly PortConfig[]): Map<PortConfig, PortConfig> {
  const free = new Set(held);
  const matches = new Map<PortConfig, PortConfig>();
  for (const dynamic of [false, true]) {
    for (const port of wanted) {
      if (isDynamic(port) !== dynamic) continue;
      const answer = [...free].find((candidate) => answers(port, candidate));
      if (answer === undefined) continue;
      free.delete(answer);
      matches.set(port, answer);
    }
  }
  return matches;
}

function answers(wanted: PortConfig, held: PortConfig): boolean {
  if (wanted.protocol !== held.protocol || held.publishedPort === 0) return false;
  if (!isDynamic(wanted)) return wanted.publishedPort === held.publishedPort;
  return wanted.name === held.name && wanted.targetPort === held.targetPort;
}

function ingressPorts(service: Service): readonly PortConfig[] {
  return (service.spec?.endpoint?.ports ?? []).filter(isIngress);
}

function isIngress(port: PortConfig): boolean {
  return port.publishMode === PortConfig_PublishMode.INGRESS;
}

function isDynamic(port: PortConfig): boolean {
  return port.publishedPort === 0;
}
