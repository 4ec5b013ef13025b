import { create, equals } from '@bufbuild/protobuf';
import { Option } from 'commander';

import {
  AnnotationsSchema,
  NodeRole,
  NodeSchema,
  NodeSpec_Availability,
  NodeSpec_Membership,
  NodeSpecSchema,
  NodeStatus_State,
  type Node,
  type NodeSpec,
} from '../../../api/index.js';
import { forEach } from '../each.js';
import { nodeName } from '../names.js';
import { managerStatusText, nodePage } from '../pages/node.js';
import { compareTexts } from '../pages/task-order.js';
import { tasksTable } from '../pages/tasks.js';
import { listOption, type Noun, type Program } from '../program.js';
import { renderPage } from '../render/page.js';
import type { Column } from '../render/table.js';
import { resolveNode } from '../resolve.js';
import type { Session } from '../session.js';
import { UsageError } from '../usage-error.js';
import { changeLabels, type LabelFlags } from '../values/pairs.js';

const COLUMNS: readonly Column[] = [
  { title: 'ID', weight: 5, widthMin: 12 },
  { title: 'Name', weight: 8, widthMin: 8 },
  { title: 'Membership', weight: 1 },
  { title: 'Status', weight: 7 },
  { title: 'Availability', weight: 6 },
  { title: 'Manager Status', weight: 4, widthMin: 11 },
];

/** Commands that set one property of nodes. */
const SETTERS: readonly (readonly [command: string, description: string, change: Partial<NodeSpec>])[] = [
  ['activate', 'Let nodes take tasks', { availability: NodeSpec_Availability.ACTIVE }],
  ['pause', 'Let nodes keep their tasks but take no new ones', { availability: NodeSpec_Availability.PAUSE }],
  ['drain', 'Move the tasks of nodes elsewhere', { availability: NodeSpec_Availability.DRAIN }],
  ['promote', 'Make nodes managers', { desiredRole: NodeRole.MANAGER }],
  ['demote', 'Make nodes workers', { desiredRole: NodeRole.WORKER }],
];

/** Adds the commands about nodes. */
export function addNodeCommands(program: Program): void {
  const noun = program.noun('node', 'Nodes');
  addReaders(noun);
  for (const [command, description, change] of SETTERS) {
    noun.command({ usage: `${command} <nodes...>`, description }, (session, nodes) =>
      forEach(session, nodes, (given) => changeNode(session, given, (spec) => ({ ...spec, ...change }))),
    );
  }
  noun.command<LabelFlags>(
    {
      usage: 'update <node>',
      description: 'Change the labels of a node',
      options: [
        listOption('--label <list>', 'all labels (key=value)'),
        listOption('--add-label <list>', 'add or change labels (key=value)'),
        listOption('--rm-label <list>', 'remove labels by key'),
      ],
    },
    async (session, [given = ''], flags) => {
      if (flags.label === undefined && flags.addLabel === undefined && flags.rmLabel === undefined) {
        throw new UsageError('node update: nothing to change; write --label, --add-label or --rm-label');
      }
      changeLabels({}, flags);
      await changeNode(session, given, (spec) => withLabels(spec, flags));
    },
  );
  noun.command<{ readonly force?: boolean }>(
    {
      usage: 'remove <nodes...>',
      aliases: ['rm'],
      description: 'Remove nodes from the cluster',
      options: [new Option('-f, --force', 'even if the node is up')],
    },
    (session, nodes, flags) =>
      forEach(session, nodes, async (given) => {
        const { id } = await resolveNode(session, given);
        await session.control.removeNode({ nodeId: id, force: flags.force === true }, session.call);
        await session.print(given);
      }),
  );
}

function addReaders(noun: Noun): void {
  noun.command<{ readonly quiet?: boolean }>(
    {
      usage: 'ls',
      aliases: ['list'],
      description: 'List nodes',
      options: [new Option('-q, --quiet', 'show ids only')],
    },
    (session, _args, flags) => list(session, flags.quiet === true),
  );
  noun.command<{ readonly all?: boolean }>(
    {
      usage: 'inspect <node>',
      description: 'Show a node and its tasks',
      options: [new Option('-a, --all', 'show all tasks (default: only those meant to run)')],
    },
    async (session, [given = ''], flags) => {
      const node = await resolveNode(session, given);
      await session.printObject(NodeSchema, node, async () => {
        const { tasks } = await session.control.listTasks({ filters: { nodeIds: [node.id] } }, session.call);
        const table = await tasksTable(session, tasks, flags.all === true);
        return renderPage(nodePage(node, session.clock.nowMs())) + (table === '' ? '' : `\n${table}`);
      });
    },
  );
}

async function list(session: Session, quiet: boolean): Promise<void> {
  const { nodes } = await session.control.listNodes({}, session.call);
  const objects = nodes.toSorted((a, b) => compareTexts(nodeName(a), nodeName(b)) || compareTexts(a.id, b.id));
  const rows = async (): Promise<readonly (readonly string[])[]> =>
    objects.map((node) => [
      node.id,
      nodeName(node),
      NodeSpec_Membership[node.spec?.membership ?? 0] ?? '',
      NodeStatus_State[node.status?.state ?? 0] ?? '',
      NodeSpec_Availability[node.spec?.availability ?? 0] ?? '',
      managerStatusText(node),
    ]);
  await session.printList({ schema: NodeSchema, objects, columns: COLUMNS, rows }, quiet);
}

async function changeNode(session: Session, given: string, change: (spec: NodeSpec) => NodeSpec): Promise<void> {
  const node: Node = await resolveNode(session, given);
  const present = node.spec ?? create(NodeSpecSchema);
  const spec = change(present);
  if (equals(NodeSpecSchema, present, spec)) {
    await session.note(`node ${given}: nothing to change`);
    return;
  }
  await session.control.updateNode(
    { nodeId: node.id, ...(node.meta?.version === undefined ? {} : { nodeVersion: node.meta.version }), spec },
    session.call,
  );
  await session.print(given);
}

function withLabels(spec: NodeSpec, flags: LabelFlags): NodeSpec {
  const annotations = spec.annotations ?? create(AnnotationsSchema);
  return { ...spec, annotations: { ...annotations, labels: changeLabels(annotations.labels, flags) } };
}
