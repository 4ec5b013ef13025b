import { beforeAll, describe, expect, it } from 'vitest';

import { words, type DockerCli } from './support/docker-cli.js';
import { useLab } from './support/lab.js';
import type { Program } from './support/program.js';
import { installedClis, requires, type InstalledCli } from './support/requirements.js';
import { BRISK, converged, nodes, tasksOf } from './support/swarm.js';
import type { Swarmd } from './support/swarmd.js';
import { waitFor } from './support/wait.js';

const ID = /^[0-9a-z]{25}$/;
const IMAGE = ['busybox', 'sleep', '1000'];

requires({ cli: true })('the stock docker CLI', () => {
  describe.each(installedClis())('$version', (cli) => flows(cli));
});

function flows(cli: InstalledCli): void {
  const lab = useLab();
  let manager: Swarmd;
  let docker: DockerCli;
  let events: Program;
  let initFlags: readonly string[];

  beforeAll(async () => {
    manager = lab.swarmd('manager');
    await manager.start();
    docker = lab.cli(cli.path, manager);
    initFlags = await lab.initFlags();
    events = lab.keep(docker.background('events', ['events', '--filter', 'scope=swarm', '--format', '{{json .}}']));
  });

  const serviceLine = async (name: string): Promise<string> =>
    docker.ok([
      'service',
      'ls',
      '--filter',
      `name=${name}`,
      '--format',
      '{{.Name}} {{.Mode}} {{.Replicas}} {{.Image}}',
    ]);
  const field = (name: string, template: string): Promise<string> =>
    docker.ok(['service', 'inspect', '--format', template, name]);

  it('finds an engine that is in no swarm yet', async () => {
    expect(await docker.ok(['info', '--format', '{{.Swarm.LocalNodeState}}'])).toBe('inactive');
    expect(await docker.ok(['version', '--format', '{{.Server.Os}}'])).toBe('linux');
    expect(await docker.refused(['service', 'ls'])).toBe(
      'Error response from daemon: This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    );
    expect(await docker.refused(['swarm', 'leave'])).toBe(
      'Error response from daemon: This node is not part of a swarm',
    );
  });

  it('initialises a swarm and prints how to join it', async () => {
    const text = await docker.ok(['swarm', 'init', ...initFlags]);
    expect(text).toMatch(/^Swarm initialized: current node \([0-9a-z]{25}\) is now a manager\./);
    const line = `docker swarm join --token SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25} ${initFlags.at(-1)}`;
    expect(text).toMatch(new RegExp(`\n    ${line}\n`));
    expect(await docker.refused(['swarm', 'init', ...initFlags])).toBe(
      'Error response from daemon: This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
    );
    events.start();
    const info = await docker.json<Record<string, unknown>>(['info', '--format', '{{json .Swarm}}']);
    expect(info).toMatchObject({ LocalNodeState: 'active', ControlAvailable: true, Nodes: 1, Managers: 1, Error: '' });
  });

  it('lists, inspects and updates its node', async () => {
    expect(await nodes(docker)).toEqual([
      expect.objectContaining({
        ID: expect.stringMatching(ID),
        Hostname: 'manager',
        Status: 'Ready',
        Availability: 'Active',
        ManagerStatus: 'Leader',
      }),
    ]);
    await docker.ok(['node', 'update', '--label-add', 'disk=ssd', '--label-add', 'zone=a', 'manager']);
    await docker.ok(['node', 'update', '--label-rm', 'zone', '--availability', 'pause', 'manager']);
    expect(await docker.json(['node', 'inspect', '--format', '{{json .Spec}}', 'self'])).toEqual({
      Labels: { disk: 'ssd' },
      Role: 'manager',
      Availability: 'pause',
    });
    expect(await docker.ok(['node', 'inspect', '--pretty', 'self'])).toMatch(/Leader:\s+Yes/);
    await docker.ok(['node', 'update', '--availability', 'active', 'manager']);
    expect(await docker.refused(['node', 'demote', 'manager'])).toContain(
      'attempting to demote the last manager of the swarm',
    );
  });

  it('shows how a service of five replicas converges', async () => {
    const { code, stdout, stderr } = await docker.run([
      'service',
      'create',
      '--name',
      'web',
      '--replicas',
      '5',
      ...IMAGE,
    ]);
    expect({ code, stderr: stderr.split('\n')[0] }).toEqual({
      code: 0,
      stderr: 'image busybox:latest could not be accessed on a registry to record',
    });
    const lines = stdout.trim().split('\n');
    expect(lines[0]).toMatch(ID);
    expect(lines).toContain('overall progress: 5 out of 5 tasks');
    expect(lines.at(-1)).toMatch(/^verify: Service ([0-9a-z]{25} )?converged$/);
    expect(await serviceLine('web')).toBe('web replicated 5/5 busybox:latest');
    const tasks = await tasksOf(docker, 'web');
    expect(tasks.map((task) => task.Name).sort()).toEqual(['web.1', 'web.2', 'web.3', 'web.4', 'web.5']);
    expect(new Set(tasks.map((task) => task.Node))).toEqual(new Set(['manager']));
    expect(await docker.ok(['service', 'inspect', '--pretty', 'web'])).toMatch(/Replicas:\s+5/);
    expect(await docker.lines(['node', 'ps', '--format', '{{.Name}}', 'self'])).toHaveLength(5);
  });

  it('scales', async () => {
    const text = await docker.ok(['service', 'scale', 'web=2']);
    expect(text).toMatch(/^web scaled to 2\n/);
    expect(text).toMatch(/verify: Service .*converged$/);
    await converged(docker, 'web', 2);
    expect(await serviceLine('web')).toBe('web replicated 2/2 busybox:latest');
  });

  it('updates image, arguments and environment, and rolls back', async () => {
    const text = await docker.ok([
      ...words('service update --update-monitor 200ms --update-delay 100ms --update-parallelism 1'),
      ...words('--image busybox:1 --env-add COLOR=blue --stop-grace-period 1s --args'),
      'sleep 2000',
      'web',
    ]);
    expect(text).toMatch(/^web\n/);
    expect(text).toMatch(/verify: Service .*converged$/);
    const tasks = await converged(docker, 'web', 2);
    expect(tasks.map((task) => task.Image)).toEqual(['busybox:1', 'busybox:1']);
    expect(await field('web', '{{.UpdateStatus.State}}')).toBe('completed');
    expect(
      await field('web', '{{json .Spec.TaskTemplate.ContainerSpec.Args}} {{.Spec.TaskTemplate.ContainerSpec.Env}}'),
    ).toBe('["sleep","2000"] [COLOR=blue]');
    const back = await docker.ok(['service', 'rollback', 'web']);
    expect(back).toContain('rollback: manually requested rollback');
    expect(back).toMatch(/(verify: Service .*converged|service rolled back: rollback completed)$/);
    expect(await field('web', '{{json .Spec.TaskTemplate.ContainerSpec.Args}}')).toBe('["sleep","1000"]');
    expect((await converged(docker, 'web', 2)).map((task) => task.Image)).toEqual(['busybox:latest', 'busybox:latest']);
    await docker.ok(['service', 'update', '--force', '--detach', 'web']);
    await waitFor('both tasks to be replaced', async () => (await tasksOf(docker, 'web')).length >= 8);
    await converged(docker, 'web', 2);
  });

  it('prints the logs of a service', async () => {
    const script = 'echo hello; echo oops >&2; exec sleep 1000';
    await docker.ok(['service', 'create', '--detach', '--name', 'talker', ...BRISK, 'busybox', 'sh', '-c', script]);
    await converged(docker, 'talker', 1);
    await waitFor('both lines', async () => {
      const { stdout, stderr } = await docker.run(['service', 'logs', 'talker']);
      expect(stdout).toMatch(/^talker\.1\.[0-9a-z]{12}@manager +\| hello\n$/);
      expect(stderr).toMatch(/^talker\.1\.[0-9a-z]{12}@manager +\| oops\n$/);
      return true;
    });
    const { stdout } = await docker.run(['service', 'logs', '--raw', '--timestamps', 'talker']);
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z hello\n$/);
    const follower = lab.keep(docker.background('follower', ['service', 'logs', '--follow', '--raw', 'talker']));
    follower.start();
    await follower.waitForOutput(/hello/);
    expect(await docker.ok(['service', 'rm', 'talker'])).toBe('talker');
    // As with stock, who follows waits for further tasks.
    expect(follower.isRunning).toBe(true);
    await follower.stop('SIGKILL');
  });

  it('runs a global service', async () => {
    const text = await docker.ok([...words('service create --name everywhere --mode global'), ...BRISK, ...IMAGE]);
    expect(text).toMatch(/overall progress: 1 out of 1 tasks/);
    expect(await serviceLine('everywhere')).toBe('everywhere global 1/1 busybox:latest');
    expect(await docker.refused(['service', 'scale', 'everywhere=2'])).toContain(
      'scale can only be used with replicated',
    );
    await docker.ok(['service', 'rm', 'everywhere']);
  });

  it('reports tasks that keep failing', async () => {
    await docker.ok([
      ...words('service create --detach --name crash --restart-delay 100ms --restart-max-attempts 2 busybox sh -c'),
      'exit 3',
    ]);
    await waitFor('three failed tasks', async () => {
      const tasks = await tasksOf(docker, 'crash');
      return tasks.length === 3 && tasks.every((task) => task.CurrentState.startsWith('Failed'));
    });
    for (const task of await tasksOf(docker, 'crash')) expect(task.Error).toBe('"task: non-zero exit (3)"');
    expect(await serviceLine('crash')).toBe('crash replicated 0/1 busybox:latest');
    await docker.ok(['service', 'rm', 'crash']);
  });

  it('keeps secrets secret and configs readable, and both while they are in use', async () => {
    expect(await docker.ok(['secret', 'create', '--label', 'k=v', 's1', '-'], { stdin: 'correct horse' })).toMatch(ID);
    expect(await docker.ok(['config', 'create', 'c1', '-'], { stdin: 'color=blue' })).toMatch(ID);
    expect(await docker.lines(['secret', 'ls', '--format', '{{.Name}} {{.Labels}}'])).toEqual(['s1 k=v']);
    expect(await docker.lines(['config', 'ls', '--format', '{{.Name}}'])).toEqual(['c1']);
    expect(await docker.ok(['secret', 'inspect', 's1'])).not.toMatch(/correct|Data"/);
    expect(await docker.ok(['config', 'inspect', '--pretty', 'c1'])).toContain('color=blue');
    expect(await docker.refused(['secret', 'create', 's1', '-'], { stdin: 'x' })).toBe(
      'Error response from daemon: rpc error: code = AlreadyExists desc = secret s1 already exists',
    );
    await docker.ok([
      'service',
      'create',
      '--detach',
      '--name',
      'user',
      '--secret',
      's1',
      '--config',
      'c1',
      ...BRISK,
      ...IMAGE,
    ]);
    expect(await docker.refused(['secret', 'rm', 's1'])).toBe(
      "Error response from daemon: rpc error: code = InvalidArgument desc = secret 's1' is in use by the following service: user",
    );
    expect(await docker.refused(['config', 'rm', 'c1'])).toBe(
      "Error response from daemon: rpc error: code = InvalidArgument desc = config 'c1' is in use by the following service: user",
    );
    expect(await docker.refused(['service', 'create', '--detach', '--secret', 'none', ...IMAGE])).toBe(
      'secret not found: none',
    );
    await docker.ok(['service', 'rm', 'user']);
    expect(await docker.ok(['secret', 'rm', 's1'])).toBe('s1');
    expect(await docker.ok(['config', 'rm', 'c1'])).toBe('c1');
  });

  it('changes cluster settings and rotates join tokens', async () => {
    expect(await docker.ok(['swarm', 'update', '--task-history-limit', '2', '--cert-expiry', '48h'])).toBe(
      'Swarm updated.',
    );
    const info = await docker.ok([
      'info',
      '--format',
      '{{.Swarm.Cluster.Spec.Orchestration.TaskHistoryRetentionLimit}} {{.Swarm.Cluster.Spec.CAConfig.NodeCertExpiry}}',
    ]);
    expect(info).toMatch(/^(2|0x[0-9a-f]+) (48h0m0s|172800000000000)$/);
    expect(await docker.refused(['swarm', 'update', '--cert-expiry', '1m'])).toContain(
      'minimum certificate expiry time is: 1h0m0s',
    );
    const worker = await docker.ok(['swarm', 'join-token', '-q', 'worker']);
    const managerToken = await docker.ok(['swarm', 'join-token', '-q', 'manager']);
    const rotated = await docker.ok(['swarm', 'join-token', '--rotate', '-q', 'worker']);
    expect(rotated).toMatch(/^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$/);
    expect(rotated.slice(0, 60)).toBe(worker.slice(0, 60));
    expect(rotated).not.toBe(worker);
    expect(await docker.ok(['swarm', 'join-token', '-q', 'manager'])).toBe(managerToken);
    expect(await docker.ok(['swarm', 'join-token', 'worker'])).toContain(`docker swarm join --token ${rotated} `);
  });

  it('saw all of it as events', async () => {
    await events.waitForOutput(/"Type":"config"[^\n]*"Action":"remove"|"Action":"remove"[^\n]*"Type":"config"/);
    const seen = events.output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map(
        (line) =>
          JSON.parse(line) as {
            Type: string;
            Action: string;
            scope: string;
            Actor: { Attributes: Record<string, string> };
          },
      )
      .map((event) => ({ kind: `${event.Type} ${event.Action}`, scope: event.scope, ...event.Actor.Attributes }));
    for (const kind of [
      'service create',
      'service update',
      'service remove',
      'node update',
      'secret create',
      'secret remove',
    ]) {
      expect(seen).toContainEqual(expect.objectContaining({ kind, scope: 'swarm' }));
    }
    expect(seen).toContainEqual(expect.objectContaining({ name: 'web', 'replicas.old': '5', 'replicas.new': '2' }));
    expect(seen).toContainEqual(expect.objectContaining({ 'availability.old': 'active', 'availability.new': 'pause' }));
    await events.stop('SIGKILL');
  });

  it('leaves only by force, and then is in no swarm', async () => {
    expect(await docker.refused(['swarm', 'leave'])).toBe(
      'Error response from daemon: You are attempting to leave the swarm on a node that is participating as a manager. Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message.',
    );
    expect(await docker.ok(['swarm', 'leave', '--force'])).toBe('Node left the swarm.');
    expect(await docker.ok(['info', '--format', '{{.Swarm.LocalNodeState}}'])).toBe('inactive');
    await docker.ok(['swarm', 'init', ...initFlags]);
    expect(await docker.ok(['service', 'ls', '-q'])).toBe('');
    await docker.ok(['swarm', 'leave', '--force']);
  });
}
