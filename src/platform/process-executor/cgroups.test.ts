import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { SILENT_LOGGER } from '../../base/index.js';
import { Cgroups } from './cgroups.js';
import { NEVER, World, linesOf, shell } from './process.test-helper.js';

const LIMITS = { memoryBytes: 1_048_576n, nanoCpus: 1_500_000_000n, pids: 9n };
const NONE = { memoryBytes: 0n, nanoCpus: 0n, pids: 0n };
const LIVE = '/sys/fs/cgroup';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'swarmkit-cgroup-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function content(...path: readonly string[]): string {
  return readFileSync(join(root, ...path), 'utf8');
}

describe('control groups', () => {
  it('of version 2 hold all limits in one group', async () => {
    writeFileSync(join(root, 'cgroup.controllers'), 'memory cpu pids');
    const files = await new Cgroups(root, SILENT_LOGGER).create('t1', LIMITS);
    expect(files).toEqual([join(root, 'swarmkit-ts', 't1', 'cgroup.procs')]);
    expect(content('swarmkit-ts', 't1', 'memory.max')).toBe('1048576');
    expect(content('swarmkit-ts', 't1', 'cpu.max')).toBe('150000 100000');
    expect(content('swarmkit-ts', 't1', 'pids.max')).toBe('9');
    expect(content('cgroup.subtree_control')).toBe('+memory +cpu +pids');
    expect(content('swarmkit-ts', 'cgroup.subtree_control')).toBe('+memory +cpu +pids');
  });

  it('of version 1 hold each limit in a group of its controller', async () => {
    for (const controller of ['memory', 'cpu', 'pids']) mkdirSync(join(root, controller));
    const files = await new Cgroups(root, SILENT_LOGGER).create('t1', LIMITS);
    expect(files).toHaveLength(3);
    expect(content('memory', 'swarmkit-ts', 't1', 'memory.limit_in_bytes')).toBe('1048576');
    expect(content('cpu', 'swarmkit-ts', 't1', 'cpu.cfs_quota_us')).toBe('150000');
    expect(content('pids', 'swarmkit-ts', 't1', 'pids.max')).toBe('9');
  });

  it('are not made for a task without limits', async () => {
    expect(await new Cgroups(root, SILENT_LOGGER).create('t1', NONE)).toEqual([]);
    expect(existsSync(join(root, 'swarmkit-ts'))).toBe(false);
  });

  it('that cannot be made are spoken of once, and the task runs without', async () => {
    writeFileSync(join(root, 'cgroup.controllers'), '');
    writeFileSync(join(root, 'swarmkit-ts'), 'in the way');
    const warn = vi.fn();
    const cgroups = new Cgroups(root, { ...SILENT_LOGGER, warn });
    expect(await cgroups.create('t1', LIMITS)).toEqual([]);
    expect(await cgroups.create('t2', LIMITS)).toEqual([]);
    expect(warn).toHaveBeenCalledTimes(1);
  });
});

describe('limits of a task', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.dispose());

  it.skipIf(!canLimit())('count, and their groups go with it', async () => {
    const task = shell('for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; echo reached', { pidsLimit: 4n });
    const controller = await world.run(task);
    await expect(controller.wait(NEVER)).rejects.toThrow('non-zero exit');
    const lines = await linesOf(controller);
    expect(lines.join('')).toMatch(/fork/i);
    expect(lines).not.toContain('reached\n');
    await controller.remove(NEVER);
  });
});

/** Whether groups that limit the number of processes can be made here. */
function canLimit(): boolean {
  const folder = [join(LIVE, 'pids'), LIVE].find((path) => existsSync(join(path, 'cgroup.procs')));
  if (process.getuid?.() !== 0 || folder === undefined) return false;
  const probe = join(folder, `swarmkit-ts-probe-${process.pid}`);
  try {
    mkdirSync(probe);
    const possible = existsSync(join(probe, 'pids.max'));
    rmdirSync(probe);
    return possible;
  } catch {
    return false;
  }
}
