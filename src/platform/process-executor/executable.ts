import { access, constants, stat } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';

import { Code, SwarmError } from '../../base/index.js';

/**
 * The absolute path of a program: looked for in `path` unless its name has a slash, which counts from `dir`.
 * @throws SwarmError NotFound, PermissionDenied.
 */
export async function findExecutable(program: string, path: string, dir: string): Promise<string> {
  if (program === '') throw new SwarmError(Code.INVALID_ARGUMENT, 'command: the name of the program is empty');
  if (program.includes('/')) return checked(program, isAbsolute(program) ? program : resolve(dir, program));
  for (const folder of path.split(':').filter((entry) => entry !== '')) {
    const candidate = resolve(dir, folder, program);
    if ((await kindOf(candidate)) === 'executable') return candidate;
  }
  throw new SwarmError(Code.NOT_FOUND, `executable ${JSON.stringify(program)} not found in PATH`);
}

async function checked(program: string, path: string): Promise<string> {
  switch (await kindOf(path)) {
    case 'executable':
      return path;
    case 'other':
      throw new SwarmError(Code.PERMISSION_DENIED, `${JSON.stringify(program)} is not executable`);
    case 'missing':
      throw new SwarmError(Code.NOT_FOUND, `executable ${JSON.stringify(program)} not found`);
  }
}

async function kindOf(path: string): Promise<'executable' | 'other' | 'missing'> {
  try {
    if (!(await stat(path)).isFile()) return 'other';
  } catch {
    return 'missing';
  }
  try {
    await access(path, constants.X_OK);
    return 'executable';
  } catch {
    return 'other';
  }
}
