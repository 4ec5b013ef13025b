import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';

import type { NetworkNamespace } from './network-namespace.js';

/** How long a process may take to stop before it is killed, in milliseconds. */
const STOP_MS = 20_000;

/** Clock ticks per second in /proc; the same on every Linux of today. */
const TICKS_PER_SECOND = 100;

const KIB_PER_MIB = 1024;

/** What a process has used. */
export interface Usage {
  readonly cpuSeconds: number;
  readonly rssMib: number;
}

/** A process that is measured. */
export class Child implements AsyncDisposable {
  private constructor(
    readonly process: ChildProcess,
    readonly name: string,
  ) {}

  /** @param logPath takes what the process prints. */
  static async start(
    name: string,
    command: readonly [string, ...string[]],
    options: {
      readonly namespace: NetworkNamespace;
      readonly logPath: string;
      readonly environment?: Readonly<Record<string, string>>;
    },
  ): Promise<Child> {
    const log = await open(options.logPath, 'a');
    try {
      const [program, ...args] = options.namespace.command(command);
      const child = spawn(program, args, {
        stdio: ['ignore', log.fd, log.fd, 'ipc'],
        env: { ...process.env, ...options.environment },
        serialization: 'advanced',
      });
      child.on('error', () => undefined);
      // However this program ends, it leaves nothing behind.
      const onExit = (): void => void child.kill('SIGTERM');
      process.on('exit', onExit);
      child.once('exit', () => process.off('exit', onExit));
      return new Child(child, name);
    } finally {
      await log.close();
    }
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null && this.process.pid !== undefined;
  }

  usage(): Usage {
    const stat = readFileSync(`/proc/${this.process.pid}/stat`, 'latin1');
    // The name, in parentheses, may hold blanks; the fields after it are counted from the third.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = Number(fields[11]) + Number(fields[12]);
    const status = readFileSync(`/proc/${this.process.pid}/status`, 'latin1');
    const rssKib = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    return { cpuSeconds: ticks / TICKS_PER_SECOND, rssMib: rssKib / KIB_PER_MIB };
  }

  /** Sends a message and resolves with the next one that comes back. */
  async ask<T>(message: object): Promise<T> {
    const answered = new AbortController();
    const answer = once(this.process, 'message', { signal: answered.signal });
    const gone = once(this.process, 'exit', { signal: answered.signal }).then(() => {
      throw new Error(`${this.name} ended before it answered`);
    });
    gone.catch(() => undefined);
    this.process.send(message);
    try {
      const [value] = (await Promise.race([answer, gone])) as [T];
      return value;
    } finally {
      answered.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.running) return;
    const exit = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), STOP_MS);
    await exit;
    clearTimeout(timer);
  }
}
