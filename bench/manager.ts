import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { wallClock } from './clock.js';
import { Child } from './child.js';
import { EngineClient } from './engine-client.js';
import type { NetworkNamespace } from './network-namespace.js';

/** Which program is measured. */
export type ManagerKind = 'ours' | 'stock';

const DOCKERD = '/usr/sbin/dockerd';
const SWARMD = fileURLToPath(new URL('../../bin/swarmd', import.meta.url));
const LOOP_DELAY = new URL('loop-delay.js', import.meta.url).href;

/** How long a manager may take to answer, in milliseconds. */
const START_MS_MAX = 60_000;

const POLL_MS = 2;

/** Where the managers listen for agents. */
const REMOTE_ADDR = '127.0.0.1:22377';

/** Extra options of node for the swarmd that is measured, such as `--cpu-prof`. */
const SWARMD_NODE_OPTIONS = process.env['SWARMD_NODE_OPTIONS'] ?? '';

interface SwarmInfo {
  readonly JoinTokens: { readonly Worker: string };
}

interface NodeInfo {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: object;
}

/** How long the event loop was held, see `EventLoopDelay`. */
export interface LoopDelays {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Whether this machine can run a stock engine in a network of its own. */
export function hasStock(namespace: NetworkNamespace): boolean {
  return namespace.name !== undefined && existsSync(DOCKERD);
}

/** A manager in a process of its own, behind its Engine API. */
export class Manager implements AsyncDisposable {
  private constructor(
    readonly kind: ManagerKind,
    readonly child: Child,
    readonly api: EngineClient,
    readonly startedMs: number,
  ) {}

  /** Where agents reach it. */
  readonly addr = REMOTE_ADDR;

  /** Starts the program; resolves when its Engine API answers. */
  static async start(kind: ManagerKind, directory: string, namespace: NetworkNamespace): Promise<Manager> {
    await mkdir(directory, { recursive: true });
    const socketPath = `${directory}/docker.sock`;
    const startedMs = wallClock.monotonicMs();
    const child = await Child.start(
      kind,
      kind === 'ours' ? swarmd(directory, socketPath) : dockerd(directory, socketPath),
      {
        namespace,
        logPath: `${directory}/log`,
        environment: { NODE_OPTIONS: `--import=${LOOP_DELAY} ${SWARMD_NODE_OPTIONS}` },
      },
    );
    const manager = new Manager(kind, child, new EngineClient(socketPath), startedMs);
    try {
      await manager.until(async () => (await manager.api.get('/_ping').catch(() => '')) === 'OK', 'answers');
      return manager;
    } catch (error) {
      await manager[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Milliseconds since the process was started. */
  sinceStartMs(): number {
    return wallClock.monotonicMs() - this.startedMs;
  }

  /** Makes it the manager of a new swarm. */
  async init(): Promise<void> {
    await this.api.post('/swarm/init', { ListenAddr: this.addr, AdvertiseAddr: this.addr });
    await this.untilActive();
  }

  /** Resolves when the node answers as manager and is ready to run tasks. */
  async untilActive(): Promise<void> {
    await this.until(async () => {
      const nodes = await this.api
        .get<readonly { readonly Status: { readonly State: string } }[]>('/nodes')
        .catch(() => []);
      return nodes[0]?.Status.State === 'ready';
    }, 'is active');
  }

  /** Leaves all tasks to other nodes. */
  async drain(): Promise<void> {
    const [node] = await this.api.get<readonly NodeInfo[]>('/nodes');
    if (node === undefined) throw new Error('the manager has no node');
    await this.api.post(`/nodes/${node.ID}/update?version=${node.Version.Index}`, {
      ...node.Spec,
      Availability: 'drain',
    });
  }

  async workerToken(): Promise<string> {
    return (await this.api.get<SwarmInfo>('/swarm')).JoinTokens.Worker;
  }

  /** Of our event loop since this was last asked; undefined for a stock engine, which has none. */
  async loopDelays(): Promise<LoopDelays | undefined> {
    return this.kind === 'ours' ? this.child.ask<LoopDelays>({}) : undefined;
  }

  /** Polls until the condition holds. */
  async until(condition: () => Promise<boolean>, what: string): Promise<void> {
    const deadlineMs = wallClock.monotonicMs() + START_MS_MAX;
    while (!(await condition())) {
      if (!this.child.running) throw new Error(`${this.kind} ended before it ${what}; see its log`);
      if (wallClock.monotonicMs() > deadlineMs) throw new Error(`${this.kind}: it takes too long until it ${what}`);
      await pause(POLL_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.api[Symbol.dispose]();
    await this.child[Symbol.asyncDispose]();
  }
}

/** Lets time pass. */
export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    wallClock.setTimer(delayMs, resolve);
  });
}

function swarmd(directory: string, socketPath: string): [string, ...string[]] {
  return [SWARMD, '--log-level', 'warn', '--state-dir', directory, '--engine-api', `unix://${socketPath}`];
}

/** Without bridge and firewall rules: no containers run here, and the machine is to be left as it is. */
function dockerd(directory: string, socketPath: string): [string, ...string[]] {
  return [
    DOCKERD,
    '--log-level=warn',
    `--data-root=${directory}/data`,
    `--exec-root=${directory}/exec`,
    `--pidfile=${directory}/pid`,
    `--host=unix://${socketPath}`,
    '--bridge=none',
    '--iptables=false',
    '--storage-driver=vfs',
  ];
}
