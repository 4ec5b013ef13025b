import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { ExitError } from '../../agent/exec/index.js';
import {
  ConfigSchema,
  LogStream,
  LogSubscriptionOptionsSchema,
  PortConfig_PublishMode,
  SecretSchema,
  durationFromMs,
  namedResource,
  type Task,
} from '../../api/index.js';
import { LinkedController, canceled } from '../../base/index.js';
import { NEVER, NO_DEPENDENCIES, World, linesOf, shell, taskOf, textOf } from './process.test-helper.js';

const AS_ROOT = process.getuid?.() === 0;

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.dispose());

function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

async function firstLog(controller: Awaited<ReturnType<World['run']>>): Promise<string> {
  for await (const message of controller.logs(create(LogSubscriptionOptionsSchema, { follow: true }), NEVER)) {
    return textOf(message).trim();
  }
  return '';
}

describe('a task as a process', () => {
  it('completes when its program succeeds, and has said what it said', async () => {
    const controller = await world.run(shell('echo hello; echo oops >&2'));
    await controller.wait(NEVER);
    expect((await linesOf(controller)).sort()).toEqual(['hello\n', 'oops\n']);
    expect(await linesOf(controller, { streams: [LogStream.STDERR] })).toEqual(['oops\n']);
    expect(await controller.containerStatus()).toMatchObject({ pid: 0, exitCode: 0 });
  });

  it('fails with the exit code of its program', async () => {
    const controller = await world.run(shell('exit 3'));
    await expect(controller.wait(NEVER)).rejects.toThrow(new ExitError(3, ''));
    expect(await controller.containerStatus()).toMatchObject({ exitCode: 3 });
  });

  it('runs command and args as one argument list, which no shell touches', async () => {
    const controller = await world.run(taskOf({ command: ['printf'], args: ['%s|', "it's", '$HOME', 'a b'] }));
    await controller.wait(NEVER);
    expect(await linesOf(controller)).toEqual(["it's|$HOME|a b|"]);
  });

  it('runs args alone as the command', async () => {
    const controller = await world.run(taskOf({ args: ['echo', 'only args'] }));
    await controller.wait(NEVER);
    expect(await linesOf(controller)).toEqual(['only args\n']);
  });

  it('sees its own environment and nothing of the agent', async () => {
    vi.stubEnv('AGENT_SECRET', 'leaked');
    const task = taskOf(
      { command: ['env'], env: ['A=1', 'dotted.name=2', 'A=3', 'QUOTED=a\'b "c"', 'HOME'] },
      { assignedGenericResources: [namedResource('gpu', 'g1')] },
    );
    const controller = await world.run(task);
    await controller.wait(NEVER);
    vi.unstubAllEnvs();
    const lines = (await linesOf(controller))
      .map((line) => line.trim())
      .filter((line) => !/^(PWD|SHLVL|_)=/.test(line))
      .sort();
    expect(lines).toEqual([
      'A=3',
      'DOCKER_RESOURCE_GPU=g1',
      'HOSTNAME=host1',
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      `QUOTED=a'b "c"`,
      'dotted.name=2',
    ]);
  });

  it('runs in the root directory, or in its own', async () => {
    const root = await world.run(shell('pwd'));
    const own = await world.run(shell('pwd', { dir: '/usr' }));
    await Promise.all([root.wait(NEVER), own.wait(NEVER)]);
    expect([await linesOf(root), await linesOf(own)]).toEqual([['/\n'], ['/usr\n']]);
  });

  it('reports the process id of its program', async () => {
    const controller = await world.run(shell('echo $$; exec sleep 60'));
    const status = await controller.containerStatus();
    expect(String(status?.pid)).toBe(await firstLog(controller));
  });

  it.skipIf(!AS_ROOT)('runs as its user and groups', async () => {
    const controller = await world.run(shell('id -u; id -g; id -G', { user: 'nobody:daemon', groups: ['2'] }));
    await controller.wait(NEVER);
    expect(await linesOf(controller)).toEqual(['65534\n', '1\n', '1 2\n']);
  });

  it('has its limits on open files and no way to new privileges where it asks for that', async () => {
    const task = shell('ulimit -n; grep NoNewPrivs /proc/self/status', {
      ulimits: [{ name: 'nofile', soft: 77n, hard: 99n }],
      privileges: { noNewPrivileges: true },
    });
    const controller = await world.run(task);
    await controller.wait(NEVER);
    expect(await linesOf(controller)).toEqual(['77\n', 'NoNewPrivs:\t1\n']);
  });

  it('takes over its oom score', async () => {
    const controller = await world.run(shell('cat /proc/self/oom_score_adj', { oomScoreAdj: 123n }));
    await controller.wait(NEVER);
    expect(await linesOf(controller)).toEqual(['123\n']);
  });

  it('starts only once', async () => {
    const task = shell('echo once; exec sleep 60');
    const controller = await world.run(task);
    await firstLog(controller);
    await controller.prepare(NEVER);
    await controller.start(NEVER);
    await controller.terminate(NEVER);
    expect(await linesOf(controller)).toEqual(['once\n']);
  });
});

describe('stopping', () => {
  it('sends the stop signal to everything the task has started', async () => {
    const line =
      'trap "echo main; exit 0" TERM; sh -c "trap \'echo child; exit 0\' TERM; echo ready; while :; do sleep 0.05; done" & wait $!; wait';
    const controller = await world.run(shell(line));
    expect(await firstLog(controller)).toBe('ready');
    await controller.shutdown(NEVER);
    expect((await linesOf(controller)).slice(1)).toContain('main\n');
    expect(await controller.containerStatus()).toMatchObject({ exitCode: 0, pid: 0 });
  });

  it('uses the signal that the task names', async () => {
    const controller = await world.run(
      shell('trap "exit 9" USR1; echo ready; while :; do sleep 0.05; done', { stopSignal: 'SIGUSR1' }),
    );
    await firstLog(controller);
    await controller.shutdown(NEVER);
    await expect(controller.wait(NEVER)).rejects.toThrow('task: non-zero exit (9)');
  });

  it('kills what does not end within the grace period', async () => {
    const controller = await world.run(
      shell('trap "" TERM; echo ready; while :; do sleep 0.05; done', { stopGracePeriod: durationFromMs(100) }),
    );
    await firstLog(controller);
    await controller.shutdown(NEVER);
    await expect(controller.wait(NEVER)).rejects.toThrow('task: non-zero exit (137)');
  });

  it('does nothing to a task that was never started', async () => {
    const controller = world.executor.controller(shell('true'), NO_DEPENDENCIES);
    await controller.prepare(NEVER);
    await controller.shutdown(NEVER);
    await controller.terminate(NEVER);
    expect(await controller.containerStatus()).toBeUndefined();
  });

  it('can be given up and begun again', async () => {
    const controller = await world.run(
      shell('trap "" TERM; echo ready; while :; do sleep 0.05; done', { stopGracePeriod: durationFromMs(60_000) }),
    );
    await firstLog(controller);
    const abort = new LinkedController(NEVER);
    const given = controller.shutdown(abort.signal);
    abort.abort(canceled('it'));
    await expect(given).rejects.toThrow('it was stopped');
    await controller.terminate(NEVER);
    await expect(controller.wait(NEVER)).rejects.toThrow('(137)');
  });

  it('leaves no process behind when the program ends before its children', async () => {
    const controller = await world.run(shell('sleep 60 & echo $!; exit 0'));
    await controller.wait(NEVER);
    const [line] = await linesOf(controller);
    await vi.waitFor(() => expect(isAlive(Number(line))).toBe(false));
  });
});

describe('the agent starting anew', () => {
  it('finds a running task again and learns how it ends', async () => {
    const task = shell('trap "exit 5" TERM; echo ready; while :; do sleep 0.05; done');
    const before = await world.run(task);
    await firstLog(before);
    const { pid } = (await before.containerStatus()) ?? {};
    await before.close();
    await world.restart();
    const after = world.executor.controller(task, NO_DEPENDENCIES);
    await after.start(NEVER);
    expect(await after.containerStatus()).toMatchObject({ pid });
    const waited = after.wait(NEVER).catch((error: unknown) => error);
    await after.shutdown(NEVER);
    expect(await waited).toEqual(new ExitError(5, ''));
    expect(await linesOf(after, { streams: [LogStream.STDOUT] })).toEqual(['ready\n']);
  });

  it('reports the exit code of a task that ended meanwhile', async () => {
    const task = shell('read line <"$GATE"; echo late; exit 7', { env: [`GATE=${join(world.dir, 'gate')}`] });
    execFileSync('sh', ['-c', 'mkfifo "$0"', join(world.dir, 'gate')]);
    const before = await world.run(task);
    await before.close();
    await world.restart();
    execFileSync('sh', ['-c', `echo go >${join(world.dir, 'gate')}`]);
    await vi.waitFor(() => expect(existsSync(join(world.dir, 'state', 'live', `${task.id}.exit`))).toBe(true));
    const after = world.executor.controller(task, NO_DEPENDENCIES);
    await expect(after.wait(NEVER)).rejects.toThrow(new ExitError(7, ''));
    expect(await linesOf(after)).toEqual(['late\n']);
  });

  it('says so when a task was killed together with its supervisor', async () => {
    const task = shell('echo ready; exec sleep 60');
    const controller = await world.run(task);
    await firstLog(controller);
    const { pid } = JSON.parse(readFileSync(join(world.dir, 'state', 'tasks', task.id, 'supervisor.json'), 'utf8')) as {
      pid: number;
    };
    process.kill(-pid, 'SIGKILL');
    await expect(controller.wait(NEVER)).rejects.toThrow('left no exit code');
  });

  it('does not lose a kill that it did not see through', async () => {
    const task = shell('echo ready; exec sleep 60');
    const before = await world.run(task);
    await firstLog(before);
    await before.close();
    await world.restart();
    const after = world.executor.controller(task, NO_DEPENDENCIES);
    await after.terminate(NEVER);
    await expect(after.wait(NEVER)).rejects.toThrow(new ExitError(137, ''));
  });
});

describe('the machine starting anew', () => {
  const planOf = (task: Task) => join(world.dir, 'state', 'tasks', task.id, 'plan.json');
  const supervisorOf = (task: Task) => join(world.dir, 'state', 'tasks', task.id, 'supervisor.json');
  const asOfEarlierBoot = (path: string) => {
    const stored = JSON.parse(readFileSync(path, 'utf8')) as object;
    writeFileSync(path, JSON.stringify({ ...stored, bootId: 'an earlier one' }));
  };

  it('prepares once more what was not started yet', async () => {
    const dependencies = {
      secret: (id: string) => create(SecretSchema, { id, spec: { data: Buffer.from('psst') } }),
      config: () => undefined,
      volume: () => undefined,
    };
    const target = { case: 'file' as const, value: { name: 'token', mode: 0o400 } };
    const task = shell('cat $SWARM_SECRETS_DIR/token', { secrets: [{ secretId: 's', secretName: 's', target }] });
    await world.executor.controller(task, dependencies).prepare(NEVER);
    asOfEarlierBoot(planOf(task));
    rmSync(join(world.dir, 'run', task.id), { recursive: true });
    await world.restart();
    const controller = world.executor.controller(task, dependencies);
    await controller.start(NEVER);
    await controller.wait(NEVER);
    expect(await linesOf(controller)).toEqual(['psst']);
  });

  it('fails what was running, and kills nobody who has its process id now', async () => {
    const task = shell('echo ready; exec sleep 60');
    const before = await world.run(task);
    await firstLog(before);
    const { pid } = (await before.containerStatus()) ?? { pid: 0 };
    const supervisor = readFileSync(supervisorOf(task), 'utf8');
    await before.close();
    await world.restart();
    asOfEarlierBoot(supervisorOf(task));
    const after = world.executor.controller(task, NO_DEPENDENCIES);
    await expect(after.wait(NEVER)).rejects.toThrow('left no exit code');
    expect(isAlive(pid)).toBe(true);
    writeFileSync(supervisorOf(task), supervisor);
    await world.restart();
  });
});

describe('a health check', () => {
  const fast = { interval: durationFromMs(20), timeout: durationFromMs(5000), retries: 2 };

  it('keeps the task starting until it succeeds', async () => {
    const gate = join(world.dir, 'healthy');
    const task = shell(`sleep 0.2; touch ${gate}; exec sleep 60`, {
      healthcheck: { test: ['CMD-SHELL', `test -e ${gate}`], ...fast, retries: 1000 },
    });
    await world.run(task);
    expect(existsSync(gate)).toBe(true);
  });

  it('stops a task that never gets healthy', async () => {
    const started = world.run(shell('exec sleep 60', { healthcheck: { test: ['CMD', 'false'], ...fast } }));
    await expect(started).rejects.toThrow('task: non-zero exit (143): dockerexec: unhealthy container');
  });

  it('stops a task that is healthy no more', async () => {
    const gate = join(world.dir, 'sick');
    const controller = await world.run(
      shell(`echo ready; exec sleep 60`, { healthcheck: { test: ['CMD-SHELL', `! test -e ${gate}`], ...fast } }),
    );
    const waited = controller.wait(NEVER).catch((error: unknown) => error);
    writeFileSync(gate, '');
    expect(await waited).toEqual(new ExitError(143, 'dockerexec: unhealthy container'));
  });

  it('fails when it takes too long', async () => {
    const healthcheck = {
      test: ['CMD', 'sleep', '60'],
      interval: durationFromMs(10),
      timeout: durationFromMs(30),
      retries: 1,
    };
    await expect(world.run(shell('exec sleep 60', { healthcheck }))).rejects.toThrow('unhealthy container');
  });

  it('runs in the environment of the task', async () => {
    await world.run(
      shell('exec sleep 60', {
        env: ['COLOR=blue'],
        dir: '/usr',
        healthcheck: { test: ['CMD-SHELL', 'test "$COLOR$PWD" = blue/usr'], ...fast },
      }),
    );
  });

  it('gives way to the end of the task', async () => {
    const started = world.run(
      shell('exit 4', { healthcheck: { test: ['CMD', 'true'], interval: durationFromMs(60_000) } }),
    );
    await expect(started).rejects.toThrow(new ExitError(4, ''));
  });
});

describe('host ports', () => {
  const host = (targetPort: number, publishedPort: number) => ({
    targetPort,
    publishedPort,
    publishMode: PortConfig_PublishMode.HOST,
  });

  it('are chosen where none is named, told to the task and reported', async () => {
    const endpoint = {
      ports: [host(80, 0), host(81, 0), { targetPort: 82, publishMode: PortConfig_PublishMode.INGRESS }],
    };
    const controller = await world.run(shell('echo $PORT $PORT_80 $PORT_81 $PORT_82', {}, { endpoint }));
    await controller.wait(NEVER);
    const ports = (await controller.portStatus())?.ports.map((port) => port.publishedPort) ?? [];
    expect(ports).toHaveLength(2);
    expect(await linesOf(controller)).toEqual([`${ports[0]} ${ports[0]} ${ports[1]}\n`]);
  });

  it('are refused when somebody else has them', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, resolve));
    const { port } = server.address() as { port: number };
    const started = world.run(shell('true', {}, { endpoint: { ports: [host(80, port)] } }));
    await expect(started).rejects.toThrow(`host port ${port}/tcp is already in use`);
    server.close();
  });
});

describe('secrets and configs', () => {
  const dependencies = {
    secret: (id: string) =>
      id === 's1' ? create(SecretSchema, { id, spec: { data: Buffer.from('psst') } }) : undefined,
    config: (id: string) =>
      id === 'c1' ? create(ConfigSchema, { id, spec: { data: Buffer.from('conf') } }) : undefined,
    volume: () => undefined,
  };
  const file = (name: string, mode = 0o400) => ({ case: 'file' as const, value: { name, uid: '0', gid: '0', mode } });

  it('are files that the task is told of, and go with it', async () => {
    const task = shell('cd $SWARM_SECRETS_DIR; cat token; stat -c %a token; cat $SWARM_CONFIGS_DIR/etc/app.conf', {
      secrets: [{ secretId: 's1', secretName: 'token', target: file('token') }],
      configs: [{ configId: 'c1', configName: 'app', target: file('/etc/app.conf', 0o444) }],
    });
    const controller = await world.run(task, dependencies);
    await controller.wait(NEVER);
    expect((await linesOf(controller)).join('')).toBe('psst400\nconf');
    expect(existsSync(join(world.dir, 'run', task.id))).toBe(true);
    await controller.remove(NEVER);
    expect(existsSync(join(world.dir, 'run', task.id))).toBe(false);
  });

  it('reject the task when they were not assigned or would lie elsewhere', async () => {
    const absent = shell('true', { secrets: [{ secretId: 'other', secretName: 'other', target: file('x') }] });
    await expect(world.run(absent, dependencies)).rejects.toThrow('secret "other" was not assigned');
    const outside = shell('true', { secrets: [{ secretId: 's1', secretName: 's', target: file('../../x') }] });
    await expect(world.run(outside, dependencies)).rejects.toThrow('invalid target "../../x"');
  });
});

describe('logs', () => {
  it('follow a task to its end', async () => {
    const controller = await world.run(shell('for i in 1 2 3; do echo $i; sleep 0.05; done'));
    expect(await linesOf(controller, { follow: true })).toEqual(['1\n', '2\n', '3\n']);
  });

  it('wait for a task that has not started yet', async () => {
    const controller = world.executor.controller(shell('echo at last'), NO_DEPENDENCIES);
    const lines = linesOf(controller, { follow: true });
    await controller.prepare(NEVER);
    await controller.start(NEVER);
    expect(await lines).toEqual(['at last\n']);
  });

  it('give the last lines', async () => {
    const controller = await world.run(shell('seq 100'));
    await controller.wait(NEVER);
    expect(await linesOf(controller, { tail: -3n })).toEqual(['99\n', '100\n']);
    expect(await linesOf(controller, { tail: -1n })).toEqual([]);
    expect(await linesOf(controller)).toHaveLength(100);
    expect(await linesOf(controller, { tail: -2n, follow: true })).toEqual(['100\n']);
  });

  it('keep bytes that are no text, and an unfinished last line', async () => {
    const controller = await world.run(shell("printf '\\377\\376\\nend'"));
    await controller.wait(NEVER);
    const options = create(LogSubscriptionOptionsSchema);
    const data: Buffer[] = [];
    for await (const message of controller.logs(options, NEVER)) data.push(Buffer.from(message.data));
    expect(data).toEqual([Buffer.from([0xff, 0xfe, 0x0a]), Buffer.from('end')]);
  });

  it('are not kept where the task wants none', async () => {
    const controller = await world.run(shell('echo unheard', {}, { logDriver: { name: 'none' } }));
    await controller.wait(NEVER);
    expect(await linesOf(controller)).toEqual([]);
  });
});

describe('a task is rejected', () => {
  it.each([
    ['the process executor needs a command', taskOf({ image: 'nginx' })],
    ['executable "no-such-program" not found in PATH', taskOf({ command: ['no-such-program'] })],
    ['executable "/no/such" not found', taskOf({ command: ['/no/such'] })],
    ['"/etc/passwd" is not executable', taskOf({ command: ['/etc/passwd'] })],
    ['dir: directory "/no/dir" does not exist', shell('true', { dir: '/no/dir' })],
    ['user: unable to find "nobody-here"', shell('true', { user: 'nobody-here' })],
    ['stop_signal: invalid signal "SIGWHAT"', shell('true', { stopSignal: 'SIGWHAT' })],
    ['healthcheck.test: unknown kind', shell('true', { healthcheck: { test: ['PING'] } })],
    ['ulimits: unknown limit "chairs"', shell('true', { ulimits: [{ name: 'chairs', soft: 1n, hard: 1n }] })],
    ['tty: not supported by the process executor', shell('true', { tty: true })],
  ])('because %s', async (reason, task) => {
    await expect(world.run(task)).rejects.toThrow(reason);
  });

  it('at the start when a bind mount has no source', async () => {
    const task = shell('true', { mounts: [{ source: '/no/source', target: '/no/source' }] });
    await expect(world.run(task)).rejects.toThrow('invalid bind mount source, source path not found: /no/source');
  });
});

describe('leaving', () => {
  it('kills and removes every task', async () => {
    const task = shell('echo ready; exec sleep 60');
    const controller = await world.run(task);
    await firstLog(controller);
    const { pid } = (await controller.containerStatus()) ?? { pid: 0 };
    await controller.close();
    await world.restart();
    await world.executor.removeAll(NEVER);
    expect(isAlive(pid)).toBe(false);
    expect(readdirSync(join(world.dir, 'state', 'tasks'))).toEqual([]);
    expect(readdirSync(join(world.dir, 'state', 'live'))).toEqual([]);
  });

  it('removing a running task takes its process and all files along', async () => {
    const task = shell('echo ready; exec sleep 60');
    const controller = await world.run(task);
    await firstLog(controller);
    const { pid } = (await controller.containerStatus()) ?? { pid: 0 };
    await controller.remove(NEVER);
    expect(isAlive(pid)).toBe(false);
    expect(readdirSync(join(world.dir, 'state', 'live'))).toEqual([]);
    await controller.remove(NEVER);
  });
});

describe('the description', () => {
  it('is that of this machine', async () => {
    const description = await world.executor.describe();
    expect(description).toMatchObject({
      hostname: 'host1',
      platform: { os: 'linux' },
      engine: { engineVersion: 'test' },
    });
    expect(description.engine?.plugins.map(({ type, name }) => `${type}/${name}`)).toEqual([
      'Log/json-file',
      'Network/host',
      'Volume/local',
    ]);
    expect(Number(description.resources?.nanoCpus) % 1e9).toBe(0);
  });
});
