import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import { waitFor, within, type WaitOptions } from './wait.js';

/** Output kept of each program, in bytes of text; what is older is dropped. */
const OUTPUT_CHARS_MAX = 400_000;
/** How long a program may take to end after it was asked to. */
const STOP_TIMEOUT_MS = 20_000;

/** What to run. */
export interface ProgramOptions {
  /** How it is called in logs. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

/** A process of a test that runs in the background, its output kept. */
export class Program {
  readonly #options: ProgramOptions;
  #child: ChildProcess | undefined;
  #output = '';
  #ended: Promise<void> = Promise.resolve();

  constructor(options: ProgramOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.name} is not running`);
    return pid;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get exitCode(): number | undefined {
    return this.#child?.exitCode ?? undefined;
  }

  /** Standard output and error of all runs so far. */
  get output(): string {
    return this.#output;
  }

  start(): void {
    const { command, args, env, cwd } = this.#options;
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: cleanEnvironment(env),
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.#child = child;
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => keep(Buffer.from(`cannot start: ${error.message}\n`)));
    // Not 'close': what outlives it may hold its output open.
    this.#ended = once(child, 'exit').then(
      () => undefined,
      () => undefined,
    );
  }

  /** Waits until the pattern is in the output from the position on (default: all of it). */
  waitForOutput(
    pattern: RegExp,
    { from = 0, ...options }: WaitOptions & { readonly from?: number } = {},
  ): Promise<RegExpExecArray> {
    return waitFor(
      `${this.name} to say ${String(pattern)}`,
      () => pattern.exec(this.#output.slice(from)) ?? undefined,
      options,
    );
  }

  /** Waits for the end by itself; the exit code, -1 for a signal. */
  async end(timeoutMs = STOP_TIMEOUT_MS): Promise<number> {
    await within(timeoutMs, `the end of ${this.name}`, this.#ended);
    return this.#child?.exitCode ?? -1;
  }

  /** Asks it to end and waits; what does not obey is killed and reported. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.isRunning) return;
    this.#child?.kill(signal);
    try {
      await this.end();
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** kill -9. */
  async kill(): Promise<void> {
    if (this.isRunning) this.#child?.kill('SIGKILL');
    await this.end();
  }

  /** For exit handlers: kills without waiting. */
  killNow(): void {
    if (this.isRunning) this.#child?.kill('SIGKILL');
  }
}

/** Our environment without what would change how the programs behave, and without the runner's own variables. */
export function cleanEnvironment(extra: ProgramOptions['env'] = {}): Record<string, string | undefined> {
  const { PATH, HOME, LANG, TMPDIR, TZ } = process.env;
  return { PATH, HOME, LANG, TMPDIR, TZ, ...extra };
}
