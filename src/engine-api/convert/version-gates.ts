import { create } from '@bufbuild/protobuf';

import { ReplicatedServiceSchema, type ContainerSpec, type ServiceSpec, type TaskSpec } from '../../api/index.js';
import type { ApiVersion } from '../http/index.js';
import { noConfigTarget, noCredentialSource } from './container.js';

/** Removes from a spec what its API version did not know yet, as a server of today does (engine-api E-130). */
export function dropUnknownTo(version: ApiVersion, spec: ServiceSpec): ServiceSpec {
  if (!version.lessThan('1.46') || spec.task === undefined) return spec;
  const gated: ServiceSpec = { ...spec, task: gateTask(version, spec.task) };
  if (version.lessThan('1.41') && (spec.mode.case === 'replicatedJob' || spec.mode.case === 'globalJob')) {
    return { ...gated, mode: { case: 'replicated', value: create(ReplicatedServiceSchema, { replicas: 1n }) } };
  }
  return gated;
}

function gateTask(version: ApiVersion, task: TaskSpec): TaskSpec {
  const gated =
    version.lessThan('1.40') && task.placement !== undefined
      ? { ...task, placement: { ...task.placement, maxReplicas: 0n } }
      : task;
  if (gated.runtime.case !== 'container') return gated;
  return { ...gated, runtime: { case: 'container', value: gateContainer(version, gated.runtime.value) } };
}

function gateContainer(version: ApiVersion, given: ContainerSpec): ContainerSpec {
  let container: ContainerSpec = { ...given, oomScoreAdj: 0n, mounts: given.mounts.map(withoutTmpfsOptions) };
  if (version.lessThan('1.44')) container = gate144(container);
  if (version.lessThan('1.41')) {
    container = { ...container, capabilityAdd: [], capabilityDrop: [], ulimits: [], pidsLimit: 0n };
  }
  return version.lessThan('1.40') ? gate140(container) : container;
}

function withoutTmpfsOptions(mount: ContainerSpec['mounts'][number]): ContainerSpec['mounts'][number] {
  return mount.tmpfsOptions === undefined ? mount : { ...mount, tmpfsOptions: { ...mount.tmpfsOptions, options: '' } };
}

function gate144(container: ContainerSpec): ContainerSpec {
  const { healthcheck, privileges, ...rest } = container;
  const gated: ContainerSpec = { ...rest };
  if (healthcheck !== undefined) {
    const { startInterval: _startInterval, ...older } = healthcheck;
    gated.healthcheck = older;
  }
  if (privileges !== undefined) {
    const { seccomp: _seccomp, apparmor: _apparmor, ...older } = privileges;
    gated.privileges = { ...older, noNewPrivileges: false };
  }
  return gated;
}

/** What these versions did not know leaves nothing behind where it was all that was said. */
function gate140(container: ContainerSpec): ContainerSpec {
  if (container.configs.some(({ target }) => target.case === 'runtime')) throw noConfigTarget();
  if (container.privileges?.credentialSpec?.source.case === 'config') throw noCredentialSource();
  return { ...container, sysctls: {} };
}
