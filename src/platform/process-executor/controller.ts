import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';

import { create } from '@bufbuild/protobuf';

import {
  ExitError,
  HEALTH_UNKNOWN,
  afterProbe,
  containerSpec,
  healthCheckOf,
  logSelection,
  nextProbeInMs,
  unhealthyExit,
} from '../../agent/exec/index.js';
import type { Controller, ControllerLogMessage, Dependencies, Health, HealthCheck } from '../../agent/exec/index.js';
import { ContainerStatusSchema, PortStatusSchema, SERVICE_DEFAULTS, msFromDuration } from '../../api/index.js';
import type { ContainerStatus, LogSubscriptionOptions, PortStatus, Task } from '../../api/index.js';
import { Code, LinkedController, SwarmError, canceled, sleep } from '../../base/index.js';
import { readLog } from './log-reader.js';
import { taskPaths, type TaskPaths } from './paths.js';
import { loadPlan, makePlan, type TaskPlan } from './plan.js';
import { probe } from './prober.js';
import type { ProcessHost } from './process-host.js';
import { stopSignal } from './stop-signal.js';
import { Supervisor, type Exit } from './supervisor.js';
import { bootId } from './system-process.js';
import { TaskLog } from './task-log.js';
import { TaskOutput } from './task-output.js';

/** Drives one task as a process of this machine. The process outlives the agent and is found again. */
export class ProcessController implements Controller {
  #task: Task;
  #plan: TaskPlan | undefined;
  #health: Health = HEALTH_UNKNOWN;
  #startedAtMs = 0;
  /** Resolves once everything that the ended task has written is in its log. */
  #collected: Promise<void> | undefined;
  #complete = false;
  readonly #dependencies: Dependencies;
  readonly #host: ProcessHost;
  readonly #paths: TaskPaths;
  readonly #log: TaskLog;
  readonly #output: TaskOutput;
  readonly #supervisor: Supervisor;

  constructor(task: Task, dependencies: Dependencies, host: ProcessHost) {
    containerSpec(task);
    this.#task = task;
    this.#dependencies = dependencies;
    this.#host = host;
    this.#paths = taskPaths(host.directories, task.id);
    this.#log = new TaskLog(this.#paths.dir);
    this.#output = new TaskOutput(this.#paths, this.#log);
    this.#supervisor = new Supervisor(this.#paths, host.live, () => host.pump.request(this.#output));
  }

  /** A running process cannot be changed: only what concerns its end (signal, grace period) takes effect. */
  async update(task: Task): Promise<void> {
    this.#task = task;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    await this.#host.ready();
    const plan = await this.#loadPlan();
    if (plan !== undefined && (plan.bootId === bootId() || (await this.#supervisor.isStarted()))) return;
    signal.throwIfAborted();
    await mkdir(this.#paths.dir, { recursive: true, mode: 0o700 });
    this.#plan = await makePlan(this.#task, this.#dependencies, this.#host, this.#paths);
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#host.ready();
    if ((await this.#loadPlan()) === undefined) {
      throw new SwarmError(Code.FAILED_PRECONDITION, 'the task has to be prepared before it is started');
    }
    if (!(await this.#supervisor.isStarted())) {
      await this.prepare(signal);
      await this.#checkBeforeStart();
      signal.throwIfAborted();
      await this.#supervisor.start(this.#plan?.environment ?? {});
    }
    this.#startedAtMs = this.#host.clock.monotonicMs();
    this.#log.notify();
    const check = healthCheckOf(containerSpec(this.#task).healthcheck);
    if (check === undefined) return;
    const result = await this.#watchHealth(check, true, signal);
    if (result !== 'healthy' && result.kind !== 'lost' && result.code === 0) return;
    if (result !== 'healthy') throw this.#failure(result);
  }

  async wait(signal: AbortSignal): Promise<void> {
    await this.#host.ready();
    if (!(await this.#supervisor.isStarted())) throw noProcess(this.#task.id);
    const check = healthCheckOf(containerSpec(this.#task).healthcheck);
    if (this.#health.status === 'starting') this.#health = { status: 'healthy', failingStreak: 0 };
    const exit =
      check === undefined ? await this.#supervisor.wait(signal) : await this.#watchHealth(check, false, signal);
    if (exit === 'healthy') throw new SwarmError(Code.INTERNAL, 'a health check ended without a result');
    await this.#collect();
    if (exit.kind === 'lost' || exit.code !== 0 || this.#health.status === 'unhealthy') throw this.#failure(exit);
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    await this.#host.ready();
    if (!(await this.#supervisor.isRunning())) return;
    const container = containerSpec(this.#task);
    await this.#supervisor.signal(stopSignal(container.stopSignal));
    const graceMs = msFromDuration(container.stopGracePeriod) ?? SERVICE_DEFAULTS.stopGracePeriodMs;
    if ((await this.#within(graceMs, signal)) === undefined) {
      await this.#supervisor.kill();
      await this.#supervisor.wait(signal);
    }
    await this.#collect();
  }

  async terminate(signal: AbortSignal): Promise<void> {
    await this.#host.ready();
    if (!(await this.#supervisor.isRunning())) return;
    await this.#supervisor.kill();
    await this.#supervisor.wait(signal);
    await this.#collect();
  }

  async remove(signal: AbortSignal): Promise<void> {
    await this.#host.ready();
    await this.terminate(signal);
    const plan = await this.#loadPlan();
    if (plan !== undefined) this.#host.ports.release(plan.ports);
    await this.#host.cgroups.remove(this.#task.id);
    await this.#supervisor.forget();
    await this.#collected;
    await this.#output.discard();
    await rm(this.#paths.runtime, { recursive: true, force: true });
    await rm(this.#paths.dir, { recursive: true, force: true });
    this.#plan = undefined;
    this.#complete = true;
    this.#log.notify();
  }

  async close(): Promise<void> {
    this.#supervisor.close();
  }

  async containerStatus(): Promise<ContainerStatus | undefined> {
    if (!(await this.#supervisor.isStarted())) return undefined;
    const exit = await this.#supervisor.exit();
    const pid = exit === undefined ? (this.#supervisor.mainPid ?? 0) : 0;
    const exitCode = exit?.kind === 'exited' ? exit.code : 0;
    return create(ContainerStatusSchema, { containerId: this.#task.id, pid, exitCode });
  }

  async portStatus(): Promise<PortStatus | undefined> {
    const ports = (await this.#loadPlan())?.ports ?? [];
    return ports.length === 0 ? undefined : create(PortStatusSchema, { ports: [...ports] });
  }

  async *logs(
    options: LogSubscriptionOptions,
    signal: AbortSignal,
  ): AsyncGenerator<ControllerLogMessage, void, undefined> {
    const selection = logSelection(options);
    await this.#host.ready();
    if ((await this.#supervisor.exit()) !== undefined) await this.#collect();
    else await this.#host.pump.drain(this.#output, false);
    using reading = new LinkedController(signal);
    const ended = this.#supervisor.wait(reading.signal).then(
      () => this.#collect(),
      () => undefined,
    );
    try {
      yield* readLog(this.#log, selection, () => this.#complete, this.#host.clock, signal);
    } finally {
      reading.abort(canceled('reading a log'));
      await ended;
    }
  }

  async #loadPlan(): Promise<TaskPlan | undefined> {
    this.#plan ??= await loadPlan(this.#paths);
    return this.#plan;
  }

  async #checkBeforeStart(): Promise<void> {
    const missing = containerSpec(this.#task).mounts.find(({ source }) => !existsSync(source));
    if (missing !== undefined) {
      throw new SwarmError(
        Code.INVALID_ARGUMENT,
        `invalid bind mount source, source path not found: ${missing.source}`,
      );
    }
    await this.#host.ports.check(this.#plan?.ports ?? []);
  }

  /** Probes until the process ends, is unhealthy (then it is stopped), or, with `once`, is healthy. */
  async #watchHealth(check: HealthCheck, once: boolean, signal: AbortSignal): Promise<Exit | 'healthy'> {
    const { clock } = this.#host;
    const plan = await this.#loadPlan();
    for (;;) {
      const sinceStartMs = clock.monotonicMs() - this.#startedAtMs;
      const exit = await this.#within(nextProbeInMs(this.#health, check, sinceStartMs), signal);
      if (exit !== undefined) return exit;
      const beganMs = clock.monotonicMs() - this.#startedAtMs;
      const success = await probe(this.#paths.probe, plan?.environment ?? {}, check.timeoutMs, clock, signal);
      const ended = await this.#supervisor.exit();
      if (ended !== undefined) return ended;
      this.#health = afterProbe(this.#health, check, success, beganMs);
      if (this.#health.status === 'unhealthy') {
        await this.shutdown(signal);
        return this.#supervisor.wait(signal);
      }
      if (once && this.#health.status === 'healthy') return 'healthy';
    }
  }

  #failure(exit: Exit): SwarmError {
    if (exit.kind === 'lost') {
      return new SwarmError(
        Code.UNKNOWN,
        'the process of the task is gone and left no exit code: it was killed together with its supervisor, or the machine was restarted',
      );
    }
    return this.#health.status === 'unhealthy' ? unhealthyExit(exit.code) : new ExitError(exit.code, '');
  }

  /** How the process ended; undefined when it does not within that time. */
  async #within(delayMs: number, signal: AbortSignal): Promise<Exit | undefined> {
    using both = new LinkedController(signal);
    const exit = this.#supervisor.wait(both.signal).catch(() => undefined);
    const delay = sleep(this.#host.clock, delayMs, both.signal).then(
      () => undefined,
      () => undefined,
    );
    const result = await Promise.race([exit, delay]);
    both.abort(canceled('a wait'));
    signal.throwIfAborted();
    return result;
  }

  /** Moves the last of the output into the log, after the end. */
  #collect(): Promise<void> {
    this.#collected ??= this.#host.pump.drain(this.#output, true).then(async () => {
      await this.#output.discard();
      this.#complete = true;
      this.#log.notify();
    });
    return this.#collected;
  }
}

function noProcess(taskId: string): SwarmError {
  return new SwarmError(Code.NOT_FOUND, `No such process: task ${taskId} was not started on this node`);
}
