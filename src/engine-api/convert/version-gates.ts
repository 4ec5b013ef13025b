import type { ConfigReference, ContainerSpec, ServiceSpec, TaskSpec } from '../../api/index.js';
import type { ApiVersion } from '../http/index.js';

/** Removes from a spec what its API version did not know yet, as a server of today does (engine-api E-130). */
export function dropUnknownTo(version: ApiVersion, spec: ServiceSpec): ServiceSpec {
  if (!version.lessThan('1.46') || spec.task === undefined) return spec;
  const gated: ServiceSpec = { ...spec, task: gateTask(version, spec.task) };
  if (version.lessThan('1.41') && (spec.mode.case === 'replicatedJob' || spec.mode.case === 'globalJob')) {
    return { ...gated, mode: { case: undefined } };
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

function gate140(container: ContainerSpec): ContainerSpec {
  const credential = container.privileges?.credentialSpec;
  const gated: ContainerSpec = { ...container, sysctls: {}, configs: container.configs.filter(isFileTarget) };
  if (container.privileges === undefined || credential?.source.case !== 'config') return gated;
  const { credentialSpec: _credentialSpec, ...privileges } = container.privileges;
  return { ...gated, privileges };
}

function isFileTarget(reference: ConfigReference): boolean {
  return reference.target.case !== 'runtime';
}
