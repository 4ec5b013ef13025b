import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { errorText } from '../../base/index.js';
import type { Logger } from '../../base/index.js';
import { errorCode, isMissing } from './files.js';

/** The group that holds one group for each task with limits. */
const PARENT = 'swarmkit-ts';
/** Length of a CPU accounting period in microseconds. Source: the kernel's default. */
const CPU_PERIOD_US = 100_000;
/** The kernel refuses a CPU quota below this, in microseconds. */
const CPU_QUOTA_US_MIN = 1_000;

/** What a task may use at most; 0 is no limit. */
export interface Limits {
  readonly memoryBytes: bigint;
  readonly nanoCpus: bigint;
  readonly pids: bigint;
}

interface Setting {
  readonly controller: 'memory' | 'cpu' | 'pids';
  /** File and content for one hierarchy (version 2) and for one hierarchy each (version 1). */
  readonly unified: readonly [string, string];
  readonly legacy: readonly [string, string];
}

/** Control groups of tasks, in whichever of the kernel's two versions the machine has mounted. */
export class Cgroups {
  #warned = false;

  constructor(
    readonly root: string,
    readonly log: Logger,
  ) {}

  /**
   * Makes the groups of a task and returns the files by which a process enters them; none where it has no
   * limits, or where the machine does not let us (said once in the log).
   */
  async create(taskId: string, limits: Limits): Promise<readonly string[]> {
    const settings = settingsOf(limits);
    if (settings.length === 0) return [];
    try {
      return this.#unified() ? await this.#createUnified(taskId, settings) : await this.#createLegacy(taskId, settings);
    } catch (error) {
      await this.remove(taskId);
      if (!this.#warned) {
        this.log.warn({ error: errorText(error) }, 'limits of tasks are not enforced: no control groups can be made');
      }
      this.#warned = true;
      return [];
    }
  }

  /** Kills what is left in a task's groups, also what has left its session, and removes them. */
  async remove(taskId: string): Promise<void> {
    for (const group of this.#groupsOf(taskId)) {
      for (const pid of await members(group)) kill(pid);
      try {
        await rmdir(group);
      } catch (error) {
        // Those just killed may not be gone yet: what stays is an empty group, taken away at the next try.
        if (!isMissing(error) && errorCode(error) !== 'EBUSY') throw error;
      }
    }
  }

  #unified(): boolean {
    return existsSync(join(this.root, 'cgroup.controllers'));
  }

  async #createUnified(taskId: string, settings: readonly Setting[]): Promise<readonly string[]> {
    const parent = join(this.root, PARENT);
    const group = join(parent, taskId);
    await mkdir(parent, { recursive: true });
    const controllers = settings.map(({ controller }) => `+${controller}`).join(' ');
    for (const folder of [this.root, parent]) await writeFile(join(folder, 'cgroup.subtree_control'), controllers);
    await mkdir(group, { recursive: true });
    for (const {
      unified: [file, value],
    } of settings)
      await writeFile(join(group, file), value);
    return [join(group, 'cgroup.procs')];
  }

  async #createLegacy(taskId: string, settings: readonly Setting[]): Promise<readonly string[]> {
    const files: string[] = [];
    for (const {
      controller,
      legacy: [file, value],
    } of settings) {
      const group = join(this.#legacyParent(controller), taskId);
      await mkdir(group, { recursive: true });
      await writeFile(join(group, file), value);
      files.push(join(group, 'cgroup.procs'));
    }
    return files;
  }

  #groupsOf(taskId: string): readonly string[] {
    const parents = this.#unified()
      ? [join(this.root, PARENT)]
      : (['memory', 'cpu', 'pids'] as const).map((controller) => this.#legacyParent(controller));
    return parents.map((parent) => join(parent, taskId)).filter((group) => existsSync(group));
  }

  /** Below the agent's own group where that can be seen, so that its limits count for tasks too. */
  #legacyParent(controller: string): string {
    const line = readFileSync('/proc/self/cgroup', 'latin1')
      .split('\n')
      .map((text) => text.split(':'))
      .find(([, names]) => names?.split(',').includes(controller));
    const own = join(this.root, controller, line?.[2] ?? '/');
    return join(existsSync(own) ? own : join(this.root, controller), PARENT);
  }
}

function settingsOf({ memoryBytes, nanoCpus, pids }: Limits): readonly Setting[] {
  const settings: Setting[] = [];
  if (memoryBytes > 0n) {
    const value = String(memoryBytes);
    settings.push({ controller: 'memory', unified: ['memory.max', value], legacy: ['memory.limit_in_bytes', value] });
  }
  if (nanoCpus > 0n) {
    const quota = Math.max(CPU_QUOTA_US_MIN, Math.round((Number(nanoCpus) / 1e9) * CPU_PERIOD_US));
    settings.push({
      controller: 'cpu',
      unified: ['cpu.max', `${quota} ${CPU_PERIOD_US}`],
      legacy: ['cpu.cfs_quota_us', String(quota)],
    });
  }
  if (pids > 0n) {
    const value = String(pids);
    settings.push({ controller: 'pids', unified: ['pids.max', value], legacy: ['pids.max', value] });
  }
  return settings;
}

async function members(group: string): Promise<readonly number[]> {
  try {
    const text = await readFile(join(group, 'cgroup.procs'), 'latin1');
    return text
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 0);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
