import { create, type DescMessage } from '@bufbuild/protobuf';
import { Option } from 'commander';

import {
  AnnotationsSchema,
  ConfigSchema,
  ConfigSpecSchema,
  SecretSchema,
  SecretSpecSchema,
  msFromTimestamp,
  type Annotations,
  type Config,
  type Secret,
} from '../../../api/index.js';

import { Code, SwarmError } from '../../../base/index.js';
import { forEach } from '../each.js';
import { driverLines } from '../pages/driver.js';
import { listOption, type Program } from '../program.js';
import { ago, humanSize } from '../render/human.js';
import { entry, pairs, renderPage, section } from '../render/page.js';
import type { Column } from '../render/table.js';
import { resolveConfig, resolveSecret } from '../resolve.js';
import type { Session } from '../session.js';
import { UsageError } from '../usage-error.js';
import { changeLabels, parseLabels, type LabelFlags } from '../values/pairs.js';

/** A little more than the largest config: what is longer is not even read to its end. */
const DATA_BYTES_MAX = 1_024_000;

interface CreateFlags {
  readonly file?: string;
  readonly driver?: string;
  readonly label?: readonly string[];
}

/** What differs between secrets and configs. */
interface Kind<T extends Secret | Config> {
  readonly noun: 'secret' | 'config';
  readonly schema: DescMessage;
  readonly columns: readonly Column[];
  create(session: Session, annotations: Annotations, data: Uint8Array, flags: CreateFlags): Promise<T | undefined>;
  update(session: Session, object: T, labels: Record<string, string>): Promise<T | undefined>;
  list(session: Session): Promise<readonly T[]>;
  resolve(session: Session, given: string): Promise<T>;
  remove(session: Session, id: string): Promise<unknown>;
  row(object: T, nowMs: number): readonly string[];
  page(object: T, nowMs: number): string;
}

const SECRETS: Kind<Secret> = {
  noun: 'secret',
  schema: SecretSchema,
  columns: [
    { title: 'ID', weight: 2, widthMin: 12 },
    { title: 'Name', weight: 4, widthMin: 8 },
    { title: 'Driver', weight: 1 },
    { title: 'Created', weight: 3 },
  ],
  create: async ({ control, call }, annotations, data, { driver }) => {
    const spec = create(SecretSpecSchema, {
      annotations,
      data,
      ...(driver === undefined ? {} : { driver: { name: driver } }),
    });
    return (await control.createSecret({ spec }, call)).secret;
  },
  update: async ({ control, call }, { id, meta, spec }, labels) => {
    const annotations = { ...(spec?.annotations ?? create(AnnotationsSchema)), labels };
    const request = { secretId: id, spec: { ...(spec ?? create(SecretSpecSchema)), annotations } };
    const version = meta?.version === undefined ? {} : { secretVersion: meta.version };
    return (await control.updateSecret({ ...request, ...version }, call)).secret;
  },
  list: async ({ control, call }) => (await control.listSecrets({}, call)).secrets,
  resolve: resolveSecret,
  remove: ({ control, call }, secretId) => control.removeSecret({ secretId }, call),
  row: ({ id, meta, spec }, nowMs) => [
    id,
    spec?.annotations?.name ?? '',
    spec?.driver?.name ?? '',
    ago(meta?.createdAt, nowMs),
  ],
  page: ({ id, meta, spec }, nowMs) =>
    renderPage([
      ...entry(0, 'ID', id),
      ...entry(0, 'Name', spec?.annotations?.name),
      ...section(0, 'Labels', pairs(1, spec?.annotations?.labels ?? {})),
      ...section(0, 'Driver', driverLines(1, spec?.driver)),
      ...entry(0, 'Created', ago(meta?.createdAt, nowMs)),
      ...entry(0, 'Updated', ago(meta?.updatedAt, nowMs)),
    ]),
};

const CONFIGS: Kind<Config> = {
  noun: 'config',
  schema: ConfigSchema,
  columns: [
    { title: 'ID', weight: 2, widthMin: 12 },
    { title: 'Name', weight: 4, widthMin: 8 },
    { title: 'Size', weight: 1 },
    { title: 'Created', weight: 3 },
  ],
  create: async ({ control, call }, annotations, data) =>
    (await control.createConfig({ spec: create(ConfigSpecSchema, { annotations, data }) }, call)).config,
  update: async ({ control, call }, { id, meta, spec }, labels) => {
    const annotations = { ...(spec?.annotations ?? create(AnnotationsSchema)), labels };
    const request = { configId: id, spec: { ...(spec ?? create(ConfigSpecSchema)), annotations } };
    const version = meta?.version === undefined ? {} : { configVersion: meta.version };
    return (await control.updateConfig({ ...request, ...version }, call)).config;
  },
  list: async ({ control, call }) => (await control.listConfigs({}, call)).configs,
  resolve: resolveConfig,
  remove: ({ control, call }, configId) => control.removeConfig({ configId }, call),
  row: ({ id, meta, spec }, nowMs) => [
    id,
    spec?.annotations?.name ?? '',
    humanSize(BigInt(spec?.data.length ?? 0)),
    ago(meta?.createdAt, nowMs),
  ],
  page: ({ id, meta, spec }, nowMs) =>
    renderPage([
      ...entry(0, 'ID', id),
      ...entry(0, 'Name', spec?.annotations?.name),
      ...section(0, 'Labels', pairs(1, spec?.annotations?.labels ?? {})),
      ...entry(0, 'Created', ago(meta?.createdAt, nowMs)),
      ...entry(0, 'Updated', ago(meta?.updatedAt, nowMs)),
      ...entry(0, 'Size', humanSize(BigInt(spec?.data.length ?? 0))),
    ]) + dataText(spec?.data ?? new Uint8Array()),
};

/** Adds the commands about secrets and configs, which differ in little. */
export function addPayloadCommands(program: Program): void {
  add(program, 'Secrets', SECRETS, [
    new Option('-d, --driver <name>', 'let a driver provide the secret instead of sending it'),
  ]);
  add(program, 'Configs', CONFIGS, []);
}

function add<T extends Secret | Config>(
  program: Program,
  description: string,
  kind: Kind<T>,
  createOptions: readonly Option[],
): void {
  const { noun } = kind;
  const group = program.noun(noun, description);
  group.command<CreateFlags>(
    {
      usage: 'create <name>',
      description: `Create a ${noun} from a file or standard input`,
      options: [
        new Option('-f, --file <file>', 'read from this file (-: standard input)'),
        listOption('--label <list>', 'labels (key=value)'),
        ...createOptions,
      ],
    },
    (session, [name = ''], flags) => createPayload(session, kind, name, flags),
  );
  group.command<{ readonly quiet?: boolean }>(
    {
      usage: 'ls',
      aliases: ['list'],
      description: `List ${noun}s`,
      options: [new Option('-q, --quiet', 'show ids only')],
    },
    async (session, _args, { quiet }) => {
      const objects = (await kind.list(session)).toSorted(newestFirst);
      const rows = async (): Promise<readonly (readonly string[])[]> =>
        objects.map((object) => kind.row(object, session.clock.nowMs()));
      await session.printList({ schema: kind.schema, objects, columns: kind.columns, rows }, quiet === true);
    },
  );
  group.command({ usage: `inspect <${noun}>`, description: `Show a ${noun}` }, async (session, [given = '']) => {
    const object = await kind.resolve(session, given);
    await session.printObject(kind.schema, object, async () => kind.page(object, session.clock.nowMs()));
  });
  group.command<LabelFlags>(
    {
      usage: `update <${noun}>`,
      description: `Change the labels of a ${noun}`,
      options: [
        listOption('--label <list>', 'all labels (key=value)'),
        listOption('--add-label <list>', 'add or change labels (key=value)'),
        listOption('--rm-label <list>', 'remove labels by key'),
      ],
    },
    (session, [given = ''], flags) => updatePayload(session, kind, given, flags),
  );
  group.command({ usage: `remove <${noun}s...>`, aliases: ['rm'], description: `Remove ${noun}s` }, (session, given) =>
    forEach(session, given, async (one) => {
      await kind.remove(session, (await kind.resolve(session, one)).id);
      await session.print(one);
    }),
  );
}

async function createPayload<T extends Secret | Config>(
  session: Session,
  kind: Kind<T>,
  name: string,
  flags: CreateFlags,
): Promise<void> {
  const annotations = create(AnnotationsSchema, { name, labels: parseLabels('--label', flags.label ?? []) });
  const data = await readData(session, kind.noun, flags);
  const object = await kind.create(session, annotations, data, flags);
  if (object === undefined) throw new SwarmError(Code.INTERNAL, `the manager answered without a ${kind.noun}`);
  await session.printObject(kind.schema, object, async () => object.id);
}

async function readData({ terminal }: Session, noun: string, { file, driver }: CreateFlags): Promise<Uint8Array> {
  if (driver !== undefined) {
    if (file !== undefined) throw new UsageError('--file and --driver exclude each other');
    return new Uint8Array();
  }
  if (file !== undefined && file !== '-') return terminal.readFile(file, DATA_BYTES_MAX);
  if (terminal.isInputTyped) await terminal.writeError(`Type the ${noun}, then Ctrl-D:\n`);
  return terminal.readInput(DATA_BYTES_MAX);
}

async function updatePayload<T extends Secret | Config>(
  session: Session,
  kind: Kind<T>,
  given: string,
  flags: LabelFlags,
): Promise<void> {
  if (flags.label === undefined && flags.addLabel === undefined && flags.rmLabel === undefined) {
    throw new UsageError(`${kind.noun} update: nothing to change; write --label, --add-label or --rm-label`);
  }
  changeLabels({}, flags);
  const object = await kind.resolve(session, given);
  const changed = await kind.update(session, object, changeLabels(object.spec?.annotations?.labels ?? {}, flags));
  await session.printObject(kind.schema, changed ?? object, async () => object.id);
}

function newestFirst(a: Secret | Config, b: Secret | Config): number {
  return msFromTimestamp(b.meta?.createdAt) - msFromTimestamp(a.meta?.createdAt);
}

/** The content of a config, where it is text. */
function dataText(data: Uint8Array): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(data);
    const isPrintable = !/[^\P{Control}\n\r\t]/u.test(text);
    return isPrintable && text !== '' ? `\n${text.endsWith('\n') ? text : `${text}\n`}` : '';
  } catch {
    return '';
  }
}
