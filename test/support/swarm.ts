import type { DockerCli } from './docker-cli.js';
import { waitFor, type WaitOptions } from './wait.js';

/** A line of `docker service ps`. */
export interface TaskLine {
  readonly ID: string;
  readonly Name: string;
  readonly Node: string;
  readonly Image: string;
  readonly DesiredState: string;
  readonly CurrentState: string;
  readonly Error: string;
  readonly Ports: string;
}

/** A line of `docker node ls`. */
export interface NodeLine {
  readonly ID: string;
  readonly Hostname: string;
  readonly Status: string;
  readonly Availability: string;
  readonly ManagerStatus: string;
  readonly EngineVersion: string;
}

/** A line of `docker ps`. */
export interface ContainerLine {
  readonly ID: string;
  readonly Names: string;
  readonly Image: string;
  readonly Status: string;
  readonly Ports: string;
}

/** Flags that keep a service's converging and ending short. */
export const BRISK = ['--update-monitor', '200ms', '--stop-grace-period', '1s'];

/** All tasks of a service, newest first as the CLI sorts them. */
export function tasksOf(docker: DockerCli, service: string): Promise<readonly TaskLine[]> {
  return jsonLines(docker, ['service', 'ps', '--no-trunc', '--format', '{{json .}}', service]);
}

/** Tasks of a service that are meant to run and do. */
export async function runningTasks(docker: DockerCli, service: string): Promise<readonly TaskLine[]> {
  const tasks = await tasksOf(docker, service);
  return tasks.filter((task) => task.DesiredState === 'Running' && task.CurrentState.startsWith('Running'));
}

/** Waits until exactly so many tasks are meant to run and all of them do. */
export function converged(
  docker: DockerCli,
  service: string,
  count: number,
  options: WaitOptions = {},
): Promise<readonly TaskLine[]> {
  return waitFor(
    `${count} running tasks of ${service}`,
    async () => {
      const tasks = await tasksOf(docker, service);
      const meant = tasks.filter((task) => task.DesiredState === 'Running');
      const running = meant.filter((task) => task.CurrentState.startsWith('Running'));
      if (meant.length === count && running.length === count) return running;
      throw new Error(
        JSON.stringify(tasks.map((task) => [task.Name, task.Node, task.DesiredState, task.CurrentState, task.Error])),
      );
    },
    options,
  );
}

/** All nodes. */
export function nodes(docker: DockerCli): Promise<readonly NodeLine[]> {
  return jsonLines(docker, ['node', 'ls', '--format', '{{json .}}']);
}

/** Waits until the node with this hostname is in this state. */
export function nodeIs(
  docker: DockerCli,
  hostname: string,
  status: 'Ready' | 'Down',
  options?: WaitOptions,
): Promise<NodeLine> {
  return waitFor(
    `node ${hostname} to be ${status}`,
    async () => {
      const node = (await nodes(docker)).find((line) => line.Hostname === hostname);
      if (node?.Status === status) return node;
      throw new Error(JSON.stringify(node));
    },
    options,
  );
}

/** Running containers of an engine that belong to a service. */
export async function containersOf(worker: DockerCli, service: string): Promise<readonly ContainerLine[]> {
  return jsonLines(worker, [
    'ps',
    '--no-trunc',
    '--filter',
    `label=com.docker.swarm.service.name=${service}`,
    '--format',
    '{{json .}}',
  ]);
}

async function jsonLines<T>(docker: DockerCli, args: readonly string[]): Promise<readonly T[]> {
  return (await docker.lines(args)).map((line) => JSON.parse(line) as T);
}
