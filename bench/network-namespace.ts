import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Where `ip netns` keeps its namespaces. */
const DIRECTORY = '/run/netns';

/**
 * A network of its own for managers and agents, where they meet neither the ports of this machine nor those of
 * other runs. Without the right to make one, everything runs on the machine's loopback.
 */
export class NetworkNamespace implements AsyncDisposable {
  readonly #onExit = (): void => {
    if (this.name !== undefined) execFileSync('ip', ['netns', 'del', this.name]);
  };

  private constructor(readonly name: string | undefined) {
    process.on('exit', this.#onExit);
  }

  static async create(): Promise<NetworkNamespace> {
    if (process.getuid?.() !== 0 || !existsSync('/usr/bin/nsenter')) return new NetworkNamespace(undefined);
    const name = `swarm-bench-${process.pid}`;
    try {
      await execute('ip', ['netns', 'add', name]);
      await execute('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
      return new NetworkNamespace(name);
    } catch {
      return new NetworkNamespace(undefined);
    }
  }

  /** The command that runs `command` in here, as the same process. */
  command(command: readonly [string, ...string[]]): [string, ...string[]] {
    // `ip netns exec` would hide the control groups, without which dockerd does not start.
    return this.name === undefined ? [...command] : ['nsenter', `--net=${DIRECTORY}/${this.name}`, ...command];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#onExit);
    if (this.name !== undefined) await execute('ip', ['netns', 'del', this.name]);
  }
}
