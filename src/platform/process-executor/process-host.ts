import { accessSync, constants } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Clock, Logger } from '../../base/index.js';
import { Cgroups } from './cgroups.js';
import { HostPorts } from './host-ports.js';
import { LiveDirectory } from './live-directory.js';
import type { ProcessExecutorDeps, ProcessExecutorOptions } from './options.js';
import { OutputPump } from './output-pump.js';
import { directoriesOf, type Directories } from './paths.js';

/** Where root keeps what must not reach a disk. */
const RUN_DIR = '/run';
const CGROUP_ROOT = '/sys/fs/cgroup';

/** What the controllers of one executor share. */
export class ProcessHost {
  readonly directories: Directories;
  readonly live: LiveDirectory;
  readonly pump: OutputPump;
  readonly ports = new HostPorts();
  readonly cgroups: Cgroups;
  readonly clock: Clock;
  readonly log: Logger;
  readonly options: ProcessExecutorOptions;
  #ready: Promise<void> | undefined;

  constructor(options: ProcessExecutorOptions, { clock, log }: ProcessExecutorDeps) {
    this.options = options;
    this.clock = clock;
    this.log = log;
    this.directories = directoriesOf(options.stateDir, options.runtimeDir ?? defaultRuntimeDir(options.stateDir));
    this.live = new LiveDirectory(this.directories.live, clock, log);
    this.pump = new OutputPump(clock, log);
    this.cgroups = new Cgroups(options.cgroupRoot ?? CGROUP_ROOT, log);
  }

  /** Resolves once the directories are there. */
  ready(): Promise<void> {
    this.#ready ??= this.#makeDirectories().catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #makeDirectories(): Promise<void> {
    const { tasks, live, runtime } = this.directories;
    for (const dir of [tasks, live]) await mkdir(dir, { recursive: true, mode: 0o700 });
    await mkdir(runtime, { recursive: true, mode: 0o711 });
    // Tasks of other users pass through it to their own files; they cannot list it.
    await chmod(runtime, 0o711);
  }
}

function defaultRuntimeDir(stateDir: string): string {
  try {
    if (process.getuid?.() === 0) {
      accessSync(RUN_DIR, constants.W_OK);
      return join(RUN_DIR, 'swarmkit-ts');
    }
  } catch {
    // Falls through: a machine without a writable /run.
  }
  return join(stateDir, 'run');
}
