import { existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { EngineClient } from './engine-client.js';
import { Program } from './program.js';
import { waitFor } from './wait.js';

/** The program under test, as built. */
export const SWARMD = fileURLToPath(new URL('../../bin/swarmd', import.meta.url));

/** How a daemon of ours is started. */
export interface SwarmdOptions {
  readonly name: string;
  readonly directory: string;
  readonly executor?: 'process' | 'docker' | 'simulated';
  /** Serve the Engine API; default true. */
  readonly engineApi?: boolean;
  readonly args?: readonly string[];
}

/** One swarmd process over its life: started, killed and started again on the same state directory. */
export class Swarmd {
  readonly program: Program;
  readonly stateDir: string;
  readonly socketPath: string;
  readonly controlSocket: string;
  readonly engine: EngineClient;
  readonly #servesEngine: boolean;

  constructor({ name, directory, executor = 'process', engineApi = true, args = [] }: SwarmdOptions) {
    mkdirSync(directory, { recursive: true });
    this.stateDir = `${directory}/state`;
    this.socketPath = `${directory}/docker.sock`;
    this.controlSocket = `${directory}/control.sock`;
    this.engine = new EngineClient(this.socketPath);
    this.#servesEngine = engineApi;
    this.program = new Program({
      name,
      command: SWARMD,
      args: [
        '--state-dir',
        this.stateDir,
        '--listen-control-api',
        this.controlSocket,
        '--hostname',
        name,
        '--executor',
        executor,
        ...(engineApi ? ['--engine-api', `unix://${this.socketPath}`] : []),
        ...args,
      ],
    });
  }

  /** Starts it and waits until it answers. Fails at once when it ends instead. */
  async start(): Promise<void> {
    const from = this.program.output.length;
    this.program.start();
    await waitFor(`${this.program.name} to answer`, async () => {
      if (!this.program.isRunning) return 'ended' as const;
      if (!this.#servesEngine) return this.program.output.slice(from).includes('node is ready');
      if (!existsSync(this.socketPath)) return false;
      return (await this.engine.request('GET', '/_ping')).status === 200;
    });
    if (!this.program.isRunning) throw new Error(`${this.program.name} ended:\n${this.program.output.slice(from)}`);
  }

  /** Starts it and waits until it takes part in its swarm again. */
  async startActive(): Promise<void> {
    await this.start();
    await waitFor(`${this.program.name} to be active`, async () => (await this.swarmState()) === 'active');
  }

  /** Local node state as `docker info` shows it. */
  async swarmState(): Promise<string> {
    const info = await this.engine.json<{ Swarm: { LocalNodeState: string } }>('GET', '/info');
    return info.Swarm.LocalNodeState;
  }

  /** Log lines of this level or worse, parsed. */
  logged(pattern: RegExp): readonly Readonly<Record<string, unknown>>[] {
    return this.program.output
      .split('\n')
      .filter((line) => line.startsWith('{') && pattern.test(line))
      .flatMap((line) => {
        try {
          return [JSON.parse(line) as Record<string, unknown>];
        } catch {
          return [];
        }
      });
  }

  stop(): Promise<void> {
    return this.program.stop();
  }

  kill(): Promise<void> {
    return this.program.kill();
  }
}
