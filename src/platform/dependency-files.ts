import { chmod, chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';

import type { Dependencies } from '../agent/exec/index.js';
import type { ContainerSpec, FileTarget } from '../api/index.js';
import { Code, SwarmError } from '../base/index.js';

/** Mode of a secret or config whose target gives none. Source: the docker CLI. */
const DEFAULT_MODE = 0o444;

/** A secret or config as a file, its path below the directory of its kind. */
export interface DependencyFile {
  readonly kind: 'secrets' | 'configs';
  readonly path: string;
  /** As the task asks for it; relative or absolute. */
  readonly target: string;
  readonly data: Uint8Array;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/**
 * The files that a task's secrets and configs become. Absolute targets are placed below the directory.
 * @throws SwarmError NotFound for what was not assigned, InvalidArgument for a target outside.
 */
export function dependencyFiles(container: ContainerSpec, dependencies: Dependencies): readonly DependencyFile[] {
  const secrets = container.secrets.flatMap(({ secretId, secretName, target }) => {
    const data = dependencies.secret(secretId)?.spec?.data;
    if (data === undefined) throw missing('secret', secretName || secretId);
    return target.case === 'file' ? [fileOf('secrets', target.value, secretName, data)] : [];
  });
  const configs = container.configs.flatMap(({ configId, configName, target }) => {
    const data = dependencies.config(configId)?.spec?.data;
    if (data === undefined) throw missing('config', configName || configId);
    return target.case === 'file' ? [fileOf('configs', target.value, configName, data)] : [];
  });
  return [...secrets, ...configs];
}

function fileOf(kind: DependencyFile['kind'], target: FileTarget, name: string, data: Uint8Array): DependencyFile {
  const path = normalize(`/${target.name || name}`).slice(1);
  if (path === '' || (target.name || name).split('/').includes('..')) {
    throw new SwarmError(
      Code.INVALID_ARGUMENT,
      `${kind}: invalid target ${JSON.stringify(target.name)} of ${JSON.stringify(name)}`,
    );
  }
  const [uid, gid] = [target.uid, target.gid].map((text) => (text === '' ? 0 : Number(text)));
  if (!Number.isInteger(uid) || !Number.isInteger(gid)) {
    throw new SwarmError(Code.INVALID_ARGUMENT, `${kind}: uid and gid of ${JSON.stringify(name)} have to be numbers`);
  }
  return {
    kind,
    path,
    target: target.name || name,
    data,
    uid: uid as number,
    gid: gid as number,
    mode: target.mode & 0o7777 || DEFAULT_MODE,
  };
}

/**
 * Writes the files below `dir`, which only the task's user may enter. Owners are set by root only;
 * others write files as themselves.
 */
export async function writeDependencyFiles(
  dir: string,
  files: readonly DependencyFile[],
  owner: { readonly uid: number; readonly gid: number } | undefined,
): Promise<void> {
  const asRoot = process.getuid?.() === 0;
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const made = new Set<string>([dir]);
  for (const { kind, path, data, uid, gid, mode } of files) {
    const target = join(dir, kind, path);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    for (let folder = dirname(target); folder.startsWith(`${dir}/`); folder = dirname(folder)) made.add(folder);
    await writeFile(target, data, { mode: 0o600, flag: 'wx' });
    if (asRoot) await chown(target, uid, gid);
    await chmod(target, mode);
  }
  if (asRoot && owner !== undefined) for (const folder of made) await chown(folder, owner.uid, owner.gid);
}

function missing(kind: string, name: string): SwarmError {
  return new SwarmError(Code.NOT_FOUND, `${kind} ${JSON.stringify(name)} was not assigned to this task`);
}
