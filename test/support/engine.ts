import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { pack } from 'tar-stream';

import { DockerClient } from '../../src/platform/docker-client/index.js';

const BUSYBOX = '/bin/busybox';
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

/** Programs of busybox that the test image offers. */
const APPLETS = ['sh', 'sleep', 'echo', 'cat', 'test', 'true', 'false', 'env', 'stat', 'id', 'touch', 'seq', 'httpd'];

/** Why a Docker Engine cannot be started on this machine; undefined where it can. */
export function dockerdMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync(BUSYBOX)) return 'needs busybox-static';
  for (const program of ['dockerd', 'unshare']) {
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return `needs ${program}`;
  }
  return undefined;
}

/** A Docker Engine of a test's own, in a network namespace of its own: nothing of it reaches the machine. */
export class Dockerd {
  readonly dir = mkdtempSync(join(tmpdir(), 'swarmkit-dockerd-'));
  readonly socket = join(this.dir, 'docker.sock');
  readonly address = `unix://${this.socket}`;
  readonly #log = join(this.dir, 'dockerd.log');
  #process: ChildProcess | undefined;

  /** Starts an engine and waits until it answers; `flags` are added to its command line. */
  static async start(flags: readonly string[] = []): Promise<Dockerd> {
    const engine = new Dockerd();
    try {
      await engine.#start(flags);
      return engine;
    } catch (error) {
      const log = existsSync(engine.#log) ? readFileSync(engine.#log, 'utf8').slice(-4000) : '';
      await engine.stop();
      throw new Error(`dockerd did not start:\n${log}`, { cause: error });
    }
  }

  /** A static busybox as an image, made without a registry. */
  async importBusybox(name = 'busybox', tag = 'latest'): Promise<void> {
    const client = new DockerClient(this.address);
    try {
      const query = { fromSrc: '-', repo: name, tag };
      await client
        .json(
          { method: 'POST', path: '/images/create', query, body: await busyboxTar() },
          AbortSignal.timeout(START_TIMEOUT_MS),
        )
        .catch((error: unknown) => {
          // The answer is a stream of messages, not one document.
          if (!(error instanceof SyntaxError)) throw error;
        });
    } finally {
      client.close();
    }
  }

  /** Stops the engine and removes all that it has left: mounts, control groups, files. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(force);
    }
    for (const mount of this.#mounts()) spawnSync('sh', ['-c', 'umount -l "$0"', mount]);
    rmSync(this.dir, { recursive: true, force: true });
    for (const group of cgroupsNamed(basename(this.dir)))
      spawnSync('find', [group, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';']);
  }

  async #start(flags: readonly string[]): Promise<void> {
    const { dir } = this;
    const own = ['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'), '--pidfile', join(dir, 'pid')];
    const settings = ['--host', this.address, '--cgroup-parent', `/${basename(dir)}`, '--storage-driver', 'vfs'];
    const inside = 'ip link set lo up; exec dockerd "$@" >>"$0" 2>&1';
    const script = `exec unshare --net sh -c '${inside}' "$0" "$@"`;
    const child = spawn('sh', ['-c', script, this.#log, ...own, ...settings, ...flags], { stdio: 'ignore' });
    this.#process = child;
    const client = new DockerClient(this.address);
    const until = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`dockerd ended with ${child.exitCode}`);
      try {
        await client.json({ method: 'GET', path: '/info' }, AbortSignal.timeout(START_TIMEOUT_MS));
        client.close();
        return;
      } catch (error) {
        if (performance.now() > until) throw error;
        await delay(POLL_MS);
      }
    }
  }

  /** What is mounted below its directory, deepest first. */
  #mounts(): readonly string[] {
    return readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '')
      .filter((path) => path.startsWith(`${this.dir}/`))
      .sort((a, b) => b.length - a.length);
  }
}

async function busyboxTar(): Promise<Uint8Array> {
  const archive = pack();
  const chunks: Buffer[] = [];
  const collected = (async () => {
    for await (const chunk of archive) chunks.push(chunk as Buffer);
  })();
  for (const name of ['bin', 'etc', 'tmp', 'run']) archive.entry({ name, type: 'directory', mode: 0o755 });
  archive.entry({ name: 'etc/passwd' }, 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n');
  archive.entry({ name: 'etc/group' }, 'root:x:0:\nstaff:x:50:\n');
  archive.entry({ name: 'bin/busybox', mode: 0o755 }, await readFile(BUSYBOX));
  for (const applet of APPLETS) archive.entry({ name: `bin/${applet}`, type: 'symlink', linkname: 'busybox' });
  archive.finalize();
  await collected;
  return Buffer.concat(chunks);
}

function cgroupsNamed(name: string): readonly string[] {
  const found = spawnSync('find', ['/sys/fs/cgroup', '-maxdepth', '3', '-type', 'd', '-name', name]);
  return found.stdout
    .toString('utf8')
    .split('\n')
    .filter((path) => path !== '');
}
