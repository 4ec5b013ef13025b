import { PortConfig_Protocol, taskState, taskStateName, TaskState, type Task } from '../../../api/index.js';
import { nodeNames, type Names } from '../names.js';
import { ago } from '../render/human.js';
import type { Column } from '../render/table.js';
import type { Session } from '../session.js';
import { compareTasks } from './task-order.js';

/** Columns of tasks under a page or in `service ps`. */
const COLUMNS: readonly Column[] = [
  { title: 'Task ID', weight: 6, widthMin: 12 },
  { title: 'Service', weight: 5 },
  { title: 'Slot', weight: 7 },
  { title: 'Image', weight: 1, widthMin: 8 },
  { title: 'Desired State', weight: 2, widthMin: 8 },
  { title: 'Last State', weight: 8, widthMin: 10 },
  { title: 'Node', weight: 4, widthMin: 6 },
  { title: 'Ports', weight: 3, widthMin: 8 },
  { title: 'Error', weight: 3, widthMin: 12 },
];

/** Tasks that are meant to run; with `all`, the history too. In the order of service, slot and age. */
export function shownTasks(tasks: readonly Task[], all: boolean): readonly Task[] {
  return tasks.filter((task) => all || task.desiredState <= TaskState.RUNNING).sort(compareTasks);
}

/** Tasks as a table; empty where there are none to show. */
export async function tasksTable(session: Session, tasks: readonly Task[], all: boolean): Promise<string> {
  const shown = shownTasks(tasks, all);
  if (shown.length === 0) return '';
  const nodes = await nodeNames(
    session,
    shown.map(({ nodeId }) => nodeId),
  );
  return session.table(
    COLUMNS,
    shown.map((task) => taskRow(task, nodes, session.clock.nowMs())),
  );
}

/** `RUNNING 3 minutes ago` */
export function lastState(task: Task, nowMs: number): string {
  return `${taskStateName(taskState(task))} ${ago(task.status?.timestamp, nowMs)}`.trimEnd();
}

/** Why a task does not run (yet); empty while there is nothing to say. */
export function reason({ status }: Task): string {
  return status?.err ?? '';
}

/** Ports that a task publishes on its node. */
export function portsText(task: Task): string {
  return (task.status?.portStatus?.ports ?? [])
    .map(({ publishedPort, targetPort, protocol }) => {
      const name = (PortConfig_Protocol[protocol] ?? '').toLowerCase();
      return publishedPort === 0 ? `${targetPort}/${name}` : `*:${publishedPort}->${targetPort}/${name}`;
    })
    .join(', ');
}

/** The image of a task or service; empty where it runs no container. */
export function imageOf(spec: Task['spec']): string {
  return spec?.runtime.case === 'container' ? spec.runtime.value.image : '';
}

function taskRow(task: Task, nodes: Names, nowMs: number): readonly string[] {
  return [
    task.id,
    task.serviceAnnotations?.name ?? '',
    task.slot === 0n ? '' : task.slot.toString(),
    imageOf(task.spec),
    taskStateName(task.desiredState),
    lastState(task, nowMs),
    nodes.get(task.nodeId) ?? task.nodeId,
    portsText(task),
    reason(task),
  ];
}
