import { fileURLToPath } from 'node:url';

import type { FleetAnswer, FleetRequest } from './agent-messages.js';
import { Child, type Usage } from './child.js';
import type { Manager } from './manager.js';
import type { NetworkNamespace } from './network-namespace.js';

const PROGRAM = fileURLToPath(new URL('agents.js', import.meta.url));

/** Simulated agents in a process of their own, connected to a manager as real ones are. */
export class Fleet implements AsyncDisposable {
  private constructor(readonly child: Child) {}

  /** Resolves when all agents have a certificate and a session. */
  static async join(manager: Manager, agents: number, logPath: string, namespace: NetworkNamespace): Promise<Fleet> {
    const fleet = new Fleet(await Child.start('agents', [process.execPath, PROGRAM], { namespace, logPath }));
    await fleet.ask({ kind: 'join', addr: manager.addr, token: await manager.workerToken(), agents });
    return fleet;
  }

  ask(request: FleetRequest): Promise<FleetAnswer> {
    return this.child.ask<FleetAnswer>(request);
  }

  usage(): Usage {
    return this.child.usage();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.child[Symbol.asyncDispose]();
  }
}
