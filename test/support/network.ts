import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

import { runCommand } from './docker-cli.js';
import { noteNetwork } from './scratch.js';

/** A network namespace with one address and no way out. */
export interface NetworkNamespace {
  readonly name: string;
  readonly address: string;
}

/**
 * A bridge on this machine with an address, and namespaces whose eth0 is plugged into it. Nothing routes to
 * the outside.
 */
export class TestNetwork {
  readonly #directory: string;
  readonly #id: number;
  #namespaces: NetworkNamespace[] = [];

  private constructor(directory: string, id: number) {
    this.#directory = directory;
    this.#id = id;
  }

  static async create(directory: string): Promise<TestNetwork> {
    const network = new TestNetwork(directory, unusedId());
    const bridge = network.#bridge;
    noteNetwork(directory, 'links', bridge);
    await ip('link', 'add', bridge, 'type', 'bridge');
    await ip('address', 'add', `${network.address}/24`, 'dev', bridge);
    await ip('link', 'set', bridge, 'up');
    return network;
  }

  /** Address of this machine on the network. */
  get address(): string {
    return `10.213.${this.#id}.1`;
  }

  get #bridge(): string {
    return `swkbr${this.#id}`;
  }

  /** A new namespace on the network. */
  async namespace(): Promise<NetworkNamespace> {
    const host = this.#namespaces.length + 2;
    const name = `swk-${this.#id}-${host}`;
    const link = `swk${this.#id}p${host}`;
    const address = `10.213.${this.#id}.${host}`;
    noteNetwork(this.#directory, 'namespaces', name);
    noteNetwork(this.#directory, 'links', link);
    await ip('netns', 'add', name);
    await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    await ip('link', 'set', link, 'master', this.#bridge);
    await ip('link', 'set', link, 'up');
    await ip('-n', name, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    await ip('-n', name, 'link', 'set', 'eth0', 'up');
    await ip('-n', name, 'link', 'set', 'lo', 'up');
    const made = { name, address };
    this.#namespaces.push(made);
    return made;
  }

  /** Removes everything. What still runs in the namespaces must have ended. */
  async dispose(): Promise<void> {
    for (const { name } of this.#namespaces.reverse()) {
      if (existsSync(`/run/netns/${name}`)) await ip('netns', 'delete', name);
    }
    this.#namespaces = [];
    if (existsSync(`/sys/class/net/${this.#bridge}`)) await ip('link', 'delete', this.#bridge);
  }
}

function unusedId(): number {
  const used = new Set(Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []));
  for (let attempt = 0; attempt < 100; attempt++) {
    const id = randomInt(1, 255);
    if (!used.has(`10.213.${id}.1`) && !existsSync(`/sys/class/net/swkbr${id}`)) return id;
  }
  throw new Error('no subnet of 10.213.0.0/16 is free');
}

async function ip(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCommand('ip', args, { timeoutMs: 10_000 });
  if (code !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
}
