import { genericResourceEnv } from '../../agent/exec/index.js';
import type { ContainerSpec, PortConfig, Task } from '../../api/index.js';

/** Where programs are looked for unless the task says otherwise. Source: the Docker Engine. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What a task's environment is made of. */
export interface EnvironmentParts {
  readonly home: string;
  readonly hostname: string;
  /** With the published ports that were given. */
  readonly ports: readonly PortConfig[];
  readonly secretsDir: string | undefined;
  readonly configsDir: string | undefined;
}

/** The whole environment of a task's process: nothing of the agent's own gets in. Later entries win. */
export function taskEnvironment(task: Task, container: ContainerSpec, parts: EnvironmentParts): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: DEFAULT_PATH,
    HOME: parts.home,
    HOSTNAME: parts.hostname,
    ...portVariables(parts.ports),
  };
  if (parts.secretsDir !== undefined) environment['SWARM_SECRETS_DIR'] = parts.secretsDir;
  if (parts.configsDir !== undefined) environment['SWARM_CONFIGS_DIR'] = parts.configsDir;
  for (const entry of [...container.env, ...genericResourceEnv(task)]) {
    const at = entry.indexOf('=');
    // A name alone unsets, as in an image; there is nothing here it could be inherited from.
    if (at === -1) delete environment[entry];
    else if (at > 0) environment[entry.slice(0, at)] = entry.slice(at + 1);
  }
  return environment;
}

function portVariables(ports: readonly PortConfig[]): Record<string, string> {
  const variables: Record<string, string> = {};
  const [first] = ports;
  if (first !== undefined) variables['PORT'] = String(first.publishedPort);
  for (const { targetPort, publishedPort } of ports) variables[`PORT_${targetPort}`] ??= String(publishedPort);
  return variables;
}

/** Whether a POSIX shell hands a variable of that name on to the commands it runs. */
export function isShellName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}
