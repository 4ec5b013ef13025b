import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';

import { Code, SwarmError, orAborted, sleep } from '../../base/index.js';
import { isMissing, readIfExists, replaceFile } from './files.js';
import type { LiveDirectory } from './live-directory.js';
import type { TaskPaths } from './paths.js';
import { identify, isAlive, isOfEarlierBoot, signalGroup, type ProcessIdentity } from './system-process.js';

const SIGKILL = 9;
/** Between two looks whether a supervisor that is ending has ended, in milliseconds. */
const ENDING_POLL_MS = 5;
/** Looks before that is left to the sweep of the live directory. */
const ENDING_POLLS_MAX = 200;
/** What a killed process exits with. */
const KILLED_EXIT_CODE = 128 + SIGKILL;

const NEVER = new AbortController().signal;

/** How a task's process ended; `lost` when nobody was left to tell. */
export type Exit = { readonly kind: 'exited'; readonly code: number } | { readonly kind: 'lost' };

type State =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'absent' }
  /** `child` where this agent started it; otherwise it was found again. */
  | { readonly kind: 'running'; readonly identity: ProcessIdentity; readonly child: ChildProcess | undefined }
  | { readonly kind: 'exited'; readonly exit: Exit };

/** The supervising shell of one task: starts it, or finds it again, and tells how it ended. */
export class Supervisor {
  #state: State = { kind: 'unknown' };
  #loading: Promise<void> | undefined;
  #mainPid: number | undefined;
  #ending = false;
  #listening: Disposable | undefined;
  readonly #waiters = new Set<(exit: Exit) => void>();

  /** @param onOutput may be new output; also called once after the end. */
  constructor(
    readonly paths: TaskPaths,
    readonly live: LiveDirectory,
    readonly onOutput: () => void,
  ) {}

  /** Whether it was ever started, by this agent or an earlier one. */
  async isStarted(): Promise<boolean> {
    await this.#load();
    return this.#state.kind !== 'absent';
  }

  /** How it ended; undefined while it runs or before it was started. */
  async exit(): Promise<Exit | undefined> {
    await this.#load();
    return this.#state.kind === 'exited' ? this.#state.exit : undefined;
  }

  async isRunning(): Promise<boolean> {
    await this.#load();
    return this.#state.kind === 'running';
  }

  /** The process id of the task itself while it is known. */
  get mainPid(): number | undefined {
    return this.#mainPid;
  }

  /** Runs the task's script. Once this resolves the task's program is about to begin. */
  async start(environment: Readonly<Record<string, string>>): Promise<void> {
    if (await this.isStarted()) return;
    const child = spawn('/bin/sh', [this.paths.script], {
      cwd: '/',
      env: { ...environment },
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const begun = firstLine(child);
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const { pid } = child;
    const identity = pid === undefined ? undefined : identify(pid);
    if (identity === undefined) {
      throw new SwarmError(Code.INTERNAL, 'the process that supervises the task could not be started', {
        cause: await begun,
      });
    }
    try {
      await replaceFile(this.paths.supervisor, JSON.stringify(identity));
    } catch (error) {
      // Without its line on standard input the shell ends without having done anything.
      child.stdin.destroy();
      throw error;
    }
    this.#state = { kind: 'running', identity, child };
    this.#listen();
    void ended.then(() => this.#settle());
    child.stdin.on('error', () => undefined);
    child.stdin.end('go\n');
    child.unref();
    const line = await Promise.race([begun, ended]);
    this.#mainPid = typeof line === 'string' ? Number(line) : undefined;
    child.stdout.destroy();
  }

  /** Resolves when the process has ended, at once if it has already. */
  async wait(signal: AbortSignal): Promise<Exit> {
    await this.#load();
    if (this.#state.kind === 'exited') return this.#state.exit;
    let waiter: ((exit: Exit) => void) | undefined;
    try {
      return await orAborted(
        new Promise<Exit>((resolve) => {
          waiter = resolve;
          this.#waiters.add(resolve);
        }),
        signal,
      );
    } finally {
      if (waiter !== undefined) this.#waiters.delete(waiter);
    }
  }

  /** Signals every process of the task; its supervisor survives. */
  async signal(signal: number): Promise<void> {
    await this.#load();
    if (signal === SIGKILL) await this.kill();
    else if (this.#state.kind === 'running' && isAlive(this.#state.identity))
      signalGroup(this.#state.identity.pid, signal);
  }

  /** Kills all of it at once. The mark tells later what happened: the supervisor cannot write it down. */
  async kill(): Promise<void> {
    await this.#load();
    if (this.#state.kind !== 'running') return;
    const { identity } = this.#state;
    await writeFile(this.paths.killed, '', { mode: 0o600 });
    if (isAlive(identity)) signalGroup(identity.pid, SIGKILL);
    if (this.#state.child === undefined) await this.#settleOnceDead();
  }

  /** Lets go of it; it goes on running. */
  close(): void {
    this.#listening?.[Symbol.dispose]();
    this.#listening = undefined;
  }

  /** Removes what tells that it ever ran. */
  async forget(): Promise<void> {
    this.close();
    const { supervisor, killed, main, exit } = this.paths;
    await Promise.all([supervisor, killed, main, exit].map((path) => rm(path, { force: true })));
    this.#state = { kind: 'absent' };
  }

  #load(): Promise<void> {
    if (this.#state.kind !== 'unknown') return Promise.resolve();
    this.#loading ??= this.#find();
    return this.#loading;
  }

  async #find(): Promise<void> {
    const text = await readIfExists(this.paths.supervisor);
    if (text === undefined) {
      this.#state = { kind: 'absent' };
      return;
    }
    const identity = JSON.parse(text) as ProcessIdentity;
    this.#mainPid = Number((await readIfExists(this.paths.main)) ?? 0) || undefined;
    this.#state = { kind: 'running', identity, child: undefined };
    if (!isAlive(identity)) await this.#settle();
    else {
      this.#listen();
      this.onOutput();
    }
  }

  #listen(): void {
    this.#listening ??= this.live.listen(this.paths.taskId, {
      onOutput: this.onOutput,
      onExit: () => {
        // The end of a child comes by itself, and only after it has left nothing behind.
        if (this.#state.kind === 'running' && this.#state.child === undefined) void this.#settleOnceDead();
      },
    });
  }

  /** The exit code is written a moment before the supervisor kills what is left and ends. */
  async #settleOnceDead(): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    const exiting = existsSync(this.paths.exit) || existsSync(this.paths.killed);
    for (let poll = exiting ? ENDING_POLLS_MAX : 1; poll > 0 && this.#state.kind === 'running'; poll--) {
      if (!isAlive(this.#state.identity)) await this.#settle();
      else if (poll > 1) await sleep(this.live.clock, ENDING_POLL_MS, NEVER);
    }
    this.#ending = false;
  }

  async #settle(): Promise<void> {
    if (this.#state.kind !== 'running') return;
    const { identity } = this.#state;
    const exit = await this.#readExit();
    if (!isOfEarlierBoot(identity)) await this.#endGroup(identity.pid);
    if (this.#state.kind !== 'running') return;
    this.#state = { kind: 'exited', exit };
    this.close();
    this.onOutput();
    for (const resolve of this.#waiters) resolve(exit);
    this.#waiters.clear();
  }

  /** Kills what the ended supervisor has left, and waits until the task itself has let go of what it held. */
  async #endGroup(pid: number): Promise<void> {
    // Another process with this id: then the group is not the task's any more.
    if (identify(pid) !== undefined || !signalGroup(pid, SIGKILL)) return;
    const main = this.#mainPid === undefined ? undefined : identify(this.#mainPid);
    if (main === undefined) return;
    for (let poll = ENDING_POLLS_MAX; poll > 0 && isAlive(main); poll--) {
      await sleep(this.live.clock, ENDING_POLL_MS, NEVER);
    }
  }

  async #readExit(): Promise<Exit> {
    try {
      const text = await readFile(this.paths.exit, 'latin1');
      if (/^\d+\n$/.test(text)) return { kind: 'exited', code: Number(text) };
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    const killed = (await readIfExists(this.paths.killed)) !== undefined;
    return killed ? { kind: 'exited', code: KILLED_EXIT_CODE } : { kind: 'lost' };
  }
}

/** The first line that the supervisor writes, an error that kept it from starting, or undefined at its end. */
function firstLine(child: ChildProcess): Promise<string | Error | undefined> {
  return new Promise((resolve) => {
    let text = '';
    child.once('error', resolve);
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const at = text.indexOf('\n');
      if (at !== -1) resolve(text.slice(0, at));
    });
    child.stdout?.once('close', () => resolve(undefined));
  });
}
