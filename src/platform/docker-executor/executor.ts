import type { Dependencies, Executor } from '../../agent/exec/index.js';
import type { NodeDescription, Task } from '../../api/index.js';
import { DockerClient, type EngineInfo, type EnginePlugin } from '../docker-client/index.js';
import { DockerController } from './controller.js';
import { describeEngine } from './describe.js';
import { Engine, containerPath } from './engine.js';
import type { DockerExecutorDeps, DockerExecutorOptions } from './options.js';
import { removeBoundFiles } from './bound-files.js';

/** Where secrets of containers lie by default: in memory on every common system. */
const RUNTIME_DIR = '/run/swarmkit-ts/docker';

/** Runs tasks as containers of a Docker Engine that is in no swarm itself. */
export class DockerExecutor implements Executor {
  readonly #engine: Engine;
  readonly #options: DockerExecutorOptions;

  constructor(options: DockerExecutorOptions, deps: DockerExecutorDeps) {
    this.#options = options;
    const client = new DockerClient(options.engineAddr);
    this.#engine = new Engine(client, options.runtimeDir ?? RUNTIME_DIR, deps.clock, deps.log);
  }

  async describe(signal: AbortSignal): Promise<NodeDescription> {
    const info = await this.#engine.call<EngineInfo>({ method: 'GET', path: '/info' }, signal);
    return describeEngine(info, await this.#plugins(signal), this.#options);
  }

  async configure(): Promise<void> {}

  controller(task: Task, dependencies: Dependencies): DockerController {
    return new DockerController(task, dependencies, this.#engine);
  }

  /** The engine's overlay networks need an engine in the swarm; there is nothing to give the keys to. */
  async setNetworkBootstrapKeys(): Promise<void> {}

  /** Removes every container that is a task of this node, with its secrets. */
  async removeAll(nodeId: string, signal: AbortSignal): Promise<void> {
    const filters = JSON.stringify({ label: [`com.docker.swarm.node.id=${nodeId}`] });
    const containers = await this.#engine.call<
      readonly { readonly Id: string; readonly Labels: Record<string, string> }[]
    >({ method: 'GET', path: '/containers/json', query: { all: true, filters } }, signal);
    for (const { Id, Labels } of containers) {
      const query = { v: true, force: true };
      await this.#engine.callIfPresent({ method: 'DELETE', path: containerPath(Id), query, long: true }, signal);
      const taskId = Labels['com.docker.swarm.task.id'] ?? '';
      if (/^\w+$/.test(taskId)) await removeBoundFiles(taskId, this.#engine);
    }
  }

  async close(): Promise<void> {
    this.#engine.close();
  }

  /** Managed plugins; an engine that cannot list them has none. */
  async #plugins(signal: AbortSignal): Promise<readonly EnginePlugin[]> {
    try {
      return (
        (await this.#engine.call<readonly EnginePlugin[] | null>({ method: 'GET', path: '/plugins' }, signal)) ?? []
      );
    } catch {
      signal.throwIfAborted();
      return [];
    }
  }
}
