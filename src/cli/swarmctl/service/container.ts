import { create } from '@bufbuild/protobuf';

import {
  ConfigReferenceSchema,
  ContainerSpecSchema,
  FileTargetSchema,
  parseImageReference,
  SecretReferenceSchema,
  type ConfigReference,
  type ContainerSpec,
  type Mount,
  type SecretReference,
  type TaskSpec,
} from '../../../api/index.js';
import { errorText } from '../../../base/index.js';
import { badValue, UsageError } from '../usage-error.js';
import { parseInteger } from '../values/amounts.js';
import { parseAttachment } from '../values/attachment.js';
import { parseDuration } from '../values/duration.js';
import { parseBind, parseNamedPipe, parseTmpfs, parseVolume, withMounts } from '../values/mounts.js';
import { parseUlimit } from '../values/ulimit.js';
import type { References, ServiceFlags } from './flags.js';

/** Anybody in the container may read what it is given. Source: SwarmKit. */
const FILE_MODE = 0o444;

/** Bounds of the kernel. */
const OOM_SCORE = { min: -1000, max: 1000 } as const;

/** Flags that say what runs inside a container. */
const CONTAINER_FLAGS: readonly (keyof ServiceFlags)[] = [
  'image',
  'hostname',
  'command',
  'args',
  'env',
  'dir',
  'user',
  'tty',
  'openStdin',
  'readOnly',
  'init',
  'stopGracePeriod',
  'oomScoreAdj',
  'ulimit',
  'bind',
  'volume',
  'tmpfs',
  'npipe',
  'secret',
  'config',
  'addSecret',
  'rmSecret',
  'addConfig',
  'rmConfig',
  'addCapability',
  'rmCapability',
];

/** The task with its container as the flags change it. */
export function withContainer(task: TaskSpec, flags: ServiceFlags, references: References): TaskSpec {
  if (CONTAINER_FLAGS.every((flag) => flags[flag] === undefined)) return task;
  if (task.runtime.case !== undefined && task.runtime.case !== 'container') {
    throw new UsageError('this service runs no container: only labels, mode, placement and policies can be changed');
  }
  const present = task.runtime.value ?? create(ContainerSpecSchema);
  const container = withLists(withScalars(present, flags), flags);
  return {
    ...task,
    runtime: {
      case: 'container',
      value: {
        ...container,
        secrets: secretsOf(container.secrets, flags, references),
        configs: configsOf(container.configs, flags, references),
        ...capabilitiesOf(container, flags),
      },
    },
  };
}

function withScalars(container: ContainerSpec, flags: ServiceFlags): ContainerSpec {
  const { image, hostname, dir, user, tty, openStdin, readOnly, init, stopGracePeriod, oomScoreAdj } = flags;
  return {
    ...container,
    ...(image === undefined ? {} : { image: checkedImage(image) }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(dir === undefined ? {} : { dir }),
    ...(user === undefined ? {} : { user }),
    ...(tty === undefined ? {} : { tty }),
    ...(openStdin === undefined ? {} : { openStdin }),
    ...(readOnly === undefined ? {} : { readOnly }),
    ...(init === undefined ? {} : { init }),
    ...(stopGracePeriod === undefined
      ? {}
      : { stopGracePeriod: parseDuration('--stop-grace-period', stopGracePeriod) }),
    ...(oomScoreAdj === undefined
      ? {}
      : { oomScoreAdj: BigInt(parseInteger('--oom-score-adj', oomScoreAdj, OOM_SCORE.min, OOM_SCORE.max)) }),
  };
}

function checkedImage(image: string): string {
  try {
    parseImageReference(image);
    return image;
  } catch (error) {
    throw badValue('--image', image, `${errorText(error)}; write name[:tag] or name@digest`);
  }
}

function withLists(container: ContainerSpec, flags: ServiceFlags): ContainerSpec {
  const { command, args, env, ulimit } = flags;
  return {
    ...container,
    ...(command === undefined ? {} : { command: [...command] }),
    ...(args === undefined ? {} : { args: [...args] }),
    ...(env === undefined ? {} : { env: [...env] }),
    ...(ulimit === undefined ? {} : { ulimits: ulimit.map((text) => parseUlimit('--ulimit', text)) }),
    mounts: withMounts(container.mounts, mountsOf(flags)),
  };
}

function mountsOf({ bind, volume, tmpfs, npipe }: ServiceFlags): readonly Mount[] {
  return [
    ...(bind ?? []).map((text) => parseBind('--bind', text)),
    ...(volume ?? []).map((text) => parseVolume('--volume', text)),
    ...(tmpfs ?? []).map((text) => parseTmpfs('--tmpfs', text)),
    ...(npipe ?? []).map((text) => parseNamedPipe('--npipe', text)),
  ];
}

/** Names of the secrets, or configs, that flags add, with the flag that names them. */
export function addedNames(flags: ServiceFlags, kind: 'secret' | 'config'): readonly string[] {
  return additions(flags, kind).map(({ name }) => name);
}

function additions(flags: ServiceFlags, kind: 'secret' | 'config'): ReturnType<typeof parseAttachment>[] {
  const [atCreation, atUpdate] = kind === 'secret' ? [flags.secret, flags.addSecret] : [flags.config, flags.addConfig];
  return [
    ...(atCreation ?? []).map((text) => parseAttachment(`--${kind}`, text)),
    ...(atUpdate ?? []).map((text) => parseAttachment(`--add-${kind}`, text)),
  ];
}

function secretsOf(present: SecretReference[], flags: ServiceFlags, { secretIds }: References): SecretReference[] {
  const added = additions(flags, 'secret').map(({ name, target }) =>
    create(SecretReferenceSchema, {
      secretId: secretIds.get(name) ?? '',
      secretName: name,
      target: { case: 'file', value: fileTarget(target) },
    }),
  );
  const removed = new Set((flags.rmSecret ?? []).map((text) => parseAttachment('--rm-secret', text).name));
  const files = new Set(added.map((reference) => reference.target.value?.name));
  const kept = present.filter(({ secretName, target }) => !removed.has(secretName) && !files.has(target.value?.name));
  return [...kept, ...added];
}

function configsOf(present: ConfigReference[], flags: ServiceFlags, { configIds }: References): ConfigReference[] {
  const added = additions(flags, 'config').map(({ name, target }) =>
    create(ConfigReferenceSchema, {
      configId: configIds.get(name) ?? '',
      configName: name,
      target: { case: 'file', value: fileTarget(target) },
    }),
  );
  const removed = new Set((flags.rmConfig ?? []).map((text) => parseAttachment('--rm-config', text).name));
  const files = new Set(additions(flags, 'config').map(({ target }) => target));
  const kept = present.filter(
    ({ configName, target }) => !removed.has(configName) && !(target.case === 'file' && files.has(target.value.name)),
  );
  return [...kept, ...added];
}

function fileTarget(name: string): ReturnType<typeof create<typeof FileTargetSchema>> {
  return create(FileTargetSchema, { name, uid: '0', gid: '0', mode: FILE_MODE });
}

/** A capability is either added or dropped, never both; naming one twice changes nothing. */
function capabilitiesOf(
  { capabilityAdd, capabilityDrop }: ContainerSpec,
  { addCapability = [], rmCapability = [] }: ServiceFlags,
): Pick<ContainerSpec, 'capabilityAdd' | 'capabilityDrop'> {
  const both = addCapability.find((name) => rmCapability.includes(name));
  if (both !== undefined) throw new UsageError(`--add-capability and --rm-capability both name ${both}`);
  const without = (list: readonly string[], gone: readonly string[]): string[] =>
    list.filter((name) => !gone.includes(name));
  return {
    capabilityAdd: [...new Set([...without(capabilityAdd, rmCapability), ...addCapability])],
    capabilityDrop: [...new Set([...without(capabilityDrop, addCapability), ...rmCapability])],
  };
}
