import { readdir, rm } from 'node:fs/promises';

import type { Dependencies, Executor } from '../../agent/exec/index.js';
import type { NodeDescription, Task } from '../../api/index.js';
import { ProcessController } from './controller.js';
import { describeHost } from './host.js';
import type { ProcessExecutorDeps, ProcessExecutorOptions } from './options.js';
import { taskPaths } from './paths.js';
import { ProcessHost } from './process-host.js';
import { Supervisor } from './supervisor.js';

/**
 * Runs tasks as supervised processes of this machine, without a Docker Engine. Images are not pulled: a
 * task is its command and arguments. Processes outlive the agent; a later executor on the same state
 * directory finds them again.
 */
export class ProcessExecutor implements Executor {
  readonly #host: ProcessHost;
  readonly #options: ProcessExecutorOptions;

  constructor(options: ProcessExecutorOptions, deps: ProcessExecutorDeps) {
    this.#options = options;
    this.#host = new ProcessHost(options, deps);
  }

  async describe(): Promise<NodeDescription> {
    return describeHost(this.#options);
  }

  async configure(): Promise<void> {}

  controller(task: Task, dependencies: Dependencies): ProcessController {
    return new ProcessController(task, dependencies, this.#host);
  }

  /** There is no network of ours between processes. */
  async setNetworkBootstrapKeys(): Promise<void> {}

  /** Kills every task of this executor and removes its traces, also of those nobody knows any more. */
  async removeAll(signal: AbortSignal): Promise<void> {
    await this.#host.ready();
    for (const taskId of await readdir(this.#host.directories.tasks)) {
      const paths = taskPaths(this.#host.directories, taskId);
      const supervisor = new Supervisor(paths, this.#host.live, () => undefined);
      if (await supervisor.isRunning()) {
        await supervisor.kill();
        await supervisor.wait(signal);
      }
      await this.#host.cgroups.remove(taskId);
      await supervisor.forget();
      for (const path of [paths.stdout, paths.stderr]) await rm(path, { force: true });
      for (const path of [paths.runtime, paths.dir]) await rm(path, { recursive: true, force: true });
    }
  }

  async close(): Promise<void> {
    this.#host.live.close();
  }
}
