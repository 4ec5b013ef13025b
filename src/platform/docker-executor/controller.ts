import { existsSync } from 'node:fs';

import { ExitError, containerSpec, logSelection, unhealthyExit } from '../../agent/exec/index.js';
import type { Controller, ControllerLogMessage, Dependencies } from '../../agent/exec/index.js';
import { Mount_Type, SERVICE_DEFAULTS, msFromDuration, taskName } from '../../api/index.js';
import type { ContainerStatus, LogSubscriptionOptions, PortStatus, Task } from '../../api/index.js';
import { Code, SwarmError, WakeUp, canceled, errorText, isSwarmError, orAborted } from '../../base/index.js';
import type { ContainerInspect } from '../docker-client/index.js';
import { hasBoundFiles, removeBoundFiles, writeBoundFiles } from './bound-files.js';
import { createRequest, type BoundFile } from './container-config.js';
import { containerLogs } from './container-logs.js';
import { containerPath, type Engine } from './engine.js';
import { pullImage } from './image-puller.js';
import { checkMounts, volumeRequests } from './mounts.js';
import { isCopyOf, laterNetworks, networkUses, type NetworkUse } from './networks.js';
import { containerStatusOf, portStatusOf } from './status.js';

const TASK_ID_LABEL = 'com.docker.swarm.task.id';

type State = ContainerInspect['State']['Status'];

/** Drives one task as a container of a Docker Engine. The container is found again by its name. */
export class DockerController implements Controller {
  #task: Task;
  #pull: Promise<void> | undefined;
  /** Aborts the pull, which goes on while operations come and go. */
  readonly #life = new AbortController();
  readonly #name: string;
  readonly #dependencies: Dependencies;
  readonly #engine: Engine;

  constructor(task: Task, dependencies: Dependencies, engine: Engine) {
    const container = containerSpec(task);
    if (container.image === '') throw new SwarmError(Code.INVALID_ARGUMENT, 'dockerexec: image required');
    checkMounts(container.mounts);
    this.#task = task;
    this.#name = taskName(task);
    this.#dependencies = dependencies;
    this.#engine = engine;
  }

  /** A container cannot be changed: only what concerns its end (the grace period) takes effect. */
  async update(task: Task): Promise<void> {
    this.#task = task;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    if ((await this.#find(signal)) !== undefined) return;
    await this.#createNetworks(signal);
    for (const body of volumeRequests(containerSpec(this.#task).mounts)) {
      await this.#engine.call({ method: 'POST', path: '/volumes/create', body }, signal);
    }
    await this.#pullOnce(signal);
    await this.#create(signal);
    for (const { name, endpoint } of laterNetworks(this.#task)) {
      const body = { Container: this.#name, EndpointConfig: endpoint };
      await this.#engine.call({ method: 'POST', path: `/networks/${encodeURIComponent(name)}/connect`, body }, signal);
    }
  }

  async start(signal: AbortSignal): Promise<void> {
    const container = await this.#engine.inspect(this.#name, signal);
    if (container.State.Status === 'created') {
      this.#checkBindSources();
      // The files are in memory: the machine may have been started anew since the container was made.
      if (!hasBoundFiles(this.#task.id, this.#engine)) await this.#writeBoundFiles();
      await this.#start(signal);
    }
    const test = container.Config.Healthcheck?.Test ?? [];
    if (test.length === 0 || test[0] === 'NONE') return;
    await this.#watch((status) => status !== 'starting' && status !== 'none', signal);
  }

  async wait(signal: AbortSignal): Promise<void> {
    await this.#watch(() => false, signal);
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    this.#life.abort(canceled('the pull of an image'));
    const graceMs = msFromDuration(containerSpec(this.#task).stopGracePeriod) ?? SERVICE_DEFAULTS.stopGracePeriodMs;
    await this.#engine.callIfPresent(
      {
        method: 'POST',
        path: `${containerPath(this.#name)}/stop`,
        query: { t: Math.ceil(graceMs / 1000) },
        long: true,
      },
      signal,
    );
  }

  async terminate(signal: AbortSignal): Promise<void> {
    this.#life.abort(canceled('the pull of an image'));
    try {
      await this.#engine.callIfPresent({ method: 'POST', path: `${containerPath(this.#name)}/kill` }, signal);
    } catch (error) {
      // The engine refuses to kill what does not run.
      if (!isSwarmError(error, Code.ALREADY_EXISTS)) throw error;
    }
  }

  async remove(signal: AbortSignal): Promise<void> {
    try {
      await this.shutdown(signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#engine.log.debug({ 'task.id': this.#task.id, error: errorText(error) }, 'stopping before removal failed');
    }
    await this.#engine.callIfPresent(
      { method: 'DELETE', path: containerPath(this.#name), query: { v: true, force: true }, long: true },
      signal,
    );
    await removeBoundFiles(this.#task.id, this.#engine);
    await this.#removeNetworks(signal);
  }

  async close(): Promise<void> {
    this.#life.abort(canceled('the controller'));
  }

  async containerStatus(signal: AbortSignal): Promise<ContainerStatus | undefined> {
    const container = await this.#find(signal);
    return container === undefined ? undefined : containerStatusOf(container);
  }

  async portStatus(signal: AbortSignal): Promise<PortStatus | undefined> {
    const container = await this.#find(signal);
    return container === undefined ? undefined : portStatusOf(container);
  }

  async *logs(
    options: LogSubscriptionOptions,
    signal: AbortSignal,
  ): AsyncGenerator<ControllerLogMessage, void, undefined> {
    const selection = logSelection(options);
    const container = selection.follow ? await this.#whenStarted(signal) : await this.#find(signal);
    if (container === undefined) return;
    yield* containerLogs(this.#engine, this.#name, container.Config.Tty, selection, signal);
  }

  /** The task's container; undefined where there is none. Somebody else's of that name is refused. */
  async #find(signal: AbortSignal): Promise<ContainerInspect | undefined> {
    try {
      const container = await this.#engine.inspect(this.#name, signal);
      if (container.Config.Labels?.[TASK_ID_LABEL] === this.#task.id) return container;
      throw new SwarmError(Code.ALREADY_EXISTS, `a container named ${this.#name} exists that is not of this task`);
    } catch (error) {
      if (isSwarmError(error, Code.NOT_FOUND)) return undefined;
      throw error;
    }
  }

  /** A failed pull is only logged: the image may be there already, and where it is not, creating fails. */
  async #pullOnce(signal: AbortSignal): Promise<void> {
    const { client, log } = this.#engine;
    this.#pull ??= pullImage(client, containerSpec(this.#task), this.#life.signal).catch((error: unknown) => {
      log.warn({ 'task.id': this.#task.id, error: errorText(error) }, 'pulling an image failed');
    });
    await orAborted(this.#pull, signal);
  }

  #writeBoundFiles(): Promise<readonly BoundFile[]> {
    return writeBoundFiles(this.#task, this.#dependencies, this.#engine);
  }

  async #create(signal: AbortSignal): Promise<void> {
    const boundFiles = await this.#writeBoundFiles();
    const body = createRequest(this.#task, { sharedFiles: this.#engine.sharedFiles, boundFiles });
    try {
      await this.#engine.call(
        { method: 'POST', path: '/containers/create', query: { name: this.#name }, body },
        signal,
      );
    } catch (error) {
      if (!isSwarmError(error, Code.ALREADY_EXISTS) || (await this.#find(signal)) === undefined) throw error;
    }
  }

  async #start(signal: AbortSignal): Promise<void> {
    const request = { method: 'POST', path: `${containerPath(this.#name)}/start` } as const;
    try {
      try {
        await this.#engine.call(request, signal);
      } catch (error) {
        if (!isSwarmError(error, Code.NOT_FOUND) || networkUses(this.#task).length === 0) throw error;
        // Another task that ended meanwhile may have taken a network along.
        await this.#createNetworks(signal);
        await this.#engine.call(request, signal);
      }
    } catch (error) {
      if (!isSwarmError(error) || error.code === Code.UNAVAILABLE || signal.aborted) throw error;
      throw new SwarmError(error.code, `starting container failed: ${error.message}`, { cause: error });
    }
  }

  /**
   * Looks at the container whenever something happened to it, until it has ended or its health satisfies
   * `isEnough`. An unhealthy one is stopped and fails.
   */
  async #watch(isEnough: (health: string) => boolean, signal: AbortSignal): Promise<void> {
    const wakeUp = new WakeUp();
    using _ = this.#engine.events.listen(this.#name, wakeUp);
    let unhealthy = false;
    for (;;) {
      const { State: state } = await this.#engine.inspect(this.#name, signal);
      if (hasEnded(state.Status)) {
        if (unhealthy) throw unhealthyExit(state.ExitCode);
        if (state.ExitCode !== 0) throw new ExitError(state.ExitCode, state.Error ?? '');
        return;
      }
      const health = state.Health?.Status ?? 'none';
      if (health === 'unhealthy') {
        unhealthy = true;
        await this.shutdown(signal);
        continue;
      }
      if (isEnough(health)) return;
      await wakeUp.wait(signal);
    }
  }

  async #whenStarted(signal: AbortSignal): Promise<ContainerInspect> {
    const wakeUp = new WakeUp();
    using _ = this.#engine.events.listen(this.#name, wakeUp);
    for (;;) {
      const container = await this.#find(signal);
      if (container !== undefined && container.State.Status !== 'created') return container;
      await wakeUp.wait(signal);
    }
  }

  #checkBindSources(): void {
    if (!this.#engine.sharedFiles) return;
    const missing = containerSpec(this.#task).mounts.find(
      ({ type, source }) => type === Mount_Type.BIND && !existsSync(source),
    );
    if (missing === undefined) return;
    throw new SwarmError(Code.INVALID_ARGUMENT, `invalid bind mount source, source path not found: ${missing.source}`);
  }

  async #createNetworks(signal: AbortSignal): Promise<void> {
    for (const { create: body } of networkUses(this.#task)) {
      try {
        await this.#engine.call({ method: 'POST', path: '/networks/create', body }, signal);
      } catch (error) {
        if (!isSwarmError(error, Code.ALREADY_EXISTS)) throw error;
      }
    }
  }

  /** Takes away copies of swarm networks that nobody uses any more. */
  async #removeNetworks(signal: AbortSignal): Promise<void> {
    for (const use of networkUses(this.#task)) {
      try {
        await this.#removeNetwork(use, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#engine.log.debug({ network: use.name, error: errorText(error) }, 'a network stays on the engine');
      }
    }
  }

  async #removeNetwork({ name, networkId }: NetworkUse, signal: AbortSignal): Promise<void> {
    const path = `/networks/${encodeURIComponent(name)}`;
    const network = await this.#engine.call<{ readonly Labels?: Record<string, string>; readonly Containers?: object }>(
      { method: 'GET', path },
      signal,
    );
    if (!isCopyOf(network.Labels, networkId) || Object.keys(network.Containers ?? {}).length > 0) return;
    await this.#engine.callIfPresent({ method: 'DELETE', path }, signal);
  }
}

function hasEnded(status: State): boolean {
  return status === 'exited' || status === 'dead' || status === 'removing';
}
