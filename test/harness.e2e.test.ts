import { existsSync } from 'node:fs';

import { expect, it } from 'vitest';

import { Lab } from './support/lab.js';
import { Program } from './support/program.js';
import { installedClis, missing, requires } from './support/requirements.js';
import { isClean, remainsOf } from './support/scratch.js';

requires({ root: true, dockerd: true, netns: true, cli: true })('the test harness', () => {
  const [cli] = installedClis();

  it('leaves nothing behind, however a test ends', async () => {
    const lab = new Lab();
    try {
      const network = await lab.network();
      const { name } = await network.namespace();
      const dockerd = await lab.dockerd('engine', { netns: name });
      const docker = lab.cli(cli?.path ?? '', dockerd);
      await docker.ok(['run', '--detach', '--network', 'none', 'busybox', 'sleep', '1000']);
      await lab.swarmd('daemon').start();
      const orphaned = new Program({
        name: 'orphan',
        command: 'sh',
        args: ['-c', `setsid sleep 1000 & : ${lab.directory}/`],
        cwd: lab.directory,
      });
      orphaned.start();
      await orphaned.end();
      // An engine that is killed leaves containers, shims, mounts and control groups.
      await dockerd.kill();
      const remains = remainsOf(lab.directory);
      expect(remains.processes.map(({ command }) => command.split(' ')[0])).toEqual(
        expect.arrayContaining(['sleep', expect.stringContaining('containerd-shim')]),
      );
      for (const list of [remains.namespaces, remains.links, remains.mounts, remains.cgroups]) {
        expect(list).not.toHaveLength(0);
      }
    } finally {
      await lab.dispose();
    }
    expect(isClean(remainsOf(lab.directory)), JSON.stringify(remainsOf(lab.directory))).toBe(true);
    expect(existsSync(lab.directory)).toBe(false);
  });

  it('says what a machine lacks', () => {
    expect(missing({ root: true, dockerd: true, netns: true, cli: true })).toEqual([]);
  });
});
