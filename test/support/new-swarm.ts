import { freePort } from './free-port.js';
import type { Lab } from './lab.js';
import type { Swarmd } from './swarmd.js';

/** A swarm of one manager of ours. */
export interface Swarm {
  readonly manager: Swarmd;
  /** Of the remote API. */
  readonly addr: string;
  /** Admits workers. */
  readonly token: string;
}

/** Starts a manager and initialises a swarm on it, on a free port of loopback. */
export async function startSwarm(lab: Lab, name: string): Promise<Swarm> {
  const manager = lab.swarmd(name);
  await manager.start();
  const addr = `127.0.0.1:${await freePort()}`;
  await manager.engine.json('POST', '/swarm/init', { body: { ListenAddr: addr, AdvertiseAddr: addr, Spec: {} } });
  const { JoinTokens } = await manager.engine.json<{ JoinTokens: { Worker: string } }>('GET', '/swarm');
  return { manager, addr, token: JoinTokens.Worker };
}
