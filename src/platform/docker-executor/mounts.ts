import { isAbsolute } from 'node:path';

import { Mount_BindOptions_Propagation, Mount_Type } from '../../api/index.js';
import type { Mount } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';

const TYPES = new Map<Mount_Type, string>([
  [Mount_Type.BIND, 'bind'],
  [Mount_Type.VOLUME, 'volume'],
  [Mount_Type.TMPFS, 'tmpfs'],
  [Mount_Type.NPIPE, 'npipe'],
]);

/**
 * Refuses mounts that the engine would take for something else. Source: engine-api E-416.
 * @throws SwarmError InvalidArgument.
 */
export function checkMounts(mounts: readonly Mount[]): void {
  for (const mount of mounts) {
    const problem = problemOf(mount);
    if (problem !== undefined) throw new SwarmError(Code.INVALID_ARGUMENT, problem);
  }
}

function problemOf({ type, source, target }: Mount): string | undefined {
  if (!isAbsolute(target) && type !== Mount_Type.NPIPE) {
    return `invalid mount target, must be an absolute path: ${target}`;
  }
  switch (type) {
    case Mount_Type.BIND:
      return isAbsolute(source) ? undefined : `invalid bind mount source, must be an absolute path: ${source}`;
    case Mount_Type.VOLUME:
      return isAbsolute(source) ? `invalid volume mount source, must not be an absolute path: ${source}` : undefined;
    case Mount_Type.TMPFS:
      return source === '' ? undefined : 'invalid tmpfs source, source must be empty';
    case Mount_Type.NPIPE:
      return source === '' ? 'invalid npipe source, source must not be empty' : undefined;
    case Mount_Type.CLUSTER:
      return 'mounts: cluster volumes are not supported by this executor';
    default:
      return `invalid mount type: ${String(type)}`;
  }
}

/** A mount of a container, in the words of the engine's API. */
export interface EngineMount {
  readonly Type: string;
  readonly Source: string;
  readonly Target: string;
  readonly ReadOnly: boolean;
  readonly BindOptions?: object;
  readonly VolumeOptions?: object;
  readonly TmpfsOptions?: object;
}

/** A mount as the engine takes it. */
export function engineMount(mount: Mount): EngineMount {
  const { bindOptions, volumeOptions, tmpfsOptions } = mount;
  return {
    Type: TYPES.get(mount.type) ?? 'bind',
    Source: mount.source,
    Target: mount.target,
    ReadOnly: mount.readonly,
    ...(bindOptions === undefined
      ? {}
      : {
          BindOptions: {
            Propagation: propagationName(bindOptions.propagation),
            NonRecursive: bindOptions.nonrecursive,
            CreateMountpoint: bindOptions.createmountpoint,
            ReadOnlyNonRecursive: bindOptions.readonlynonrecursive,
            ReadOnlyForceRecursive: bindOptions.readonlyforcerecursive,
          },
        }),
    ...(volumeOptions === undefined
      ? {}
      : {
          VolumeOptions: {
            NoCopy: volumeOptions.nocopy,
            Labels: volumeOptions.labels,
            ...(volumeOptions.subpath === '' ? {} : { Subpath: volumeOptions.subpath }),
            ...(volumeOptions.driverConfig === undefined
              ? {}
              : {
                  DriverConfig: { Name: volumeOptions.driverConfig.name, Options: volumeOptions.driverConfig.options },
                }),
          },
        }),
    ...(tmpfsOptions === undefined
      ? {}
      : {
          TmpfsOptions: {
            SizeBytes: Number(tmpfsOptions.sizeBytes),
            Mode: tmpfsOptions.mode,
            ...tmpfsExtra(tmpfsOptions.options),
          },
        }),
  };
}

/**
 * A plain bind mount in the short form, which the engine does not check when the container is created: a
 * source that is not there fails the start of the task and not its preparation. Undefined where the short
 * form cannot say it.
 */
export function shortBind(mount: Mount): string | undefined {
  const { type, source, target, readonly, bindOptions } = mount;
  if (type !== Mount_Type.BIND || source.includes(':') || target.includes(':')) return undefined;
  const { nonrecursive, createmountpoint, readonlynonrecursive, readonlyforcerecursive } = bindOptions ?? {};
  if (nonrecursive || createmountpoint || readonlynonrecursive || readonlyforcerecursive) return undefined;
  const options = [
    ...(readonly ? ['ro'] : []),
    ...(bindOptions === undefined ? [] : [propagationName(bindOptions.propagation)]),
  ];
  return [source, target, ...(options.length === 0 ? [] : [options.join(',')])].join(':');
}

/** The volumes with a driver that have to be there before the container, as create requests. */
export function volumeRequests(mounts: readonly Mount[]): readonly object[] {
  return mounts.flatMap(({ type, source, volumeOptions }) => {
    if (type !== Mount_Type.VOLUME || volumeOptions?.driverConfig === undefined || source === '') return [];
    const { name, options } = volumeOptions.driverConfig;
    return [{ Name: source, Driver: name, DriverOpts: options, Labels: volumeOptions.labels }];
  });
}

function propagationName(propagation: Mount_BindOptions_Propagation): string {
  return (Mount_BindOptions_Propagation[propagation] ?? 'RPRIVATE').toLowerCase();
}

/** Further options come as JSON text; what is no JSON is left out, as the engine does. */
function tmpfsExtra(options: string): { readonly Options?: unknown } {
  if (options === '') return {};
  try {
    return { Options: JSON.parse(options) as unknown };
  } catch {
    return {};
  }
}
