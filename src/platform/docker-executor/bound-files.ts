import { existsSync } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { isAbsolute, join, posix } from 'node:path';

import type { Dependencies } from '../../agent/exec/index.js';
import { containerSpec } from '../../agent/exec/index.js';
import type { Task } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import { dependencyFiles, writeDependencyFiles } from '../dependency-files.js';
import type { BoundFile } from './container-config.js';
import type { Engine } from './engine.js';

/** Where secrets lie in a container unless their target is absolute. Source: engine-api E-412. */
const SECRETS_DIR = '/run/secrets';

/**
 * Writes the secrets and configs of a task to a directory of the host that is in memory, from where the
 * engine binds each of them into the container, as dockerd does with its own.
 * @throws SwarmError FailedPrecondition where the engine does not see the files of this machine.
 */
export async function writeBoundFiles(
  task: Task,
  dependencies: Dependencies,
  engine: Engine,
): Promise<readonly BoundFile[]> {
  const files = dependencyFiles(containerSpec(task), dependencies);
  if (files.length === 0) return [];
  if (!engine.sharedFiles) {
    throw new SwarmError(
      Code.FAILED_PRECONDITION,
      'secrets and configs need a Docker Engine on this machine, reached by a unix socket',
    );
  }
  await mkdir(engine.runtimeDir, { recursive: true, mode: 0o700 });
  const dir = join(engine.runtimeDir, task.id);
  await writeDependencyFiles(dir, files, undefined);
  await chmod(dir, 0o700);
  return files.map(({ kind, path, target }) => ({
    source: join(dir, kind, path),
    target: isAbsolute(target) ? target : posix.join(kind === 'secrets' ? SECRETS_DIR : '/', target),
  }));
}

/** Whether files of the task are there. */
export function hasBoundFiles(taskId: string, engine: Engine): boolean {
  return existsSync(join(engine.runtimeDir, taskId));
}

/** Removes what {@link writeBoundFiles} has written. */
export async function removeBoundFiles(taskId: string, engine: Engine): Promise<void> {
  await rm(join(engine.runtimeDir, taskId), { recursive: true, force: true });
}
