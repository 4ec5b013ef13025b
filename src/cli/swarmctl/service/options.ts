import { Option } from 'commander';

import { listOption, repeatedOption, switchOptions } from '../program.js';

/** Options of waiting for a service. */
export const WAIT_OPTIONS = (): readonly Option[] => [
  new Option('-d, --detach', 'do not wait until the service is as declared'),
  new Option('--timeout <duration>', 'with waiting: give up after this time, with exit code 1 (default: never)'),
];

/** Options that create and update share. */
export function serviceOptions(): readonly Option[] {
  return [...identity(), ...process(), ...resources(), ...updates(), ...placement(), ...mounts(), ...logging()];
}

/** Options of create alone. */
export function createOptions(): readonly Option[] {
  return [
    new Option('--mode <mode>', 'replicated or global (default replicated)'),
    listOption('--secret <list>', 'give a secret to the service: name[:file]'),
    listOption('--config <list>', 'give a config to the service: name[:file]'),
  ];
}

/** Options of update alone. */
export function updateOptions(): readonly Option[] {
  return [
    listOption('--add-label <list>', 'add or change labels (key=value); --label replaces all of them'),
    listOption('--rm-label <list>', 'remove labels by key'),
    listOption('--add-secret <list>', 'add secrets: name[:file]'),
    listOption('--rm-secret <list>', 'remove secrets by name'),
    listOption('--add-config <list>', 'add configs: name[:file]'),
    listOption('--rm-config <list>', 'remove configs by name'),
    listOption('--add-capability <list>', 'add capabilities'),
    listOption('--rm-capability <list>', 'drop capabilities'),
    new Option('--force', 'replace all tasks even if nothing has changed'),
  ];
}

function identity(): readonly Option[] {
  return [
    new Option('--name <name>', 'service name'),
    listOption('--label <list>', 'service labels (key=value)'),
    new Option('--replicas <count>', 'number of tasks of a replicated service (default 1)'),
    new Option('--replicas-max-per-node <count>', 'most tasks on one node (default 0: unlimited)'),
  ];
}

function process(): readonly Option[] {
  return [
    new Option('--image <image>', 'container image'),
    new Option('--hostname <name>', 'hostname inside the container'),
    listOption('--command <list>', 'command instead of the image’s entry point'),
    listOption('--args <list>', 'arguments of the command'),
    listOption('--env <list>', 'environment (NAME=value)'),
    repeatedOption('--env-file <file>', 'read environment from a file, one NAME=value a line'),
    new Option('--dir <path>', 'working directory'),
    new Option('--user <user[:group]>', 'user that runs the command'),
    ...switchOptions('tty', 'open a terminal on standard input and output'),
    ...switchOptions('open-stdin', 'keep standard input open'),
    ...switchOptions('read-only', 'make the container’s own files read-only'),
    ...switchOptions('init', 'run an init process that forwards signals and reaps processes'),
    new Option('--stop-grace-period <duration>', 'time between asking a task to stop and killing it (default 10s)'),
    new Option('--oom-score-adj <number>', 'preference of the kernel when memory runs out (-1000 to 1000, default 0)'),
  ];
}

function resources(): readonly Option[] {
  return [
    new Option('--memory-reservation <size>', 'memory kept free for a task (e.g. 512m)'),
    new Option('--memory-limit <size>', 'most memory of a task (e.g. 512m)'),
    new Option('--cpu-reservation <cores>', 'CPU cores kept free for a task (e.g. 0.5)'),
    new Option('--cpu-limit <cores>', 'most CPU cores of a task (e.g. 0.5)'),
    new Option('--generic-resources <list>', 'resources of your own kinds (e.g. gpu=3,fpga=1)'),
    listOption('--ulimit <list>', 'limits of the kernel (e.g. nofile=1024:2048)'),
  ];
}

function updates(): readonly Option[] {
  const failure = { update: 'pause, continue or rollback', rollback: 'pause or continue' };
  return [
    ...(['update', 'rollback'] as const).flatMap((kind) => [
      new Option(`--${kind}-parallelism <count>`, `tasks replaced at once in ${an(kind)} (default 0: all)`),
      new Option(`--${kind}-delay <duration>`, 'pause between tasks (default 0s)'),
      new Option(`--${kind}-on-failure <action>`, `${failure[kind]} (default pause)`),
      new Option(`--${kind}-order <order>`, 'stop-first or start-first (default stop-first)'),
      new Option(`--${kind}-monitor <duration>`, 'how long a new task must run to count as good (default 5s)'),
      new Option(`--${kind}-max-failure-ratio <ratio>`, 'share of tasks that may fail (default 0)'),
    ]),
    new Option('--restart-condition <condition>', 'when to restart a task: any, failure or none (default any)'),
    new Option('--restart-delay <duration>', 'pause before a restart (default 5s)'),
    new Option('--restart-max-attempts <count>', 'most restarts (default 0: unlimited)'),
    new Option('--restart-window <duration>', 'time in which restarts are counted (default 0s: all)'),
  ];
}

function an(kind: 'update' | 'rollback'): string {
  return kind === 'update' ? 'an update' : 'a rollback';
}

function placement(): readonly Option[] {
  return [
    listOption('--constraint <list>', 'nodes that may run tasks (e.g. node.labels.disk==ssd)'),
    listOption('--ports <list>', 'ports: name:target[/protocol][:published[/protocol]]'),
    new Option('--publish-mode <mode>', 'with --ports: host (on each task’s node) or ingress (default host)'),
    listOption('--network <list>', 'networks by name or id'),
  ];
}

function mounts(): readonly Option[] {
  return [
    listOption('--bind <list>', 'directories of the node (source:target)'),
    listOption('--volume <list>', 'anonymous volumes (target)'),
    repeatedOption('--tmpfs <mount>', 'memory as a file system (target[:size=64m,mode=755,ro,noexec])'),
    listOption('--npipe <list>', 'named pipes of a Windows node (source:target)'),
  ];
}

function logging(): readonly Option[] {
  return [
    new Option('--log-driver <name>', 'log driver'),
    listOption('--log-opt <list>', 'options of the log driver (key=value)'),
  ];
}
