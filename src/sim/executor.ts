import { create } from '@bufbuild/protobuf';

import {
  ExitError,
  TemporaryError,
  type Controller,
  type ControllerLogMessage,
  type Dependencies,
  type Executor,
} from '../agent/exec/index.js';
import { ContainerStatusSchema, LogStream, NodeDescriptionSchema, timestampFromMs } from '../api/index.js';
import type {
  ContainerStatus,
  EncryptionKey,
  LogSubscriptionOptions,
  Node,
  NodeDescription,
  Task,
} from '../api/index.js';
import { Code, SwarmError, orAborted, sleep } from '../base/index.js';
import type { Clock } from '../base/index.js';

/** How a simulated task behaves. Everything left out takes no time and succeeds; it runs until it is stopped. */
export interface SimScript {
  readonly prepareMs?: number;
  readonly startMs?: number;
  readonly shutdownMs?: number;
  /** Ends by itself after this time, with `exitCode`. */
  readonly runMs?: number;
  readonly exitCode?: number;
  /** This many calls of prepare fail with an error that may pass. */
  readonly temporaryFailures?: number;
  /** Why prepare, start or shutdown fail for good. */
  readonly prepareError?: string;
  readonly startError?: string;
  readonly shutdownError?: string;
  /** Start fails as it does when the health check never succeeds. */
  readonly unhealthy?: boolean;
  /** Lines of output; while the task runs, a line every `logPeriodMs`, else all at once. */
  readonly logs?: readonly string[];
  readonly logPeriodMs?: number;
}

/** What a simulated node is like. */
export interface SimExecutorOptions {
  readonly hostname: string;
  readonly nanoCpus?: bigint;
  readonly memoryBytes?: bigint;
  /** Behaviour of each task; asked once when its controller is made. Absent: all succeed in no time. */
  readonly script?: (task: Task) => SimScript;
  /** Report container id, pid and exit code; costs a little for every task. */
  readonly containerStatus?: boolean;
}

interface SimContainer {
  state: 'created' | 'running' | 'exited';
  exitCode: number;
  readonly waiters: Set<() => void>;
}

const INSTANT: SimScript = {};

/** A node whose tasks only pretend to run: deterministic, and light enough for tens of thousands. */
export class SimExecutor implements Executor {
  /** What runs or has run on this node, by task id; it outlives controllers and agents. */
  #containers = new Map<string, SimContainer>();
  /** Every call of an operation, as `operation task`, when switched on. */
  trace: string[] | undefined;
  /** Sees every new controller; may replace its operations, or throw where there is to be none. */
  intercept: ((controller: SimController) => void) | undefined;
  /** The node and keys last given to this executor. */
  configured: Node | undefined;
  keys: readonly EncryptionKey[] = [];
  description: NodeDescription;
  readonly options: SimExecutorOptions;
  readonly clock: Clock;

  constructor(options: SimExecutorOptions, deps: { readonly clock: Clock }) {
    this.options = options;
    this.clock = deps.clock;
    this.description = create(NodeDescriptionSchema, {
      hostname: options.hostname,
      platform: { architecture: 'x86_64', os: 'linux' },
      resources: { nanoCpus: options.nanoCpus ?? 4_000_000_000n, memoryBytes: options.memoryBytes ?? 8n << 30n },
      engine: { engineVersion: 'sim' },
    });
  }

  /**
   * The executor of the next process on this host: it finds the same containers. What the old process still
   * has under way no longer reaches them.
   */
  successor(): SimExecutor {
    const next = new SimExecutor(this.options, this);
    next.#containers = this.#containers;
    next.trace = this.trace;
    next.intercept = this.intercept;
    next.description = this.description;
    this.#containers = new Map();
    return next;
  }

  async describe(): Promise<NodeDescription> {
    return this.description;
  }

  async configure(node: Node): Promise<void> {
    this.configured = node;
  }

  controller(task: Task, dependencies: Dependencies): SimController {
    const controller = new SimController(task, dependencies, this);
    this.intercept?.(controller);
    return controller;
  }

  async setNetworkBootstrapKeys(keys: readonly EncryptionKey[]): Promise<void> {
    this.keys = keys;
  }

  async close(): Promise<void> {}

  /** Task ids of what runs at the moment, sorted. */
  running(): string[] {
    return [...this.#containers]
      .filter(([, container]) => container.state === 'running')
      .map(([id]) => id)
      .sort();
  }

  /** Task ids of which there are traces on this node, sorted. */
  present(): string[] {
    return [...this.#containers.keys()].sort();
  }

  /** Ends a running task from outside, as a crash does. */
  crash(taskId: string, exitCode: number): void {
    const container = this.#containers.get(taskId);
    if (container?.state === 'running') exit(container, exitCode);
  }

  /** Loses a task's container without a word, as an engine does that was reset. */
  lose(taskId: string): void {
    const container = this.#containers.get(taskId);
    this.#containers.delete(taskId);
    if (container?.state === 'running') exit(container, 137);
  }

  /** For controllers only. */
  container(taskId: string): SimContainer | undefined {
    return this.#containers.get(taskId);
  }

  /** For controllers only. */
  createContainer(taskId: string): void {
    if (!this.#containers.has(taskId)) {
      this.#containers.set(taskId, { state: 'created', exitCode: 0, waiters: new Set() });
    }
  }

  /** For controllers only. */
  removeContainer(taskId: string): void {
    this.lose(taskId);
  }
}

/** Drives one simulated task. */
export class SimController implements Controller {
  readonly containerStatus?: () => Promise<ContainerStatus | undefined>;
  #temporaryFailures: number;
  #task: Task;
  readonly #script: SimScript;
  readonly #executor: SimExecutor;

  constructor(
    task: Task,
    readonly dependencies: Dependencies,
    executor: SimExecutor,
  ) {
    this.#task = task;
    this.#executor = executor;
    this.#script = executor.options.script?.(task) ?? INSTANT;
    this.#temporaryFailures = this.#script.temporaryFailures ?? 0;
    if (executor.options.containerStatus === true) this.containerStatus = async () => this.#status();
  }

  /** The task as last given to this controller. */
  get task(): Task {
    return this.#task;
  }

  async update(task: Task): Promise<void> {
    this.#note('update');
    this.#task = task;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    this.#note('prepare');
    await this.#pass(this.#script.prepareMs, signal);
    if (this.#temporaryFailures > 0) {
      this.#temporaryFailures -= 1;
      throw new TemporaryError('simulated: not now');
    }
    fail(this.#script.prepareError);
    this.#executor.createContainer(this.#task.id);
  }

  async start(signal: AbortSignal): Promise<void> {
    this.#note('start');
    await this.#pass(this.#script.startMs, signal);
    fail(this.#script.startError);
    const container = this.#executor.container(this.#task.id);
    if (container === undefined) throw noContainer(this.#task.id);
    if (this.#script.unhealthy === true) {
      exit(container, 1);
      throw new ExitError(1, 'unhealthy container');
    }
    if (container.state !== 'created') return;
    container.state = 'running';
    const { runMs } = this.#script;
    if (runMs === undefined) return;
    this.#executor.clock.setTimer(runMs, () => {
      if (container.state === 'running') exit(container, this.#script.exitCode ?? 0);
    });
  }

  async wait(signal: AbortSignal): Promise<void> {
    this.#note('wait');
    const container = this.#executor.container(this.#task.id);
    if (container === undefined) throw noContainer(this.#task.id);
    if (container.state === 'running') {
      await orAborted(new Promise<void>((resolve) => container.waiters.add(resolve)), signal);
    }
    if (this.#executor.container(this.#task.id) === undefined) throw noContainer(this.#task.id);
    if (container.exitCode !== 0) throw new ExitError(container.exitCode, '');
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    this.#note('shutdown');
    await this.#pass(this.#script.shutdownMs, signal);
    fail(this.#script.shutdownError);
    this.#stop(0);
  }

  async terminate(): Promise<void> {
    this.#note('terminate');
    this.#stop(137);
  }

  async remove(): Promise<void> {
    this.#note('remove');
    this.#executor.removeContainer(this.#task.id);
  }

  async close(): Promise<void> {
    this.#note('close');
  }

  async *logs(
    options: LogSubscriptionOptions,
    signal: AbortSignal,
  ): AsyncGenerator<ControllerLogMessage, void, undefined> {
    const { clock } = this.#executor;
    for (const line of this.#script.logs ?? []) {
      if (options.follow) await this.#pass(this.#script.logPeriodMs, signal);
      yield {
        timestamp: timestampFromMs(clock.nowMs()),
        stream: LogStream.STDOUT,
        attrs: [],
        data: new TextEncoder().encode(`${line}\n`),
      };
    }
    const container = this.#executor.container(this.#task.id);
    if (!options.follow || container?.state !== 'running') return;
    await orAborted(new Promise<void>((resolve) => container.waiters.add(resolve)), signal);
  }

  #stop(exitCode: number): void {
    const container = this.#executor.container(this.#task.id);
    if (container !== undefined && container.state !== 'exited') exit(container, exitCode);
  }

  #status(): ContainerStatus | undefined {
    const container = this.#executor.container(this.#task.id);
    if (container === undefined) return undefined;
    const { state, exitCode } = container;
    return create(ContainerStatusSchema, {
      containerId: `sim-${this.#task.id}`,
      pid: state === 'running' ? 1 : 0,
      exitCode,
    });
  }

  async #pass(delayMs: number | undefined, signal: AbortSignal): Promise<void> {
    if (delayMs !== undefined && delayMs > 0) await sleep(this.#executor.clock, delayMs, signal);
  }

  #note(operation: string): void {
    this.#executor.trace?.push(`${operation} ${this.#task.id}`);
  }
}

function exit(container: SimContainer, exitCode: number): void {
  container.state = 'exited';
  container.exitCode = exitCode;
  for (const resolve of container.waiters) resolve();
  container.waiters.clear();
}

function fail(reason: string | undefined): void {
  if (reason !== undefined) throw new SwarmError(Code.INTERNAL, reason);
}

function noContainer(taskId: string): SwarmError {
  return new SwarmError(Code.NOT_FOUND, `No such container: sim-${taskId}`);
}
