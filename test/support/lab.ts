import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeEach } from 'vitest';

import { DockerCli } from './docker-cli.js';
import { Dockerd, type DockerdOptions } from './dockerd.js';
import { freePort } from './free-port.js';
import { TestNetwork } from './network.js';
import type { Program } from './program.js';
import { runDirectory, sweep } from './scratch.js';
import { Swarmd, type SwarmdOptions } from './swarmd.js';

/** Characters of each program's output that a failed test shows. */
const SHOWN_CHARS = 6_000;

/** Makes the programs, directories and networks of one group of tests, and takes all of it down again. */
export class Lab {
  readonly directory: string;
  readonly #programs: Program[] = [];
  readonly #killed = new Set<Program>();
  readonly #networks: TestNetwork[] = [];
  readonly #onExit: () => void;
  #counter = 0;

  constructor() {
    this.directory = mkdtempSync(join(runDirectory(), 'l'));
    this.#onExit = () => sweep(this.directory);
    process.on('exit', this.#onExit);
  }

  /** A new directory, its path short enough for sockets. */
  makeDirectory(name = 'd'): string {
    const path = join(this.directory, `${name}${this.#counter++}`);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Keeps a background program: shown when a test fails, ended at the end. */
  keep(program: Program): Program {
    this.#programs.push(program);
    return program;
  }

  /** One of our daemons, not started yet. */
  swarmd(name: string, options: Omit<SwarmdOptions, 'name' | 'directory'> = {}): Swarmd {
    const swarmd = new Swarmd({ ...options, name, directory: this.makeDirectory(name) });
    this.keep(swarmd.program);
    return swarmd;
  }

  /** A stock engine, started, with its busybox image. */
  async dockerd(name: string, options: Omit<DockerdOptions, 'name' | 'directory'> = {}): Promise<Dockerd> {
    const dockerd = new Dockerd({ ...options, name, directory: this.makeDirectory('e') });
    this.keep(dockerd.program);
    // A clean stop would wait for every container.
    this.#killed.add(dockerd.program);
    await dockerd.start();
    await dockerd.importBusybox();
    return dockerd;
  }

  /** A bridge of its own. */
  async network(): Promise<TestNetwork> {
    const network = await TestNetwork.create(this.directory);
    this.#networks.push(network);
    return network;
  }

  /** A CLI of this machine, talking to an engine or to a daemon of ours. */
  cli(path: string, target: { readonly socketPath: string }): DockerCli {
    return new DockerCli(path, target.socketPath, this.makeDirectory('c'));
  }

  /** The flags of `docker swarm init` for a manager on this address, port free for sure. */
  async initFlags(address = '127.0.0.1'): Promise<readonly string[]> {
    const port = await freePort(address);
    return ['--listen-addr', `${address}:${port}`, '--advertise-addr', `${address}:${port}`];
  }

  /** Prints the end of every program's output. */
  showLogs(): void {
    for (const { name, output } of this.#programs) {
      process.stderr.write(`--- ${name} ---\n${output.slice(-SHOWN_CHARS)}\n`);
    }
  }

  /** Ends everything in reverse order, then removes what is left by force. */
  async dispose(): Promise<void> {
    const failures: unknown[] = [];
    for (const program of this.#programs.reverse()) {
      const ended = this.#killed.has(program) ? program.kill() : program.stop();
      await ended.catch((error: unknown) => failures.push(error));
    }
    for (const network of this.#networks.reverse()) {
      await network.dispose().catch((error: unknown) => failures.push(error));
    }
    sweep(this.directory);
    process.off('exit', this.#onExit);
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('; '));
  }
}

/** A lab for the tests of the enclosing `describe`: disposed after them, its logs shown when one fails. */
export function useLab(): Lab {
  const lab = new Lab();
  beforeEach(({ onTestFailed }) => onTestFailed(() => lab.showLogs()));
  afterAll(() => lab.dispose());
  return lab;
}
