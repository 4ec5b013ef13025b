import { create, equals } from '@bufbuild/protobuf';
import { Option } from 'commander';

import {
  ServiceSchema,
  ServiceSpecSchema,
  UpdateServiceRequest_Rollback,
  type Service,
  type ServiceSpec,
} from '../../../api/index.js';
import { Code, SwarmError } from '../../../base/index.js';
import { forEach } from '../each.js';
import { NO_COUNTS, modeName, replicasText, type Counts } from '../pages/replicas.js';
import { networkTargets, portText, servicePage } from '../pages/service.js';
import { compareTexts } from '../pages/task-order.js';
import { imageOf, tasksTable } from '../pages/tasks.js';
import type { Noun, Program } from '../program.js';
import { messageJson, renderJson } from '../render/json.js';
import { renderPage } from '../render/page.js';
import type { Column } from '../render/table.js';
import { resolveNetwork, resolveService } from '../resolve.js';
import { followService } from '../service/follow.js';
import type { Aim } from '../service/progress.js';
import type { ServiceFlags } from '../service/flags.js';
import { createOptions, serviceOptions, updateOptions, WAIT_OPTIONS } from '../service/options.js';
import { lookUpReferences, withEnvironmentFiles } from '../service/references.js';
import { newServiceSpec, withFlags, withReplicas } from '../service/spec.js';
import type { Session } from '../session.js';
import { UsageError } from '../usage-error.js';
import { parseCount } from '../values/amounts.js';
import { parseMilliseconds } from '../values/duration.js';
import { splitPair } from '../values/pairs.js';
import { addLogsCommand } from './logs.js';
import { listedTasks } from './task.js';

interface WaitFlags {
  readonly detach?: boolean;
  readonly timeout?: string;
}

const COLUMNS: readonly Column[] = [
  { title: 'ID', weight: 5, widthMin: 12 },
  { title: 'Name', weight: 8, widthMin: 8 },
  { title: 'Mode', weight: 3 },
  { title: 'Image', weight: 4, widthMin: 8 },
  { title: 'Replicas', weight: 7 },
  { title: 'Ports', weight: 2, widthMin: 8 },
];

/** A spec to which every flag applies. */
const ANY_SPEC = create(ServiceSpecSchema, { mode: { case: 'replicated', value: {} } });

/** Adds the commands about services. */
export function addServiceCommands(program: Program): void {
  const noun = program.noun('service', 'Services', ['svc']);
  addChanges(noun);
  addReaders(noun);
  addLogsCommand(noun, {
    usage: 'logs <services...>',
    description: 'Show what the tasks of services print',
    selectorOf: async (session, services) => ({
      serviceIds: (await Promise.all(services.map((given) => resolveService(session, given)))).map(({ id }) => id),
    }),
  });
}

function addChanges(noun: Noun): void {
  noun.command<ServiceFlags & WaitFlags>(
    {
      usage: 'create',
      description: 'Create a service, and wait until it runs',
      options: [...serviceOptions(), ...createOptions(), ...WAIT_OPTIONS()],
    },
    (session, _args, flags) => createService(session, flags),
  );
  noun.command<ServiceFlags & WaitFlags>(
    {
      usage: 'update <service>',
      description: 'Change a service, and wait until it runs as changed',
      options: [...serviceOptions(), ...updateOptions(), ...WAIT_OPTIONS()],
    },
    (session, [given = ''], flags) => update(session, given, flags),
  );
  noun.command<WaitFlags>(
    {
      usage: 'scale <service=replicas...>',
      description: 'Set how many tasks replicated services have',
      options: WAIT_OPTIONS(),
    },
    scale,
  );
  noun.command<WaitFlags>(
    { usage: 'rollback <service>', description: 'Go back to the previous spec of a service', options: WAIT_OPTIONS() },
    (session, [given = ''], flags) => rollback(session, given, flags),
  );
  noun.command(
    { usage: 'remove <services...>', aliases: ['rm'], description: 'Remove services and their tasks' },
    (session, services) =>
      forEach(session, services, async (given) => {
        const { id } = await resolveService(session, given);
        await session.control.removeService({ serviceId: id }, session.call);
        await session.print(given);
      }),
  );
}

function addReaders(noun: Noun): void {
  const all = new Option('-a, --all', 'show all tasks (default: only those meant to run)');
  const quiet = new Option('-q, --quiet', 'show ids only');
  noun.command<{ readonly quiet?: boolean }>(
    { usage: 'ls', aliases: ['list'], description: 'List services', options: [quiet] },
    (session, _args, flags) => list(session, flags.quiet === true),
  );
  noun.command<{ readonly all?: boolean }>(
    { usage: 'inspect <service>', description: 'Show a service and its tasks', options: [all] },
    (session, [given = ''], flags) => inspect(session, given, flags.all === true),
  );
  noun.command<{ readonly all?: boolean; readonly quiet?: boolean }>(
    { usage: 'ps <services...>', aliases: ['tasks'], description: 'List the tasks of services', options: [all, quiet] },
    async (session, services, flags) => {
      const found = await Promise.all(services.map((given) => resolveService(session, given)));
      const filters = { serviceIds: found.map(({ id }) => id) };
      const { tasks } = await session.control.listTasks({ filters }, session.call);
      await listedTasks(session, tasks, flags);
    },
  );
}

async function createService(session: Session, given: ServiceFlags & WaitFlags): Promise<void> {
  const timeoutMs = timeoutOf(given);
  const flags = await withEnvironmentFiles(session, given);
  // Once without what is in the cluster: a mistyped flag is refused before anything is asked.
  newServiceSpec(flags);
  const spec = newServiceSpec(flags, await lookUpReferences(session, flags));
  const { service } = await session.control.createService({ spec }, session.call);
  await finish(session, service, 'forward', given, timeoutMs);
}

async function update(session: Session, given: string, changes: ServiceFlags & WaitFlags): Promise<void> {
  const timeoutMs = timeoutOf(changes);
  const flags = await withEnvironmentFiles(session, changes);
  // On any spec at first: a mistyped flag is refused before anything is asked.
  withFlags(ANY_SPEC, flags);
  const service = await resolveService(session, given);
  const present = specOf(service);
  const spec = withFlags(present, flags, await lookUpReferences(session, flags));
  if (equals(ServiceSpecSchema, present, spec)) {
    await session.note(`service ${given}: nothing to change`);
    return;
  }
  await finish(session, await send(session, service, spec), 'forward', changes, timeoutMs);
}

async function scale(session: Session, wishes: readonly string[], flags: WaitFlags): Promise<void> {
  const timeoutMs = timeoutOf(flags);
  const parsed = wishes.map((wish) => {
    const [name, text] = splitPair(wish);
    if (name === '' || text === undefined) throw new UsageError(`${wish}: write service=replicas, such as web=3`);
    return { name, replicas: parseCount(wish, text) };
  });
  const services: (Service | undefined)[] = [];
  for (const { name, replicas } of parsed) {
    const service = await resolveService(session, name);
    services.push(await send(session, service, withReplicas(name, specOf(service), replicas)));
  }
  for (const service of services) await finish(session, service, 'forward', flags, timeoutMs);
}

async function rollback(session: Session, given: string, flags: WaitFlags): Promise<void> {
  const timeoutMs = timeoutOf(flags);
  const service = await resolveService(session, given);
  const reply = await session.control.updateService(
    {
      serviceId: service.id,
      ...versionOf(service),
      spec: specOf(service),
      rollback: UpdateServiceRequest_Rollback.PREVIOUS,
    },
    session.call,
  );
  await finish(session, reply.service, 'rollback', flags, timeoutMs);
}

async function send(session: Session, service: Service, spec: ServiceSpec): Promise<Service | undefined> {
  const request = { serviceId: service.id, ...versionOf(service), spec };
  return (await session.control.updateService(request, session.call)).service;
}

/** Prints the object that was written, then shows how the cluster follows. */
async function finish(
  session: Session,
  service: Service | undefined,
  aim: Aim,
  { detach }: WaitFlags,
  timeoutMs: number | undefined,
): Promise<void> {
  if (service === undefined) throw new SwarmError(Code.INTERNAL, 'the manager answered without a service');
  await session.print(session.flags.json ? renderJson(messageJson(ServiceSchema, service)) : service.id);
  if (detach !== true) await followService(session, service.id, { aim, timeoutMs });
}

function timeoutOf({ detach, timeout }: WaitFlags): number | undefined {
  if (timeout === undefined) return undefined;
  if (detach === true) throw new UsageError('--timeout: there is nothing to wait for with --detach');
  return parseMilliseconds('--timeout', timeout);
}

function specOf(service: Service): ServiceSpec {
  if (service.spec === undefined) throw new SwarmError(Code.INTERNAL, `service ${service.id} has no spec`);
  return service.spec;
}

function versionOf({ meta }: Service): {
  readonly serviceVersion?: NonNullable<NonNullable<Service['meta']>['version']>;
} {
  return meta?.version === undefined ? {} : { serviceVersion: meta.version };
}

async function list(session: Session, quiet: boolean): Promise<void> {
  const { services } = await session.control.listServices({}, session.call);
  const objects = services.toSorted((a, b) => compareTexts(nameOf(a), nameOf(b)));
  await session.printList(
    {
      schema: ServiceSchema,
      objects,
      columns: COLUMNS,
      rows: async () => {
        const counts = await countsOf(
          session,
          objects.map(({ id }) => id),
        );
        return objects.map((service) => [
          service.id,
          nameOf(service),
          modeName(service),
          imageOf(service.spec?.task),
          replicasText(service, counts.get(service.id) ?? NO_COUNTS),
          (service.endpoint?.ports ?? service.spec?.endpoint?.ports ?? []).map(portText).join(', '),
        ]);
      },
    },
    quiet,
  );
}

async function inspect(session: Session, given: string, all: boolean): Promise<void> {
  const service = await resolveService(session, given);
  await session.printObject(ServiceSchema, service, async () => {
    const [counts, networks, { tasks }] = await Promise.all([
      countsOf(session, [service.id]),
      networkNames(session, service),
      session.control.listTasks({ filters: { serviceIds: [service.id] } }, session.call),
    ]);
    const lines = servicePage(service, counts.get(service.id) ?? NO_COUNTS, networks, session.clock.nowMs());
    const table = await tasksTable(session, tasks, all);
    return renderPage(lines) + (table === '' ? '' : `\n${table}`);
  });
}

async function networkNames(session: Session, service: Service): Promise<ReadonlyMap<string, string>> {
  if (!session.flags.resolve) return new Map();
  const ids = networkTargets(service.spec);
  const networks = await Promise.all(ids.map((id) => resolveNetwork(session, id)));
  return new Map(networks.map(({ spec }, at) => [ids[at] ?? '', spec?.annotations?.name ?? '']));
}

async function countsOf(session: Session, ids: string[]): Promise<ReadonlyMap<string, Counts>> {
  if (ids.length === 0) return new Map();
  const { statuses } = await session.control.listServiceStatuses({ services: ids }, session.call);
  return new Map(statuses.map((status) => [status.serviceId, status]));
}

function nameOf(service: Service): string {
  return service.spec?.annotations?.name ?? '';
}
