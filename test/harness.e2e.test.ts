import { existsSync } from 'node:fs';

import { expect, it } from 'vitest';

import { freePort } from './support/free-port.js';
import { Lab } from './support/lab.js';
import { Program } from './support/program.js';
import { installedClis, missing, requires } from './support/requirements.js';
import { isClean, remainsOf } from './support/scratch.js';
import { waitFor } from './support/wait.js';

/** Starts a daemon with one task, a process of this machine, and kills the daemon: the task goes on. */
async function runTaskOfKilledDaemon(lab: Lab): Promise<void> {
  const daemon = lab.swarmd('daemon');
  await daemon.start();
  const addr = `127.0.0.1:${await freePort()}`;
  await daemon.engine.json('POST', '/swarm/init', { body: { ListenAddr: addr, AdvertiseAddr: addr, Spec: {} } });
  const body = { TaskTemplate: { ContainerSpec: { Image: 'none', Command: ['sleep', '1234'] } } };
  await daemon.engine.json('POST', '/services/create', { body });
  await waitFor('the task to run', async () => {
    const [task] = await daemon.engine.json<readonly { Status: { State: string } }[]>('GET', '/tasks');
    return task?.Status.State === 'running';
  });
  await daemon.kill();
}

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
      await runTaskOfKilledDaemon(lab);
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
      const programs = (): readonly string[] =>
        remainsOf(lab.directory).processes.map(({ command }) => command.split(' ', 2).join(' '));
      await waitFor('what is left to be found', () => {
        expect(programs()).toEqual(
          expect.arrayContaining(['sleep 1000', '/usr/bin/sleep 1234', expect.stringContaining('containerd-shim')]),
        );
        return true;
      });
      const remains = remainsOf(lab.directory);
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
