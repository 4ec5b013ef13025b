/** A process that runs many agents with simulated tasks; it is told what to wait for over its channel. */
import { Agent, MemoryAgentDatabase } from '../src/agent/index.js';
import type { RpcNetwork, Task } from '../src/api/index.js';
import { errorText, SILENT_LOGGER } from '../src/base/index.js';
import { CertificateClient, KeyFiles, networkConnector, type SecurityConfig } from '../src/ca/index.js';
import { createRpcNetwork, CryptoRandom, SystemClock, WEB_CRYPTO } from '../src/platform/index.js';
import { SimDisk, SimExecutor, type SimController } from '../src/sim/index.js';
import { epochMs, type FleetAnswer, type FleetRequest } from './agent-messages.js';

/** Agents that ask for their certificates at the same time. */
const JOINING_MAX = 10;

const clock = new SystemClock();
const random = new CryptoRandom();
const network: RpcNetwork = createRpcNetwork({ clock, log: SILENT_LOGGER });
const stopping = new AbortController();
const agents: Promise<void>[] = [];

/** Counts the tasks of all agents by mark, and tells when the awaited number is reached. */
class Tally {
  readonly #running = new Map<string, { count: number; firstMs: number }>();
  readonly #present = new Set<string>();
  #awaited: { readonly isDone: () => boolean; readonly done: () => void } | undefined;

  created(task: Task): void {
    this.#present.add(task.id);
  }

  started(task: Task): void {
    const mark = markOf(task);
    const entry = this.#running.get(mark);
    if (entry === undefined) this.#running.set(mark, { count: 1, firstMs: epochMs() });
    else entry.count++;
    this.#look();
  }

  stopped(task: Task): void {
    const entry = this.#running.get(markOf(task));
    if (entry !== undefined) entry.count--;
  }

  removed(task: Task): void {
    this.#present.delete(task.id);
    this.#look();
  }

  untilRunning(mark: string, tasks: number): Promise<FleetAnswer> {
    return this.#until(
      () => (this.#running.get(mark)?.count ?? 0) >= tasks,
      () => this.#running.get(mark)?.firstMs ?? epochMs(),
    );
  }

  untilGone(): Promise<FleetAnswer> {
    return this.#until(
      () => this.#present.size === 0,
      () => epochMs(),
    );
  }

  #until(isDone: () => boolean, firstMs: () => number): Promise<FleetAnswer> {
    return new Promise((resolve) => {
      const done = (): void => resolve({ firstMs: firstMs(), lastMs: epochMs() });
      this.#awaited = { isDone, done };
      this.#look();
    });
  }

  #look(): void {
    const awaited = this.#awaited;
    if (awaited === undefined || !awaited.isDone()) return;
    this.#awaited = undefined;
    awaited.done();
  }
}

const tally = new Tally();

function markOf({ spec }: Task): string {
  const variable = spec?.runtime.case === 'container' ? (spec.runtime.value.env[0] ?? '') : '';
  return variable.slice(variable.indexOf('=') + 1);
}

/** Makes a simulated task count itself. */
function watch(controller: SimController): void {
  const { task } = controller;
  let runs = false;
  const start = controller.start.bind(controller);
  const shutdown = controller.shutdown.bind(controller);
  const remove = controller.remove.bind(controller);
  const stopped = (): void => {
    if (runs) tally.stopped(task);
    runs = false;
  };
  tally.created(task);
  controller.start = async (signal) => {
    await start(signal);
    runs = true;
    tally.started(task);
  };
  controller.shutdown = async (signal) => {
    await shutdown(signal);
    stopped();
  };
  controller.remove = async () => {
    await remove();
    stopped();
    tally.removed(task);
  };
}

async function joinAll(request: FleetRequest & { readonly kind: 'join' }): Promise<FleetAnswer> {
  const firstMs = epochMs();
  let next = 0;
  const joining = async (): Promise<void> => {
    while (next < request.agents) await joinOne(request, next++);
  };
  await Promise.all(Array.from({ length: JOINING_MAX }, joining));
  return { firstMs, lastMs: epochMs() };
}

async function joinOne(
  { addr, token }: { readonly addr: string; readonly token: string },
  index: number,
): Promise<void> {
  const deps = { crypto: WEB_CRYPTO, random, clock, log: SILENT_LOGGER, disk: new SimDisk() };
  const keyFiles = new KeyFiles({ directory: '/certificates' }, deps);
  const connector = networkConnector(network, () => addr);
  const client = new CertificateClient({ fips: false }, { ...deps, keyFiles, connector });
  const security = await client.join({ token }, undefined, stopping.signal);
  const agent = new Agent({}, agentDeps(addr, security, index));
  agents.push(agent.run(stopping.signal));
  await agent.ready;
}

function agentDeps(addr: string, security: SecurityConfig, index: number): ConstructorParameters<typeof Agent>[1] {
  const executor = new SimExecutor({ hostname: `sim-${String(index).padStart(3, '0')}` }, { clock });
  executor.intercept = watch;
  return {
    connect: () => ({
      channel: network.dial(addr, { kind: 'mutual', identity: security }),
      addr,
      observe: () => undefined,
    }),
    executor,
    database: new MemoryAgentDatabase(),
    clock,
    random,
    log: SILENT_LOGGER,
    onSessionMessage: () => undefined,
  };
}

function answer(request: FleetRequest): Promise<FleetAnswer> {
  switch (request.kind) {
    case 'join':
      return joinAll(request);
    case 'untilRunning':
      return tally.untilRunning(request.mark, request.tasks);
    case 'untilGone':
      return tally.untilGone();
  }
}

process.on('message', (request: FleetRequest) => {
  answer(request).then(
    (value) => process.send?.(value),
    (error: unknown) => {
      process.stderr.write(`agents: ${errorText(error)}\n`);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => {
  stopping.abort(new Error('stopped'));
  Promise.allSettled(agents).then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
