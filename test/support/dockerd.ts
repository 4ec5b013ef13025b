import { existsSync, mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

import { runCommand } from './docker-cli.js';
import { EngineClient } from './engine-client.js';
import { Program } from './program.js';
import { cgroupParent } from './scratch.js';
import { waitFor } from './wait.js';

const DOCKERD = '/usr/sbin/dockerd';
const BUSYBOX = '/bin/busybox';
/** Programs of the image that tests use. */
const APPLETS = [
  'sh',
  'sleep',
  'cat',
  'echo',
  'env',
  'hostname',
  'httpd',
  'ls',
  'nc',
  'stat',
  'true',
  'false',
  'date',
  'wget',
];

/** How a stock engine is started. */
export interface DockerdOptions {
  readonly name: string;
  readonly directory: string;
  /** Run in this network namespace. */
  readonly netns?: string;
  readonly args?: readonly string[];
}

/** A stock Docker engine of its own: data, sockets, containerd and control groups apart from any other. */
export class Dockerd {
  readonly program: Program;
  readonly directory: string;
  readonly socketPath: string;
  readonly engine: EngineClient;

  constructor({ name, directory, netns, args = [] }: DockerdOptions) {
    mkdirSync(directory, { recursive: true });
    this.directory = directory;
    this.socketPath = `${directory}/docker.sock`;
    this.engine = new EngineClient(this.socketPath);
    const daemon = [
      DOCKERD,
      '--data-root',
      `${directory}/data`,
      '--exec-root',
      `${directory}/exec`,
      '--pidfile',
      `${directory}/pid`,
      '--host',
      `unix://${this.socketPath}`,
      '--cgroup-parent',
      cgroupParent(directory),
      '--log-level',
      'info',
      ...args,
    ];
    // A hostname of its own tells engines of one machine apart.
    const named = ['unshare', '--uts', 'sh', '-c', `${BUSYBOX} hostname ${name} && exec "$@"`, 'sh', ...daemon];
    // nsenter, not `ip netns exec`: that mounts /sys anew and hides the control groups.
    const [command = '', ...rest] = netns === undefined ? named : ['nsenter', `--net=/run/netns/${netns}`, ...named];
    this.program = new Program({ name, command, args: rest });
  }

  /** Starts it and waits until it answers. */
  async start(): Promise<void> {
    this.program.start();
    const state = await waitFor(
      `${this.program.name} to answer`,
      async () => {
        if (!this.program.isRunning) return 'ended';
        return existsSync(this.socketPath) && (await this.engine.request('GET', '/_ping')).status === 200 && 'answers';
      },
      { timeoutMs: 60_000, periodMs: 100 },
    );
    if (state === 'ended') throw new Error(`${this.program.name} ended:\n${this.program.output}`);
  }

  /** Makes the image `busybox:latest` of this machine's static busybox. Nothing is pulled. */
  async importBusybox(): Promise<void> {
    const root = `${this.directory}/busybox`;
    const links = APPLETS.map((applet) => `ln -sf busybox ${root}/bin/${applet}`).join(' && ');
    const { code, stdout, stderr } = await runCommand('sh', [
      '-ec',
      `mkdir -p ${root}/bin ${root}/tmp ${root}/etc ${root}/www && cp ${BUSYBOX} ${root}/bin/busybox && ${links} &&
       tar -C ${root} -cf ${root}.tar .`,
    ]);
    if (code !== 0) throw new Error(`cannot make an image: ${stderr}${stdout}`);
    const { status, text } = await this.engine.request('POST', '/images/create?fromSrc=-&repo=busybox&tag=latest', {
      body: await readFile(`${root}.tar`),
    });
    if (status !== 200 || text.includes('errorDetail')) throw new Error(`cannot import an image: ${status} ${text}`);
  }

  stop(): Promise<void> {
    return this.program.stop();
  }

  kill(): Promise<void> {
    return this.program.kill();
  }
}
