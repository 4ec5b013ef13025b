import { spawn } from 'node:child_process';

import { cleanEnvironment, Program } from './program.js';

/** How a command ended. */
export interface CommandResult {
  /** -1: ended by a signal, as after the time limit. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run. */
export interface CommandOptions {
  readonly timeoutMs?: number;
  readonly stdin?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
}

const TIMEOUT_MS = 30_000;

/** Runs a command to its end within its time. */
export function runCommand(
  command: string,
  args: readonly string[],
  { timeoutMs = TIMEOUT_MS, stdin, env = {} }: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: cleanEnvironment(env), timeout: timeoutMs, killSignal: 'SIGKILL' });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
    // A command that ends without reading its input closes the pipe.
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
  });
}

/** A stock docker CLI that talks to one engine. */
export class DockerCli {
  readonly #path: string;
  readonly #env: Readonly<Record<string, string>>;

  constructor(path: string, socketPath: string, configDir: string) {
    this.#path = path;
    this.#env = { DOCKER_HOST: `unix://${socketPath}`, DOCKER_CONFIG: configDir };
  }

  /** Runs a command to its end, whatever its exit code. */
  run(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return runCommand(this.#path, args, { ...options, env: { ...this.#env, ...options.env } });
  }

  /** Standard output, trimmed, of a command that must succeed. */
  async ok(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code !== 0) throw new Error(`docker ${args.join(' ')}: exit code ${code}\n${stderr}${stdout}`);
    return stdout.trim();
  }

  /** Standard error, trimmed, of a command that must fail with exit code 1. */
  async refused(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code !== 1) throw new Error(`docker ${args.join(' ')}: exit code ${code} instead of 1\n${stderr}${stdout}`);
    return stderr.trim();
  }

  /** The non-empty lines of a command that must succeed. */
  async lines(args: readonly string[], options: CommandOptions = {}): Promise<readonly string[]> {
    return (await this.ok(args, options)).split('\n').filter((line) => line !== '');
  }

  /** The parsed output of `… --format '{{json .}}'`. */
  async json<T>(args: readonly string[], options: CommandOptions = {}): Promise<T> {
    return JSON.parse(await this.ok(args, options)) as T;
  }

  /** A command that stays in the background; start it, stop it. */
  background(name: string, args: readonly string[]): Program {
    return new Program({ name, command: this.#path, args, env: this.#env });
  }
}

/** The words of a command line that needs no quoting. */
export function words(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
