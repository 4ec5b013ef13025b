import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DOCKERD = '/usr/sbin/dockerd';
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
const REQUEST_TIMEOUT_MS = 40_000;

/** The address of both engines, each in a network of its own, so that what they say can be compared. */
export const ENGINE_ADDRESS = '10.77.0.2';

/** Why the comparison cannot run here; undefined when it can. */
export function missingForDifferential(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root';
  for (const path of [DOCKERD, '/usr/bin/unshare', '/sbin/ip']) if (!existsSync(path)) return `needs ${path}`;
  if (!existsSync(join(ROOT, 'dist/cli/swarmd.js'))) return 'needs dist/ (npm run build)';
  return undefined;
}

/** One request. `$name` in path and body stands for a value remembered from an earlier answer of the same engine. */
export interface Call {
  readonly method: string;
  readonly path: string;
  /** Sent as JSON unless it is a string. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer as it came. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/** An engine under comparison: a process in a network namespace of its own, reached over its socket. */
export class Engine implements AsyncDisposable {
  readonly #command: readonly string[];
  readonly #directory: string;
  readonly #pidFile: string;
  #process: ChildProcess | undefined;
  readonly values = new Map<string, string>();

  private constructor(
    readonly name: string,
    directory: string,
    command: readonly string[],
  ) {
    this.#directory = directory;
    this.#command = command;
    this.#pidFile = join(directory, 'pid');
  }

  /** The stock engine of this machine, without containers' networks. */
  static async stock(): Promise<Engine> {
    const directory = await mkdtemp(join(tmpdir(), 'differential-stock-'));
    const options = ['--data-root', `${directory}/data`, '--exec-root', `${directory}/exec`];
    const network = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'];
    const rest = ['--userland-proxy=false', '--storage-driver=vfs', '--pidfile', `${directory}/dockerd.pid`];
    const engine = new Engine('stock', directory, [
      DOCKERD,
      ...options,
      ...network,
      ...rest,
      '-H',
      `unix://${directory}/docker.sock`,
    ]);
    await engine.start();
    return engine;
  }

  /** Ours, as built in `dist/`. */
  static async ours(): Promise<Engine> {
    const directory = await mkdtemp(join(tmpdir(), 'differential-ours-'));
    const options = ['--state-dir', `${directory}/state`, '--engine-api', `unix://${directory}/docker.sock`];
    const engine = new Engine('ours', directory, [
      join(ROOT, 'bin/swarmd'),
      ...options,
      '--executor',
      'process',
      '--log-level',
      'debug',
    ]);
    await engine.start();
    return engine;
  }

  /** Starts the process and waits until it answers. */
  async start(): Promise<void> {
    const script = join(this.#directory, 'run.sh');
    await mkdir(this.#directory, { recursive: true });
    await writeFile(script, startScript(this.#pidFile, this.#directory, this.#command));
    await chmod(script, 0o700);
    this.#process = spawn('/usr/bin/unshare', ['--net', '--mount', script], { stdio: 'ignore' });
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      const answer = await this.send({ method: 'GET', path: '/_ping' }).catch(() => undefined);
      if (answer?.status === 200) return;
      if (Date.now() > deadline || this.#process.exitCode !== null) {
        throw new Error(`${this.name} did not start: ${await this.log()}`);
      }
      await delay(100);
    }
  }

  /** Ends the process, by force when it takes too long. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
    this.#process = undefined;
  }

  /** What the process printed so far. */
  async log(): Promise<string> {
    return readFile(join(this.#directory, 'log'), 'utf8').catch(() => '');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Sends a request and reads the whole answer. */
  send(call: Call): Promise<Answer> {
    const body = this.#bodyOf(call);
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        {
          socketPath: join(this.#directory, 'docker.sock'),
          method: call.method,
          path: this.#expand(call.path),
          agent: false,
          signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
          headers: {
            Host: 'docker',
            ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
            ...call.headers,
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: Object.fromEntries(
                Object.entries(response.headers).map(([name, value]) => [name, value?.toString()]),
              ),
              body: Buffer.concat(chunks),
            }),
          );
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  }

  #bodyOf({ body }: Call): string | undefined {
    if (body === undefined) return undefined;
    return this.#expand(typeof body === 'string' ? body : JSON.stringify(body));
  }

  #expand(text: string): string {
    return text.replace(/\$([a-z][A-Za-z0-9]*)/g, (whole, name: string) =>
      name === 'now' ? String(Math.floor(Date.now() / 1000)) : (this.values.get(name) ?? whole),
    );
  }
}

/** A veth pair gives the namespace one address of its own: what an engine detects is then known. */
function startScript(pidFile: string, directory: string, command: readonly string[]): string {
  return [
    '#!/bin/sh',
    `echo $$ >${pidFile}`,
    'ip link set lo up',
    'ip link add eth0 type veth peer name eth9',
    `ip address add ${ENGINE_ADDRESS}/24 dev eth0`,
    'ip link set eth0 up && ip link set eth9 up',
    `exec ${command.join(' ')} >>${directory}/log 2>&1`,
    '',
  ].join('\n');
}

/** Patterns of what differs between any two engines, and what each becomes. Order matters. */
const REPLACEMENTS: readonly (readonly [RegExp, string])[] = [
  [/SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}/g, '<token>'],
  [/SWMKEY-1-[A-Za-z0-9+/]{43}/g, '<key>'],
  [/\b(?!0001-01-01)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z/g, '<time>'],
  [/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n/g, '<certificate>'],
  [/(?<![A-Za-z0-9])[0-9a-z]{25}(?![A-Za-z0-9])/g, '<id>'],
];

/** The text with everything replaced that differs between any two engines. */
export function normalizeText(text: string): string {
  return REPLACEMENTS.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text);
}

/** Values that are compared by their presence only. */
const OPAQUE_KEYS = new Set(['CertIssuerPublicKey', 'EngineVersion', 'Plugins', 'Index', 'timeNano', 'time']);

/** An answer's body: JSON with what differs replaced, or normalised text. Lines of JSON become a list. */
export function normalizeBody(body: Buffer): unknown {
  const text = body.toString('utf8');
  try {
    return normalizeJson(JSON.parse(text));
  } catch {
    return normalizeText(text);
  }
}

/** JSON with everything replaced that differs between any two engines. */
export function normalizeJson(value: unknown, key = ''): unknown {
  if (OPAQUE_KEYS.has(key)) return `<${key}>`;
  if (typeof value === 'string') return normalizeText(value);
  if (Array.isArray(value)) return value.map((item) => normalizeJson(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, normalizeJson(item, name)]));
}
