import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Variable that tells the test workers the run's directory. */
const VARIABLE = 'SWARMKIT_E2E_DIR';
/** How often the remains are looked at again, with a pause between, before what stays is reported. */
const SWEEPS_MAX = 50;
const SWEEP_PERIOD_MS = 100;

/** Everything that tests make has the run's directory in it: path, argument, working directory or name. */
export interface Remains {
  readonly processes: readonly { readonly pid: number; readonly command: string }[];
  readonly namespaces: readonly string[];
  readonly links: readonly string[];
  readonly mounts: readonly string[];
  readonly cgroups: readonly string[];
}

/** Directory of this run; sockets in it need short paths. Made by the first who asks. */
export function runDirectory(): string {
  const known = process.env[VARIABLE];
  if (known !== undefined && existsSync(known)) return known;
  const directory = mkdtempSync('/tmp/swk-');
  process.env[VARIABLE] = directory;
  return directory;
}

/** Notes a network namespace or link as made by this run. */
export function noteNetwork(directory: string, kind: 'namespaces' | 'links', name: string): void {
  mkdirSync(join(directory, 'made', kind), { recursive: true });
  writeFileSync(join(directory, 'made', kind, name), '');
}

/** Control group under which engines of this directory put their containers. */
export function cgroupParent(directory: string): string {
  return `/e2e-${directory.replaceAll(/[^\w]+/g, '-').replace(/^-/, '')}`;
}

/** What is left of a directory's processes, namespaces, links, mounts and control groups. */
export function remainsOf(directory: string): Remains {
  return {
    processes: processesOf(directory),
    namespaces: noted(directory, 'namespaces').filter((name) => existsSync(`/run/netns/${name}`)),
    links: noted(directory, 'links').filter((name) => existsSync(`/sys/class/net/${name}`)),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .flatMap((line) => line.split(' ')[4] ?? [])
      .filter((path) => path.startsWith(`${directory}/`)),
    cgroups: cgroupsOf(directory),
  };
}

/** Whether nothing is left. */
export function isClean(remains: Remains): boolean {
  return Object.values(remains).every((list: readonly unknown[]) => list.length === 0);
}

/** Ends, unmounts and removes everything that belongs to the directory, and the directory. Synchronous, for exit handlers. */
export function sweep(directory: string): void {
  for (let round = 0; round < SWEEPS_MAX; round++) {
    const remains = remainsOf(directory);
    if (isClean(remains)) break;
    for (const { pid } of remains.processes) attempt(() => process.kill(pid, 'SIGKILL'));
    for (const group of remains.cgroups) emptyCgroup(group);
    for (const path of [...remains.mounts].reverse()) attempt(() => run('umount', ['-l', path]));
    for (const name of remains.namespaces) attempt(() => run('ip', ['netns', 'delete', name]));
    for (const name of remains.links) attempt(() => run('ip', ['link', 'delete', name]));
    for (const group of remains.cgroups) attempt(() => rmdirSync(group));
    if (round > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SWEEP_PERIOD_MS);
  }
  rmSync(directory, { recursive: true, force: true });
}

function processesOf(directory: string): { pid: number; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      const command = read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim();
      // A task of a daemon of ours shows its origin in nothing but the files that it has open.
      const files = list(`/proc/${name}/fd`).map((fd) => link(`/proc/${name}/fd/${fd}`));
      const environment = read(`/proc/${name}/environ`);
      const marked = [command, environment, link(`/proc/${name}/cwd`), link(`/proc/${name}/root`), ...files];
      const isOurs = marked.some((text) => text.includes(`${directory}/`) || text.endsWith(directory));
      return isOurs && !isOwnRunner(environment) ? [{ pid: Number(name), command }] : [];
    });
}

/** The test runner's own processes carry the directory in the variable, and nothing else of it. */
function isOwnRunner(environment: string): boolean {
  return environment.split('\0').some((entry) => entry.startsWith(`${VARIABLE}=`));
}

function noted(directory: string, kind: 'namespaces' | 'links'): readonly string[] {
  const path = join(directory, 'made', kind);
  return existsSync(path) ? readdirSync(path) : [];
}

/** Control groups of the directory's containers, innermost first, in whichever hierarchies there are. */
function cgroupsOf(directory: string): readonly string[] {
  const hierarchies = existsSync('/sys/fs/cgroup/cgroup.controllers')
    ? ['/sys/fs/cgroup']
    : readdirSync('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name));
  // A directory made inside the run's has groups whose names begin with those of the run's.
  const prefix = cgroupParent(directory).slice(1);
  const tops = hierarchies.flatMap((root) => {
    try {
      return readdirSync(root)
        .filter((name) => name === prefix || name.startsWith(`${prefix}-`))
        .map((name) => join(root, name));
    } catch {
      return [];
    }
  });
  return tops.flatMap(groupsBelow);
}

function groupsBelow(path: string): string[] {
  try {
    const children = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...children.flatMap(({ name }) => groupsBelow(join(path, name))), path];
  } catch {
    return [];
  }
}

function emptyCgroup(path: string): void {
  for (const pid of read(join(path, 'cgroup.procs')).split('\n').filter(Boolean)) {
    attempt(() => process.kill(Number(pid), 'SIGKILL'));
  }
}

function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: 'ignore', timeout: 10_000 });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function list(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** What fails here is seen by the next look at the remains. */
function attempt(action: () => void): void {
  try {
    action();
  } catch {
    return;
  }
}
