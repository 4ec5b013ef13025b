import { afterEach, beforeAll, expect, it } from 'vitest';

import { words, type DockerCli } from './support/docker-cli.js';
import type { Dockerd } from './support/dockerd.js';
import { useLab } from './support/lab.js';
import type { NetworkNamespace, TestNetwork } from './support/network.js';
import { installedClis, requires } from './support/requirements.js';
import { BRISK, containersOf, converged, nodeIs, nodes, runningTasks } from './support/swarm.js';
import type { Swarmd } from './support/swarmd.js';
import { waitFor } from './support/wait.js';

requires({ root: true, dockerd: true, netns: true, cli: true })('stock engines as workers of our manager', () => {
  const lab = useLab();
  const cliPath = installedClis()[0]?.path ?? '';
  let network: TestNetwork;
  let manager: Swarmd;
  let managerAddr: string;
  let docker: DockerCli;
  const workers: { name: string; namespace: NetworkNamespace; dockerd: Dockerd; docker: DockerCli }[] = [];

  const worker = (at: number): (typeof workers)[number] => {
    const found = workers[at];
    if (found === undefined) throw new Error(`worker ${at} was not started`);
    return found;
  };
  const joinToken = (): Promise<string> => docker.ok(['swarm', 'join-token', '--quiet', 'worker']);
  const create = async (name: string, ...flagsAndImage: readonly string[]): Promise<void> => {
    await docker.ok(['service', 'create', '--detach', '--name', name, ...BRISK, ...flagsAndImage]);
  };
  /** Id and start of each container, which only a restart would change. */
  const lives = async (service: string): Promise<readonly string[]> => {
    const all = await Promise.all(
      workers.map(async ({ docker }) => {
        const ids = (await containersOf(docker, service)).map(({ ID }) => ID);
        return ids.length === 0
          ? []
          : docker.lines(['inspect', '--format', '{{.Id}} {{.State.StartedAt}} {{.State.Pid}}', ...ids]);
      }),
    );
    return all.flat().sort();
  };
  const shell = (script: string): readonly string[] => ['busybox', 'sh', '-c', script];

  beforeAll(async () => {
    network = await lab.network();
    manager = lab.swarmd('manager');
    await manager.start();
    docker = lab.cli(cliPath, manager);
    const flags = await lab.initFlags(network.address);
    managerAddr = flags.at(-1) ?? '';
    await docker.ok(['swarm', 'init', '--task-history-limit', '2', ...flags]);
    for (const name of ['worker-1', 'worker-2']) {
      const namespace = await network.namespace();
      const dockerd = await lab.dockerd(name, { netns: namespace.name, args: ['--label', `rack=${name}`] });
      workers.push({ name, namespace, dockerd, docker: lab.cli(cliPath, dockerd) });
    }
  });

  afterEach(async () => {
    const services = await docker.lines(['service', 'ls', '--quiet']);
    if (services.length > 0) await docker.ok(['service', 'rm', ...services]);
    await waitFor('the containers to be gone', async () => {
      const left = await Promise.all(
        workers.map(({ docker }) => docker.lines(['ps', '--quiet', '--filter', 'is-task=true'])),
      );
      return left.flat().length === 0;
    });
  });

  it('refuses a wrong token with the texts of a stock manager', async () => {
    const token = await joinToken();
    const join = (at: number, given: string): Promise<string> =>
      worker(at).docker.refused(['swarm', 'join', '--token', given, managerAddr]);
    const [prefix, version, digest = '', secret = ''] = token.split('-');
    expect(await join(0, 'nonsense')).toBe('Error response from daemon: invalid join token');
    const otherSecret = [prefix, version, digest, '0'.repeat(secret.length)].join('-');
    const otherDigest = [prefix, version, `${digest.startsWith('1') ? '2' : '1'}${digest.slice(1)}`, secret].join('-');
    // An engine tries five times in ten seconds before it gives up.
    const texts = await Promise.all([join(0, otherSecret), join(1, otherDigest)]);
    expect(texts).toEqual([
      'Error response from daemon: rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster',
      expect.stringMatching(/remote CA does not match fingerprint. Expected: [0-9a-f]{64}$/),
    ]);
    expect(await worker(0).docker.ok(['info', '--format', '{{.Swarm.LocalNodeState}}'])).toBe('inactive');
    expect(await nodes(docker)).toHaveLength(1);
  });

  it('admits engines by docker swarm join', async () => {
    const token = await joinToken();
    for (const { docker: own, name } of workers) {
      expect(await own.ok(['swarm', 'join', '--token', token, managerAddr])).toBe(
        'This node joined a swarm as a worker.',
      );
      expect(await nodeIs(docker, name, 'Ready')).toMatchObject({
        Availability: 'Active',
        ManagerStatus: '',
        EngineVersion: expect.stringMatching(/^20\.10\./),
      });
    }
    const details = await docker.json<Record<string, never>[]>(['node', 'inspect', 'worker-1']);
    expect(details[0]).toMatchObject({
      Status: { State: 'ready', Addr: worker(0).namespace.address },
      Description: { Hostname: 'worker-1', Platform: { OS: 'linux' }, Engine: { Labels: { rack: 'worker-1' } } },
      Spec: { Role: 'worker', Availability: 'active' },
    });
    expect(await worker(0).docker.refused(['swarm', 'join', '--token', token, managerAddr])).toContain(
      'This node is already part of a swarm.',
    );
    expect(await worker(0).docker.refused(['node', 'ls'])).toContain("Worker nodes can't be used to view or modify");
  });

  it('spreads replicas over them and over its own node', async () => {
    await create('spread', '--replicas', '6', 'busybox', 'sleep', '1000');
    const tasks = await converged(docker, 'spread', 6);
    const counts = Map.groupBy(tasks, (task) => task.Node);
    expect([...counts].map(([node, list]) => `${node} ${list.length}`).sort()).toEqual([
      'manager 2',
      'worker-1 2',
      'worker-2 2',
    ]);
    for (const { docker: own, name } of workers) {
      const names = (await containersOf(own, 'spread')).map(({ Names }) => Names).sort();
      const expected = tasks.filter((task) => task.Node === name).map((task) => `${task.Name}.${task.ID}`);
      expect(names).toEqual(expected.sort());
    }
    await docker.ok(['service', 'scale', '--detach', 'spread=1']);
    await converged(docker, 'spread', 1);
  });

  it('runs global services, and no task on its own drained node', async () => {
    await docker.ok(['node', 'update', '--availability', 'drain', 'manager']);
    await create('everywhere', '--mode', 'global', 'busybox', 'sleep', '1000');
    const tasks = await converged(docker, 'everywhere', 2);
    expect(tasks.map((task) => task.Node).sort()).toEqual(['worker-1', 'worker-2']);
    for (const { docker: own } of workers) expect(await containersOf(own, 'everywhere')).toHaveLength(1);
  });

  it('shows secrets, configs and expanded templates inside containers', async () => {
    await docker.ok(['secret', 'create', 'password', '-'], { stdin: 'correct horse' });
    await docker.ok(['config', 'create', 'settings', '-'], { stdin: 'color=blue\n' });
    await docker.ok(['config', 'create', '--template-driver', 'golang', 'templated', '-'], {
      stdin: '{{.Service.Name}} says {{secret "pw"}}\n',
    });
    await create(
      'vault',
      ...words('--secret source=password,target=pw,mode=0400 --config source=settings,target=/etc/settings'),
      ...words('--config source=templated,target=/etc/templated --hostname {{.Service.Name}}-{{.Task.Slot}}'),
      ...words('--env WHERE={{.Node.Hostname}} --env WHO={{.Task.Name}} --label tier=data --env'),
      'TIER={{index .Service.Labels "tier"}}',
      ...words('--constraint node.hostname==worker-1 busybox sleep 1000'),
    );
    const [task] = await converged(docker, 'vault', 1);
    const [container] = await containersOf(worker(0).docker, 'vault');
    const inside = (...command: readonly string[]): Promise<string> =>
      worker(0).docker.ok(['exec', container?.ID ?? '', ...command]);
    expect(await inside('cat', '/run/secrets/pw')).toBe('correct horse');
    expect(await inside('stat', '-c', '%a', '/run/secrets/pw')).toBe('400');
    expect(await inside('cat', '/etc/settings')).toBe('color=blue');
    expect(await inside('cat', '/etc/templated')).toBe('vault says correct horse');
    expect(await inside('hostname')).toBe('vault-1');
    expect((await inside('env')).split('\n')).toEqual(
      expect.arrayContaining(['WHERE=worker-1', `WHO=vault.1.${task?.ID ?? ''}`, 'TIER=data']),
    );
    expect(await docker.refused(['secret', 'rm', 'password'])).toBe(
      "Error response from daemon: rpc error: code = InvalidArgument desc = secret 'password' is in use by the following service: vault",
    );
    await docker.ok(['service', 'rm', 'vault']);
    await docker.ok(['secret', 'rm', 'password']);
    await docker.ok(['config', 'rm', 'settings', 'templated']);
  });

  it('carries their logs, from all replicas, both streams, followed and cut', async () => {
    await create('talker', '--replicas', '2', ...shell('echo one; echo two >&2; echo three; sleep 1000'));
    const tasks = await converged(docker, 'talker', 2);
    const lines = await waitFor('six lines of log', async () => {
      const { stdout, stderr } = await docker.run(['service', 'logs', 'talker']);
      const all = [...stdout.split('\n'), ...stderr.split('\n')].filter((line) => line !== '');
      return all.length === 6 && all;
    });
    for (const { Name, ID, Node } of tasks) {
      const of = lines.filter((line) => line.startsWith(`${Name}.${ID.slice(0, 12)}@${Node} `));
      expect(of.map((line) => line.split('| ')[1] ?? '').sort()).toEqual(['one', 'three', 'two']);
    }
    const [first] = tasks;
    const tail = await docker.run(['service', 'logs', '--raw', '--tail', '1', first?.ID ?? '']);
    expect(`${tail.stdout}${tail.stderr}`.trim().split('\n')).toHaveLength(1);
    const follower = lab.keep(docker.background('follower', ['service', 'logs', '--follow', '--raw', 'talker']));
    follower.start();
    await follower.waitForOutput(/three[^]*three/);
    expect(follower.isRunning).toBe(true);
    await follower.stop('SIGKILL');
  });

  it('places by node and engine labels', async () => {
    await docker.ok(['node', 'update', '--label-add', 'disk=ssd', 'worker-2']);
    await create('fast', '--replicas', '2', '--constraint', 'node.labels.disk==ssd', 'busybox', 'sleep', '1000');
    expect((await converged(docker, 'fast', 2)).map((task) => task.Node)).toEqual(['worker-2', 'worker-2']);
    await docker.ok([
      'service',
      'update',
      '--detach',
      '--constraint-rm',
      'node.labels.disk==ssd',
      '--constraint-add',
      'engine.labels.rack==worker-1',
      'fast',
    ]);
    await waitFor('both tasks on worker-1', async () => {
      const tasks = await runningTasks(docker, 'fast');
      return tasks.length === 2 && tasks.every((task) => task.Node === 'worker-1');
    });
  });

  it('publishes host ports and reports them', async () => {
    await create(
      'site',
      ...words('--mode global --publish mode=host,target=80,published=8080'),
      ...shell('echo "served by $(hostname)" > /www/index.html; exec httpd -f -p 80 -h /www'),
    );
    const tasks = await converged(docker, 'site', 2);
    // An engine of this age reports the port once for each of IPv4 and IPv6.
    for (const { Ports } of tasks) expect([...new Set(Ports.split(','))]).toEqual(['*:8080->80/tcp']);
    for (const { namespace } of workers) {
      const text = await waitFor('an answer', async () => {
        const answer = await fetch(`http://${namespace.address}:8080/`, { signal: AbortSignal.timeout(2_000) });
        return answer.ok && answer.text();
      });
      expect(text).toMatch(/^served by /);
    }
  });

  it('empties a drained engine, and fills it again only with what comes', async () => {
    await create('moving', '--replicas', '4', 'busybox', 'sleep', '1000');
    await converged(docker, 'moving', 4);
    await docker.ok(['node', 'update', '--availability', 'drain', 'worker-1']);
    await waitFor('all tasks on worker-2', async () => {
      const tasks = await runningTasks(docker, 'moving');
      return tasks.length === 4 && tasks.every((task) => task.Node === 'worker-2');
    });
    await waitFor('worker-1 to be empty', async () => (await containersOf(worker(0).docker, 'moving')).length === 0);
    await docker.ok(['node', 'update', '--availability', 'active', 'worker-1']);
    await docker.ok(['service', 'scale', '--detach', 'moving=6']);
    const tasks = await converged(docker, 'moving', 6);
    expect(tasks.filter((task) => task.Node === 'worker-1')).toHaveLength(2);
  });

  it.each(['stop', 'kill'] as const)('survives a manager that is restarted (%s): containers untouched', async (how) => {
    const name = `steady-${how}`;
    await create(name, '--replicas', '4', 'busybox', 'sleep', '1000');
    await converged(docker, name, 4);
    const before = await lives(name);
    expect(before).toHaveLength(4);
    await manager[how]();
    await manager.startActive();
    await nodeIs(docker, 'worker-1', 'Ready');
    await nodeIs(docker, 'worker-2', 'Ready');
    await docker.ok(['service', 'scale', '--detach', `${name}=6`]);
    await converged(docker, name, 6);
    expect(await lives(name)).toEqual(expect.arrayContaining([...before]));
  });

  it('gets the work of a restarted engine done again', async () => {
    await create('again', '--replicas', '2', '--restart-delay', '100ms', 'busybox', 'sleep', '1000');
    await converged(docker, 'again', 2);
    const { dockerd, docker: own } = worker(0);
    await dockerd.stop();
    await waitFor('two tasks on worker-2', async () => {
      const tasks = await runningTasks(docker, 'again');
      return tasks.filter((task) => task.Node === 'worker-2').length === 2;
    });
    await dockerd.start();
    await nodeIs(docker, 'worker-1', 'Ready');
    await docker.ok(['service', 'scale', '--detach', 'again=4']);
    const tasks = await converged(docker, 'again', 4);
    expect(tasks.filter((task) => task.Node === 'worker-1')).toHaveLength(2);
    expect(await containersOf(own, 'again')).toHaveLength(2);
  });

  it('removes a node that has left, and only then', async () => {
    expect(await docker.refused(['node', 'rm', 'worker-1'])).toMatch(
      /^Error response from daemon: rpc error: code = FailedPrecondition desc = node [0-9a-z]{25} is not down and can't be removed$/,
    );
    expect(await worker(0).docker.ok(['swarm', 'leave'])).toBe('Node left the swarm.');
    await nodeIs(docker, 'worker-1', 'Down');
    expect(await docker.ok(['node', 'rm', 'worker-1'])).toBe('worker-1');
    expect((await nodes(docker)).map((node) => node.Hostname)).not.toContain('worker-1');
    await worker(0).docker.ok(['swarm', 'join', '--token', await joinToken(), managerAddr]);
    await nodeIs(docker, 'worker-1', 'Ready');
  });

  it('shuts out a node that is removed by force', async () => {
    await create('guest', '--mode', 'global', 'busybox', 'sleep', '1000');
    await converged(docker, 'guest', 2);
    expect(await docker.ok(['node', 'rm', '--force', 'worker-1'])).toBe('worker-1');
    await converged(docker, 'guest', 1);
    const { dockerd, docker: own } = worker(0);
    await dockerd.program.waitForOutput(/session failed.*code = PermissionDenied.*removed/);
    await waitFor('the refusal to be logged', () => manager.logged(/a call was refused/).length > 0);
    expect((await nodes(docker)).map((node) => node.Hostname).sort()).toEqual(['manager', 'worker-2']);
    // It keeps trying, in vain, which the manager says once.
    await dockerd.program.waitForOutput(/(session failed.*PermissionDenied[^]*){3}/);
    expect(manager.logged(/a call was refused.*removed|removed.*a call was refused/)).toHaveLength(1);
    await own.ok(['swarm', 'leave']);
    expect(await containersOf(own, 'guest')).toEqual([]);
  });
});
