import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const BIN = fileURLToPath(new URL('../bin/', import.meta.url));

/** How long anything real may take here. */
const PATIENCE_MS = 60_000;

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

let directory: string;
let daemon: ChildProcess;
let daemonLog = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'swarmctl-'));
  const addr = `127.0.0.1:${await freePort()}`;
  daemon = spawn(
    `${BIN}swarmd`,
    [
      '--state-dir',
      join(directory, 'state'),
      '--listen-remote-api',
      addr,
      '--advertise-remote-api',
      addr,
      '--listen-control-api',
      socket(),
      '--hostname',
      'alpha',
      '--executor',
      'process',
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  for (const stream of [daemon.stdout, daemon.stderr]) stream?.on('data', (data) => (daemonLog += String(data)));
  await until(async () => (await swarmctl('node', 'ls')).out.includes('READY'), 'swarmd is ready');
});

afterAll(async () => {
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  if (daemon.exitCode === null && daemon.kill('SIGINT')) await ended;
  await rm(directory, { recursive: true, force: true });
});

describe('swarmctl', () => {
  test('says where nobody listens', async () => {
    const outcome = await swarmctl('-s', `${directory}/none.sock`, 'node', 'ls');
    expect(outcome).toMatchObject({ code: 1, out: '' });
    expect(outcome.err).toMatch(/^swarmctl: no swarmd listens at \S+none\.sock \(no such file\): .*\n$/);
    await writeFile(join(directory, 'plain'), '');
    const plain = await swarmctl('-s', `${directory}/plain`, 'node', 'ls');
    expect(plain).toMatchObject({ code: 1, err: expect.stringContaining('nobody listens on it') });
  });

  test('refuses wrong usage with code 2', async () => {
    expect(await swarmctl('node', 'lss')).toMatchObject({ code: 2, err: expect.stringContaining('unknown command') });
    expect(await swarmctl('service', 'create', '--name', 'a')).toMatchObject({ code: 2, out: '' });
    expect(await swarmctl('version')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^swarmctl \d+\.\d+\.\d+\n$/),
    });
  });

  test('shows and changes nodes', async () => {
    const { out: id } = await swarmctl('node', 'ls', '-q');
    expect(id).toMatch(/^[a-z0-9]{25}\n$/);
    expect((await swarmctl('node', 'inspect', 'alpha')).out).toContain('READY');
    await good('node', 'update', 'alpha', '--label', 'disk=ssd');
    for (const command of ['drain', 'pause', 'activate']) await good('node', command, id.trim().slice(0, 8));
    expect(JSON.parse((await good('node', 'ls', '--json')).out)).toMatchObject([
      { spec: { annotations: { labels: { disk: 'ssd' } }, availability: 'ACTIVE' }, managerStatus: { leader: true } },
    ]);
    expect(await swarmctl('node', 'promote', 'alpha')).toMatchObject({
      code: 0,
      err: expect.stringContaining('nothing'),
    });
    expect((await swarmctl('node', 'demote', 'alpha')).code).toBe(1);
    expect((await swarmctl('node', 'rm', 'alpha')).code).toBe(1);
  });

  test('shows and changes the cluster', async () => {
    expect((await good('cluster', 'ls')).out).toContain('default');
    expect((await good('cluster', 'inspect')).out).toMatch(/ControlAPI +: SERVING/);
    const { out: token } = await good('cluster', 'join-token', 'worker', '-q');
    expect((await good('cluster', 'inspect')).out).toContain(token.trim());
    expect((await good('cluster', 'join-token', 'worker', '-q', '--rotate')).out).not.toBe(token);
    await good('cluster', 'update', '--taskhistory', '2', '--autolock');
    const { out: key } = await good('cluster', 'unlock-key', '-q');
    expect(key).toMatch(/^SWMKEY-1-/);
    expect((await good('cluster', 'unlock-key', '-q', '--rotate')).out).not.toBe(key);
    await good('cluster', 'update', '--autolock=false');
    expect((await good('network', 'ls')).out).toContain('Driver');
    expect((await swarmctl('network', 'inspect', 'nothing')).code).toBe(1);
  });

  test('keeps secrets and configs', async () => {
    await writeFile(join(directory, 'config'), 'key: value\n');
    expect((await swarmctlWith('swordfish', 'secret', 'create', 'password', '--label', 'a=b')).code).toBe(0);
    await good('config', 'create', 'settings', '--file', join(directory, 'config'));
    await good('secret', 'update', 'password', '--add-label', 'c=d');
    await good('config', 'update', 'settings', '--label', 'x=y');
    expect((await good('secret', 'ls')).out).toContain('password');
    expect((await good('config', 'ls')).out).toContain('11 B');
    expect((await good('secret', 'inspect', 'password', '--json')).out).not.toContain('data');
    expect((await good('config', 'inspect', 'settings')).out).toContain('key: value');
  });

  test('creates a service, follows it, and scales it', async () => {
    const created = await good(
      'service',
      'create',
      '--name',
      'web',
      '--image',
      'demo',
      '--replicas',
      '2',
      '--env',
      'WORD=hello',
      '--command',
      'sh',
      '--args',
      '-c,"echo $WORD; echo oops >&2; exec sleep 600"',
      '--secret',
      'password:pw',
      '--config',
      'settings',
      '--restart-delay',
      '1s',
      '--update-monitor',
      '1s',
    );
    expect(created.out).toMatch(/^[a-z0-9]{25}\n$/);
    expect(created.err.split('\n').at(-2)).toBe('web: 2/2 running');
    const scaled = await good('service', 'scale', 'web=3');
    expect(scaled.err.split('\n').at(-2)).toBe('web: 3/3 running');
    expect((await good('service', 'ls')).out).toMatch(/web +replicated +demo +3\/3/);
    expect((await good('service', 'ps', 'web')).out.match(/RUNNING +RUNNING/g)).toHaveLength(3);
    const page = (await good('service', 'inspect', 'web')).out;
    for (const text of ['WORD=hello', 'file pw', 'file settings', 'Task ID']) expect(page).toContain(text);
  });

  test('shows logs, and follows them until interrupted', async () => {
    await until(async () => (await swarmctl('service', 'logs', 'web')).out.split('\n').length > 3, 'all tasks logged');
    const { out, err } = await good('service', 'logs', 'web', '--since', '10m');
    expect(out).toContain('web.1@alpha❯ hello\n');
    expect(err).toContain('web.1@alpha❯ oops\n');
    const [task = ''] = (await good('task', 'ls', '-q')).out.split('\n');
    expect((await good('task', 'logs', task, '--tail', '2')).out).toMatch(/hello\n$/);
    const following = start('service', 'logs', '-f', 'web');
    await until(async () => following.seen().out.includes('hello'), 'the log is followed');
    following.child.kill('SIGINT');
    expect((await following.ended).code).toBe(130);
  });

  test('lists, shows and removes tasks', async () => {
    const [task = ''] = (await good('task', 'ls', '-q')).out.split('\n');
    expect((await good('task', 'inspect', task)).out).toMatch(/Last state +: RUNNING/);
    await good('task', 'rm', task);
    await until(async () => (await good('service', 'ls')).out.includes('3/3'), 'the task was replaced');
    expect((await good('task', 'ls', '-a', '-q')).out).not.toContain(task);
  });

  test('an update that fails is a failure, and can be taken back', async () => {
    const failed = await swarmctl('service', 'update', 'web', '--args', '-c,"exit 3"', '--update-parallelism', '1');
    expect(failed.code).toBe(1);
    expect(failed.err.split('\n').at(-2)).toMatch(/^swarmctl: service web: update paused due to failure .*exit/);
    const back = await good('service', 'rollback', 'web');
    expect(back.err.split('\n').at(-2)).toBe('web: 3/3 running');
  });

  test('says why a task is pending, gives up in time, and can be interrupted', async () => {
    const pending = [
      '--image',
      'demo',
      '--command',
      'sleep',
      '--args',
      '600',
      '--constraint',
      'node.labels.disk==tape',
    ];
    const late = await swarmctl('service', 'create', '--name', 'late', ...pending, '--timeout', '2s');
    expect(late.code).toBe(1);
    expect(late.err).toContain('1 task pending: no suitable node (scheduling constraints not satisfied on 1 node)');
    const waiting = start('service', 'create', '--name', 'waiting', ...pending);
    await until(async () => waiting.seen().err.includes('no suitable node'), 'the reason is shown');
    waiting.child.kill('SIGINT');
    const { code, err } = await waiting.ended;
    expect(code).toBe(130);
    expect(err).toContain('the cluster goes on without us');
  });

  test('runs a global service', async () => {
    await good(
      'service',
      'create',
      '--name',
      'all',
      '--image',
      'demo',
      '--mode',
      'global',
      '--command',
      'sleep',
      '--args',
      '600',
    );
    expect((await good('svc', 'ls')).out).toMatch(/all +global +demo +1\/1/);
  });

  test('removes services, secrets and configs', async () => {
    expect((await swarmctl('secret', 'rm', 'password')).err).toContain('is in use by the following service: web');
    await good('service', 'rm', 'web', 'late', 'waiting', 'all');
    await good('secret', 'rm', 'password');
    await good('config', 'rm', 'settings');
    expect((await good('service', 'ls', '-q')).out).toBe('');
    await until(async () => (await good('task', 'ls', '-a', '-q')).out === '', 'all tasks are gone');
  });
});

function socket(): string {
  return join(directory, 'swarmd.sock');
}

function swarmctl(...args: readonly string[]): Promise<Outcome> {
  return start(...args).ended;
}

function swarmctlWith(input: string, ...args: readonly string[]): Promise<Outcome> {
  const { child, ended } = start(...args);
  child.stdin?.end(input);
  return ended;
}

/** A command that has to succeed. */
async function good(...args: readonly string[]): Promise<Outcome> {
  const outcome = await swarmctl(...args);
  expect(outcome.code, `swarmctl ${args.join(' ')}: ${outcome.err}`).toBe(0);
  return outcome;
}

function start(...args: readonly string[]): {
  readonly child: ChildProcess;
  readonly seen: () => { readonly out: string; readonly err: string };
  readonly ended: Promise<Outcome>;
} {
  const child = spawn(`${BIN}swarmctl`, args, { env: { ...process.env, SWARM_SOCKET: socket() } });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, out, err }));
  });
  return { child, seen: () => ({ out, err }), ended };
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}\n${daemonLog}`);
    if (daemon.exitCode !== null) throw new Error(`swarmd ended\n${daemonLog}`);
    await delay(50);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
