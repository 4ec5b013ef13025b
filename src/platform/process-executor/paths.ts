import { join } from 'node:path';

import { Code, SwarmError } from '../../base/index.js';

/** Where everything of one task lies. */
export interface TaskPaths {
  readonly taskId: string;
  /** What is known of it and its log; only the agent may look into it. */
  readonly dir: string;
  readonly plan: string;
  readonly script: string;
  readonly probe: string;
  /** The supervising shell, as JSON. */
  readonly supervisor: string;
  /** Exists once the task was killed. */
  readonly killed: string;
  readonly main: string;
  /** In the directory that all tasks share, watched for changes. */
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: string;
  /** Secrets and configs. */
  readonly runtime: string;
}

/** The directories of an executor. */
export interface Directories {
  readonly tasks: string;
  /** Output and exit codes of all tasks, side by side: one watch serves them all. */
  readonly live: string;
  readonly runtime: string;
}

/** The directories of an executor that keeps its state in `stateDir`. */
export function directoriesOf(stateDir: string, runtimeDir: string): Directories {
  return { tasks: join(stateDir, 'tasks'), live: join(stateDir, 'live'), runtime: runtimeDir };
}

/**
 * Where a task's files lie.
 * @throws SwarmError InvalidArgument for an id that is no file name.
 */
export function taskPaths(directories: Directories, taskId: string): TaskPaths {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(taskId)) {
    throw new SwarmError(Code.INVALID_ARGUMENT, `task id ${JSON.stringify(taskId)} cannot name a directory`);
  }
  const dir = join(directories.tasks, taskId);
  const live = join(directories.live, taskId);
  return {
    taskId,
    dir,
    plan: join(dir, 'plan.json'),
    script: join(dir, 'run'),
    probe: join(dir, 'probe'),
    supervisor: join(dir, 'supervisor.json'),
    killed: join(dir, 'killed'),
    main: join(dir, 'main'),
    stdout: `${live}.stdout`,
    stderr: `${live}.stderr`,
    exit: `${live}.exit`,
    runtime: join(directories.runtime, taskId),
  };
}
