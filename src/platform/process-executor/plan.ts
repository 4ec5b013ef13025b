import { stat, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';

import type { Dependencies } from '../../agent/exec/index.js';
import { containerSpec, healthCheckOf, hostPorts } from '../../agent/exec/index.js';
import type { ContainerSpec, PortConfig, Task } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import type { Account } from './accounts.js';
import { dependencyFiles, writeDependencyFiles } from '../dependency-files.js';
import { taskEnvironment } from './environment.js';
import { findExecutable } from './executable.js';
import { readIfExists, replaceFile } from './files.js';
import { hostAccount, hostnameOf } from './host.js';
import { launchersOf } from './launchers.js';
import { join } from 'node:path';
import type { TaskPaths } from './paths.js';
import type { ProcessHost } from './process-host.js';
import { probeScript, runScript, type RunPlan } from './run-script.js';
import { checkSupported, logDriverOf } from './support.js';
import { stopSignal } from './stop-signal.js';
import { bootId } from './system-process.js';

/** Where programs of the system itself are looked for. */
const SYSTEM_PATH = '/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin';
const ROOT_DIR = '/';

/** What was found out and chosen when a task was prepared; kept so that an agent started later knows. */
export interface TaskPlan {
  readonly ports: readonly PortConfig[];
  readonly environment: Readonly<Record<string, string>>;
  /** Control groups and files in memory do not outlive the boot in which they were made. */
  readonly bootId: string;
}

/** The plan of a task that was prepared before; undefined otherwise. */
export async function loadPlan(paths: TaskPaths): Promise<TaskPlan | undefined> {
  const text = await readIfExists(paths.plan);
  return text === undefined ? undefined : (JSON.parse(text) as TaskPlan);
}

/**
 * Makes a task ready to start: checks what it asks for, chooses ports, makes control groups, and writes its
 * secrets, configs and scripts. The directory of the task must exist.
 */
export async function makePlan(
  task: Task,
  dependencies: Dependencies,
  host: ProcessHost,
  paths: TaskPaths,
): Promise<TaskPlan> {
  checkSupported(task);
  const container = containerSpec(task);
  stopSignal(container.stopSignal);
  const check = healthCheckOf(container.healthcheck);
  const files = dependencyFiles(container, dependencies);
  const account = await accountOf(container);
  const dir = await directoryOf(container);
  const launchers = await resolveLaunchers(container, account);
  const ports = await host.ports.assign(hostPorts(task));
  try {
    const environment = taskEnvironment(task, container, {
      home: account?.home ?? userInfo().homedir,
      hostname: container.hostname || hostnameOf(host.options),
      ports,
      secretsDir: container.secrets.length > 0 ? join(paths.runtime, 'secrets') : undefined,
      configsDir: container.configs.length > 0 ? join(paths.runtime, 'configs') : undefined,
    });
    const [program = '', ...args] = [...container.command, ...container.args];
    const executable = await findExecutable(program, environment['PATH'] ?? '', dir);
    if (files.length > 0) await writeDependencyFiles(paths.runtime, files, account);
    const run: RunPlan = {
      command: [executable, ...args],
      dir,
      launchers,
      environment,
      cgroupFiles: await host.cgroups.create(task.id, limitsOf(task, container)),
      oomScoreAdj: Number(container.oomScoreAdj),
    };
    await writeScripts(paths, run, check?.command, logDriverOf(task) === 'none');
    const plan: TaskPlan = { ports, environment, bootId: bootId() };
    await replaceFile(paths.plan, JSON.stringify(plan));
    return plan;
  } catch (error) {
    host.ports.release(ports);
    throw error;
  }
}

async function writeScripts(
  paths: TaskPaths,
  run: RunPlan,
  healthCommand: readonly string[] | undefined,
  discardOutput: boolean,
): Promise<void> {
  const { stdout, stderr, exit, main } = paths;
  const output = discardOutput ? { stdout: '/dev/null', stderr: '/dev/null' } : { stdout, stderr };
  await writeFile(paths.script, runScript(run, { ...output, exit, main }), { mode: 0o600 });
  if (healthCommand === undefined) return;
  await writeFile(paths.probe, probeScript({ ...run, command: healthCommand }), { mode: 0o600 });
}

/** As whom the task runs; undefined for the agent's own account, which is all that others than root can. */
async function accountOf({ user, groups }: ContainerSpec): Promise<Account | undefined> {
  if (user === '' && groups.length === 0) return undefined;
  const self = userInfo();
  const account = await hostAccount(user === '' ? String(self.uid) : user, groups);
  if (self.uid === 0) return account;
  if (account.uid === self.uid && groups.length === 0) return undefined;
  throw new SwarmError(
    Code.PERMISSION_DENIED,
    `user: the agent runs as uid ${self.uid} and cannot start a process as ${JSON.stringify(user)}; only root can`,
  );
}

async function directoryOf({ dir }: ContainerSpec): Promise<string> {
  const path = dir === '' ? ROOT_DIR : dir;
  if (!path.startsWith('/'))
    throw new SwarmError(Code.INVALID_ARGUMENT, `dir: ${JSON.stringify(dir)} is not an absolute path`);
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) return path;
  throw new SwarmError(Code.NOT_FOUND, `dir: directory ${JSON.stringify(path)} does not exist`);
}

async function resolveLaunchers(container: ContainerSpec, account: Account | undefined): Promise<readonly string[]> {
  const noNewPrivileges = container.privileges?.noNewPrivileges === true;
  const found = new Map<string, string>();
  const needed = [
    ...(container.ulimits.length > 0 ? ['prlimit'] : []),
    ...(account !== undefined || noNewPrivileges ? ['setpriv'] : []),
  ];
  for (const program of needed) found.set(program, await findExecutable(program, SYSTEM_PATH, ROOT_DIR));
  return launchersOf(
    { account, noNewPrivileges, ulimits: container.ulimits },
    (program) => found.get(program) ?? program,
  );
}

function limitsOf(task: Task, container: ContainerSpec) {
  const limits = task.spec?.resources?.limits;
  return { memoryBytes: limits?.memoryBytes ?? 0n, nanoCpus: limits?.nanoCpus ?? 0n, pids: container.pidsLimit };
}
