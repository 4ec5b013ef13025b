import { create } from '@bufbuild/protobuf';

import { Mount_TmpfsOptionsSchema, Mount_Type, MountSchema, type Mount } from '../../../api/index.js';
import { badValue } from '../usage-error.js';
import { parseSize } from './amounts.js';

/** A directory of the node: `source:target`. */
export function parseBind(flag: string, text: string): Mount {
  return pathPair(flag, text, Mount_Type.BIND, '/srv/data:/data');
}

/** A named pipe of a Windows node: `source:target`. */
export function parseNamedPipe(flag: string, text: string): Mount {
  return pathPair(flag, text, Mount_Type.NPIPE, '\\\\.\\pipe\\docker:\\\\.\\pipe\\docker');
}

/** An anonymous volume at a path. */
export function parseVolume(flag: string, text: string): Mount {
  if (text === '' || text.includes(':')) throw badValue(flag, text, 'write the path in the container, such as /data');
  return create(MountSchema, { type: Mount_Type.VOLUME, target: text });
}

/** Memory as a file system: `path[:size=…,mode=…,ro|rw,exec|noexec]`. */
export function parseTmpfs(flag: string, text: string): Mount {
  const [target = '', optionText, ...more] = text.split(':');
  if (!target.startsWith('/') || more.length > 0) {
    throw badValue(flag, text, 'write path[:options] with an absolute path, such as /run:size=64m,mode=755');
  }
  if (optionText === undefined) return create(MountSchema, { type: Mount_Type.TMPFS, target });
  let readonly = false;
  let sizeBytes = 0n;
  let mode = 0;
  let options = '';
  for (const option of optionText.split(',')) {
    if (option === 'ro' || option === 'rw') readonly = option === 'ro';
    else if (option === 'exec' || option === 'noexec') options = option;
    else if (option.startsWith('size=')) sizeBytes = parseSize(`${flag} size`, option.slice('size='.length));
    else if (/^mode=[0-7]{1,5}$/.test(option)) mode = Number.parseInt(option.slice('mode='.length), 8);
    else throw badValue(flag, text, 'options are size=<bytes>, mode=<octal>, ro, rw, exec and noexec');
  }
  return create(MountSchema, {
    type: Mount_Type.TMPFS,
    target,
    readonly,
    tmpfsOptions: create(Mount_TmpfsOptionsSchema, { sizeBytes, mode, options }),
  });
}

/** The mounts with the new ones: one at the same path takes the place of the present one. */
export function withMounts(present: readonly Mount[], added: readonly Mount[]): Mount[] {
  const targets = new Set(added.map(({ target }) => target));
  return [...present.filter(({ target }) => !targets.has(target)), ...added];
}

function pathPair(flag: string, text: string, type: Mount_Type, example: string): Mount {
  const at = text.indexOf(':');
  const source = text.slice(0, Math.max(at, 0));
  const target = text.slice(at + 1);
  if (source === '' || target === '') throw badValue(flag, text, `write source:target, such as ${example}`);
  return create(MountSchema, { type, source, target });
}
