import { Option } from 'commander';

import { TaskSchema, taskStateName, type Task } from '../../../api/index.js';
import { forEach } from '../each.js';
import { nodeNames, serviceNames } from '../names.js';
import { taskPage } from '../pages/task.js';
import { lastState, portsText, reason, shownTasks, tasksTable } from '../pages/tasks.js';
import type { Program } from '../program.js';
import { renderPage } from '../render/page.js';
import type { Column } from '../render/table.js';
import { resolveTask } from '../resolve.js';
import type { Session } from '../session.js';
import { addLogsCommand } from './logs.js';

interface ListFlags {
  readonly all?: boolean;
  readonly quiet?: boolean;
}

const COLUMNS: readonly Column[] = [
  { title: 'ID', weight: 6, widthMin: 12 },
  { title: 'Service', weight: 8, widthMin: 8 },
  { title: 'Desired State', weight: 2, widthMin: 8 },
  { title: 'Last State', weight: 7, widthMin: 10 },
  { title: 'Node', weight: 5, widthMin: 6 },
  { title: 'Ports', weight: 1, widthMin: 8 },
  { title: 'Error', weight: 3, widthMin: 12 },
];

/** Adds the commands about tasks. */
export function addTaskCommands(program: Program): void {
  const noun = program.noun('task', 'Tasks');
  noun.command<ListFlags>(
    {
      usage: 'ls',
      aliases: ['list'],
      description: 'List tasks',
      options: [
        new Option('-a, --all', 'show all tasks (default: only those meant to run)'),
        new Option('-q, --quiet', 'show ids only'),
      ],
    },
    async (session, _args, flags) => {
      await listedTasks(session, (await session.control.listTasks({}, session.call)).tasks, flags);
    },
  );
  noun.command({ usage: 'inspect <task>', description: 'Show a task and those before it' }, inspect);
  noun.command(
    { usage: 'remove <tasks...>', aliases: ['rm'], description: 'Delete tasks; their services replace them' },
    (session, tasks) =>
      forEach(session, tasks, async (given) => {
        const { id } = await resolveTask(session, given);
        await session.control.removeTask({ taskId: id }, session.call);
        await session.print(given);
      }),
  );
  addLogsCommand(noun, {
    usage: 'logs <tasks...>',
    description: 'Show what tasks print',
    selectorOf: async (session, tasks) => ({
      taskIds: (await Promise.all(tasks.map((given) => resolveTask(session, given)))).map(({ id }) => id),
    }),
  });
}

/** Prints tasks as a list. */
export async function listedTasks(session: Session, tasks: readonly Task[], flags: ListFlags): Promise<void> {
  const objects = shownTasks(tasks, flags.all === true);
  await session.printList(
    { schema: TaskSchema, objects, columns: COLUMNS, rows: () => rows(session, objects) },
    flags.quiet === true,
  );
}

async function rows(session: Session, tasks: readonly Task[]): Promise<readonly (readonly string[])[]> {
  const [nodes, services] = await Promise.all([
    nodeNames(
      session,
      tasks.map(({ nodeId }) => nodeId),
    ),
    serviceNames(
      session,
      tasks.map(({ serviceId }) => serviceId),
    ),
  ]);
  return tasks.map((task) => [
    task.id,
    `${services.get(task.serviceId) ?? task.serviceId}${task.slot === 0n ? '' : `.${task.slot}`}`,
    taskStateName(task.desiredState),
    lastState(task, session.clock.nowMs()),
    nodes.get(task.nodeId) ?? task.nodeId,
    portsText(task),
    reason(task),
  ]);
}

async function inspect(session: Session, [given = '']: readonly string[]): Promise<void> {
  const task = await resolveTask(session, given);
  await session.printObject(TaskSchema, task, async () => {
    const [services, nodes, previous] = await Promise.all([
      serviceNames(session, [task.serviceId]),
      nodeNames(session, [task.nodeId]),
      previousTasks(session, task),
    ]);
    const owners = {
      service: services.get(task.serviceId) ?? task.serviceId,
      node: nodes.get(task.nodeId) ?? task.nodeId,
    };
    const table = await tasksTable(session, previous, true);
    return renderPage(taskPage(task, owners)) + (table === '' ? '' : `\nOther tasks of the same slot:\n${table}`);
  });
}

/** The other tasks of the same slot, or of the same node for a global service. */
async function previousTasks({ control, call }: Session, task: Task): Promise<readonly Task[]> {
  if (task.serviceId === '') return [];
  const { tasks } = await control.listTasks({ filters: { serviceIds: [task.serviceId] } }, call);
  return tasks.filter(
    ({ id, slot, nodeId }) => id !== task.id && slot === task.slot && (slot !== 0n || nodeId === task.nodeId),
  );
}
