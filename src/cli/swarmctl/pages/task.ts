import { isTerminal, taskState, taskStateName, type Task } from '../../../api/index.js';
import { timestampText } from '../render/json.js';
import { entry, section, type PageLine } from '../render/page.js';
import { words } from './service.js';
import { portsText } from './tasks.js';

/** What the page calls the objects that a task belongs to. */
export interface TaskOwners {
  readonly service: string;
  readonly node: string;
}

/** The page about a task. */
export function taskPage(task: Task, owners: TaskOwners): readonly PageLine[] {
  const { status } = task;
  return [
    ...entry(0, 'ID', task.id),
    ...entry(0, 'Slot', task.slot === 0n ? '' : task.slot),
    ...entry(0, 'Service', owners.service),
    ...section(0, 'Status', [
      ...entry(1, 'Desired state', taskStateName(task.desiredState)),
      ...entry(1, 'Last state', taskStateName(taskState(task))),
      ...entry(1, 'Timestamp', status?.timestamp === undefined ? '' : timestampText(status.timestamp)),
      ...entry(1, 'Message', status?.message),
      ...entry(1, 'Error', status?.err),
      ...containerStatusLines(task),
      ...entry(1, 'Ports', portsText(task)),
    ]),
    ...entry(0, 'Node', owners.node),
    ...entry(0, 'Addresses', task.networks.flatMap(({ addresses }) => addresses).join(', ')),
    ...section(0, 'Container', containerLines(task)),
  ];
}

function containerStatusLines(task: Task): readonly PageLine[] {
  const runtime = task.status?.runtimeStatus;
  if (runtime?.case !== 'container') return [];
  const { containerId, pid, exitCode } = runtime.value;
  return [
    ...entry(1, 'Container ID', containerId),
    ...entry(1, 'PID', pid === 0 ? '' : pid),
    ...entry(1, 'Exit code', isTerminal(taskState(task)) ? exitCode : ''),
  ];
}

function containerLines(task: Task): readonly PageLine[] {
  if (task.spec?.runtime.case !== 'container') return [];
  const container = task.spec.runtime.value;
  return [
    ...entry(1, 'Image', container.image),
    ...entry(1, 'Command', words(container.command)),
    ...entry(1, 'Args', words(container.args)),
    ...entry(1, 'Env', words(container.env)),
    ...entry(1, 'Secrets', container.secrets.map(({ secretName }) => secretName).join(', ')),
    ...entry(1, 'Configs', container.configs.map(({ configName }) => configName).join(', ')),
  ];
}
