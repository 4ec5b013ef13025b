import { describe, expect, it } from 'vitest';

import { SimDisk, type DiskOperation } from '../sim/index.js';
import { Code } from './code.js';
import { makeDurableDirectory } from './disk.js';
import { SwarmError } from './swarm-error.js';

const PATH = '/var/lib/swarm/raft';

describe('a durable directory', () => {
  it('is found after a crash, with all its parents', async () => {
    const disk = new SimDisk();
    await makeDurableDirectory(disk, PATH, 0o700);
    expect(await disk.crash({ kind: 'lost' }).exists(PATH)).toBe(true);
  });

  it('is found even when it was made earlier by someone who did not get so far', async () => {
    const disk = new SimDisk();
    await makeDurableDirectory(disk, '/var/lib/swarm', 0o700);
    await disk.makeDirectory(PATH, 0o700);
    await makeDurableDirectory(disk, PATH, 0o700);
    expect(await disk.crash({ kind: 'lost' }).exists(PATH)).toBe(true);
  });

  it('needs no right to read the parent where it exists already', async () => {
    const disk = new SimDisk();
    await makeDurableDirectory(disk, PATH, 0o700);
    disk.intercept = ({ kind }: DiskOperation) => {
      if (kind === 'syncDirectory') throw new SwarmError(Code.PERMISSION_DENIED, 'not yours');
    };
    await makeDurableDirectory(disk, PATH, 0o700);
    await expect(makeDurableDirectory(disk, `${PATH}/wal`, 0o700)).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
    });
  });
});
