import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Option } from 'commander';

import {
  CAConfigSchema,
  ClusterSchema,
  ClusterSpecSchema,
  DispatcherConfigSchema,
  EncryptionConfigSchema,
  HealthCheckResponse_ServingStatus,
  OrchestrationConfigSchema,
  TaskDefaultsSchema,
  type Cluster,
  type ClusterSpec,
  type KeyRotationSchema,
} from '../../../api/index.js';
import { Code, isSwarmError, SwarmError } from '../../../base/index.js';
import { formatUnlockKey } from '../../../ca/unlock-key.js';
import { clusterPage } from '../pages/cluster.js';
import { listOption, repeatedOption, switchOptions, type Noun, type Program } from '../program.js';
import { ago } from '../render/human.js';
import { renderJson } from '../render/json.js';
import { renderPage } from '../render/page.js';
import { logDriverOf } from '../service/log-driver.js';
import type { Session } from '../session.js';
import { UsageError } from '../usage-error.js';
import { parseCount } from '../values/amounts.js';
import { parseChoice } from '../values/choice.js';
import { parseDuration } from '../values/duration.js';
import { parseExternalCa } from '../values/external-ca.js';

/** The one cluster that a swarm has. */
const DEFAULT_NAME = 'default';

/** Parts of a manager that tell whether they work, as health checks name them. */
const HEALTH_SERVICES = ['ControlAPI', 'Raft'] as const;

const ROLES = { worker: 'worker', manager: 'manager' } as const;

interface UpdateFlags {
  readonly taskhistory?: string;
  readonly certexpiry?: string;
  readonly externalCa?: readonly string[];
  readonly heartbeatperiod?: string;
  readonly logDriver?: string;
  readonly logOpt?: readonly string[];
  readonly rotateJoinToken?: string;
  readonly rotateUnlockKey?: boolean;
  readonly autolock?: boolean;
}

type Rotation = MessageInitShape<typeof KeyRotationSchema>;

/** Adds the commands about the cluster. */
export function addClusterCommands(program: Program): void {
  const noun = program.noun('cluster', 'The cluster');
  addReaders(noun);
  addKeys(noun);
  noun.command<UpdateFlags>(
    {
      usage: 'update [cluster]',
      description: 'Change settings of the cluster',
      options: [
        new Option('--taskhistory <count>', 'ended tasks kept for each slot or node'),
        new Option('--certexpiry <duration>', 'validity of node certificates (stock default 2160h)'),
        repeatedOption('--external-ca <ca>', 'signing service: protocol=cfssl,url=https://…; may be repeated'),
        new Option('--heartbeatperiod <duration>', 'how often agents tell that they are there'),
        new Option('--log-driver <name>', 'log driver of tasks that name none'),
        listOption('--log-opt <list>', 'options of the log driver (key=value)'),
        new Option('--rotate-join-token <role>', 'make a new join token: worker or manager'),
        new Option('--rotate-unlock-key', 'make a new key that unlocks managers'),
        ...switchOptions('autolock', 'lock managers: the unlock key is needed when one starts'),
      ],
    },
    (session, [given], flags) => update(session, given, flags),
  );
}

function addReaders(noun: Noun): void {
  noun.command<{ readonly quiet?: boolean }>(
    {
      usage: 'ls',
      aliases: ['list'],
      description: 'List clusters',
      options: [new Option('-q, --quiet', 'show ids only')],
    },
    async (session, _args, { quiet }) => {
      const { clusters } = await session.control.listClusters({}, session.call);
      const rows = async (): Promise<readonly (readonly string[])[]> =>
        clusters.map(({ id, spec, meta }) => [
          id,
          spec?.annotations?.name ?? '',
          ago(meta?.createdAt, session.clock.nowMs()),
        ]);
      const columns = [
        { title: 'ID', weight: 2, widthMin: 12 },
        { title: 'Name', weight: 3 },
        { title: 'Created', weight: 1 },
      ];
      await session.printList({ schema: ClusterSchema, objects: clusters, columns, rows }, quiet === true);
    },
  );
  noun.command({ usage: 'inspect [cluster]', description: 'Show the cluster' }, async (session, [given]) => {
    const cluster = await find(session, given);
    await session.printObject(ClusterSchema, cluster, async () =>
      renderPage(clusterPage(cluster, await healthOf(session), session.clock.nowMs())),
    );
  });
}

function addKeys(noun: Noun): void {
  noun.command<{ readonly rotate?: boolean; readonly quiet?: boolean }>(
    {
      usage: 'join-token <role>',
      description: 'Show how a worker or a manager joins',
      options: [
        new Option('--rotate', 'make a new token; the present one admits nobody any more'),
        new Option('-q, --quiet', 'show the token only'),
      ],
    },
    (session, [role = ''], flags) => joinToken(session, role, flags),
  );
  noun.command<{ readonly rotate?: boolean; readonly quiet?: boolean }>(
    {
      usage: 'unlock-key [cluster]',
      description: 'Show the key that unlocks managers',
      options: [new Option('--rotate', 'make a new key'), new Option('-q, --quiet', 'show the key only')],
    },
    async (session, [given], flags) => {
      const cluster = await find(session, given);
      if (flags.rotate === true) {
        if (cluster.spec?.encryptionConfig?.autoLockManagers !== true) {
          throw new SwarmError(Code.FAILED_PRECONDITION, 'managers are not locked: there is no key to rotate');
        }
        await change(session, cluster, specOf(cluster), { managerUnlockKey: true });
      }
      await showUnlockKey(session, flags.quiet === true);
    },
  );
}

async function update(session: Session, given: string | undefined, flags: UpdateFlags): Promise<void> {
  if (Object.keys(flags).every((flag) => !Object.hasOwn(FLAG_NAMES, flag))) {
    throw new UsageError(`cluster update: nothing to change; write ${Object.values(FLAG_NAMES).join(', ')}`);
  }
  withSettings(create(ClusterSpecSchema), flags);
  const role =
    flags.rotateJoinToken === undefined
      ? undefined
      : parseChoice('--rotate-join-token', flags.rotateJoinToken.toLowerCase(), ROLES);
  const cluster = await find(session, given);
  const changed = await change(session, cluster, withSettings(specOf(cluster), flags), {
    workerJoinToken: role === 'worker',
    managerJoinToken: role === 'manager',
    managerUnlockKey: flags.rotateUnlockKey === true,
  });
  await session.printObject(ClusterSchema, changed, async () => changed.id);
  const isLocked = changed.spec?.encryptionConfig?.autoLockManagers === true;
  if (!session.flags.json && isLocked && (flags.rotateUnlockKey === true || flags.autolock === true)) {
    await showUnlockKey(session, false);
  }
}

/** Flags that change something, as they are typed. */
const FLAG_NAMES: Readonly<Record<keyof UpdateFlags, string>> = {
  taskhistory: '--taskhistory',
  certexpiry: '--certexpiry',
  externalCa: '--external-ca',
  heartbeatperiod: '--heartbeatperiod',
  logDriver: '--log-driver',
  logOpt: '--log-opt',
  rotateJoinToken: '--rotate-join-token',
  rotateUnlockKey: '--rotate-unlock-key',
  autolock: '--autolock',
};

/**
 * The settings as the flags change them.
 * @throws UsageError that names the flag.
 */
export function withSettings(spec: ClusterSpec, flags: UpdateFlags): ClusterSpec {
  const { taskhistory, certexpiry, externalCa, heartbeatperiod, autolock } = flags;
  const logDriver = logDriverOf(flags);
  const orchestration = spec.orchestration ?? create(OrchestrationConfigSchema);
  const dispatcher = spec.dispatcher ?? create(DispatcherConfigSchema);
  const encryptionConfig = spec.encryptionConfig ?? create(EncryptionConfigSchema);
  const caConfig = {
    ...(spec.caConfig ?? create(CAConfigSchema)),
    ...(certexpiry === undefined ? {} : { nodeCertExpiry: parseDuration('--certexpiry', certexpiry) }),
    ...(externalCa === undefined ? {} : { externalCas: externalCa.map((ca) => parseExternalCa('--external-ca', ca)) }),
  };
  return {
    ...spec,
    caConfig,
    ...(taskhistory === undefined
      ? {}
      : { orchestration: { ...orchestration, taskHistoryRetentionLimit: parseCount('--taskhistory', taskhistory) } }),
    ...(heartbeatperiod === undefined
      ? {}
      : { dispatcher: { ...dispatcher, heartbeatPeriod: parseDuration('--heartbeatperiod', heartbeatperiod) } }),
    ...(logDriver === undefined
      ? {}
      : { taskDefaults: { ...(spec.taskDefaults ?? create(TaskDefaultsSchema)), logDriver } }),
    ...(autolock === undefined ? {} : { encryptionConfig: { ...encryptionConfig, autoLockManagers: autolock } }),
  };
}

async function joinToken(
  session: Session,
  given: string,
  { rotate, quiet }: { readonly rotate?: boolean; readonly quiet?: boolean },
): Promise<void> {
  const role = parseChoice('role', given, ROLES);
  const present = await find(session, undefined);
  const cluster =
    rotate === true
      ? await change(session, present, specOf(present), {
          workerJoinToken: role === 'worker',
          managerJoinToken: role === 'manager',
        })
      : present;
  const token = cluster.rootCa?.joinTokens?.[role] ?? '';
  if (session.flags.json) return session.print(renderJson({ role, token, managers: await managerAddresses(session) }));
  if (quiet === true) return session.print(token);
  const [address = '<manager address>'] = await managerAddresses(session);
  await session.print(
    [
      `To add a ${role} to this swarm, run on the other machine one of:`,
      '',
      `    swarmd --join-addr ${address} --join-token ${token}`,
      `    docker swarm join --token ${token} ${address}`,
    ].join('\n'),
  );
}

/** Addresses of managers that answer, the leader's first. */
async function managerAddresses({ control, call }: Session): Promise<readonly string[]> {
  const { nodes } = await control.listNodes({}, call);
  return nodes
    .flatMap(({ managerStatus }) => (managerStatus === undefined ? [] : [managerStatus]))
    .toSorted((a, b) => Number(b.leader) - Number(a.leader))
    .map(({ addr }) => addr)
    .filter((addr) => addr !== '');
}

async function showUnlockKey(session: Session, quiet: boolean): Promise<void> {
  const { unlockKey } = await session.ca.getUnlockKey({}, session.call);
  const key = unlockKey.length === 0 ? '' : formatUnlockKey(unlockKey);
  if (session.flags.json) await session.print(renderJson({ locked: key !== '', unlockKey: key }));
  else if (key === '') await session.note('Managers are not locked: no key is needed.');
  else if (quiet) await session.print(key);
  else
    await session.print(
      `Managers are locked. Keep this key: without it, a manager that stopped does not start.\n\n    ${key}`,
    );
}

async function change(session: Session, cluster: Cluster, spec: ClusterSpec, rotation: Rotation): Promise<Cluster> {
  const version = cluster.meta?.version === undefined ? {} : { clusterVersion: cluster.meta.version };
  const reply = await session.control.updateCluster(
    { clusterId: cluster.id, ...version, spec, rotation },
    session.call,
  );
  return reply.cluster ?? cluster;
}

/** The cluster by name or id; the only one where none is named. */
async function find({ control, call }: Session, given: string | undefined): Promise<Cluster> {
  const name = given ?? DEFAULT_NAME;
  const { clusters } = await control.listClusters({}, call);
  const found = clusters.find(({ id, spec }) => id === name || spec?.annotations?.name === name);
  if (found === undefined) throw new SwarmError(Code.NOT_FOUND, `cluster ${name} not found`);
  return found;
}

function specOf(cluster: Cluster): ClusterSpec {
  return cluster.spec ?? create(ClusterSpecSchema);
}

async function healthOf({ health, call }: Session): Promise<readonly (readonly [service: string, state: string])[]> {
  return Promise.all(
    HEALTH_SERVICES.map(async (service) => {
      try {
        const { status } = await health.check({ service }, call);
        return [service, HealthCheckResponse_ServingStatus[status] ?? ''] as const;
      } catch (error) {
        if (isSwarmError(error, Code.NOT_FOUND) || isSwarmError(error, Code.UNIMPLEMENTED)) {
          return [service, 'UNKNOWN'] as const;
        }
        throw error;
      }
    }),
  );
}
