import { create, equals } from '@bufbuild/protobuf';

import {
  JobStatusSchema,
  NetworkAttachmentConfigSchema,
  UpdateStatusSchema,
  UpdateStatus_UpdateState,
  VersionSchema,
  sameTaskSpec,
  timestampFromMs,
  type NetworkAttachmentConfig,
  type Service,
  type ServiceSpec,
  type Version,
} from '../../api/index.js';
import { failedPrecondition, invalidArgument, unimplemented } from './errors.js';

/** Refuses to change what an update cannot change: the deprecated networks alone, the mode, the name. */
export function checkUnchangeable(old: Service, spec: ServiceSpec): void {
  const present = old.spec;
  if (
    !sameNetworks(spec.networks, present?.networks ?? []) &&
    sameNetworks(spec.task?.networks ?? [], present?.task?.networks ?? [])
  ) {
    throw unimplemented('networks must be migrated to TaskSpec before being changed');
  }
  if (present?.mode.case !== spec.mode.case) throw unimplemented('service mode change is not allowed');
  if ((present?.annotations?.name ?? '') !== (spec.annotations?.name ?? '')) {
    throw unimplemented('renaming services is not supported');
  }
}

/** The service with a new spec; the present one becomes the previous. */
export function updated(old: Service, spec: ServiceSpec, version: Version, nowMs: number): Service {
  const { updateStatus: _, previousSpec: __, previousSpecVersion: ___, ...kept } = old;
  return {
    ...withVersion(kept, version, nowMs),
    spec: sharing(spec, old.spec),
    // By its nature not the version that the object gets: the two must not be compared.
    specVersion: create(VersionSchema, { index: version.index }),
    ...(old.spec === undefined ? {} : { previousSpec: old.spec }),
    ...(old.specVersion === undefined ? {} : { previousSpecVersion: old.specVersion }),
  };
}

/** The service with present and previous spec swapped. FailedPrecondition where there is no previous one. */
export function rolledBack(old: Service, version: Version, nowMs: number): Service {
  if (old.previousSpec === undefined) {
    throw failedPrecondition(`service ${old.id} does not have a previous spec`);
  }
  const { spec: _, specVersion: __, previousSpecVersion: ___, ...kept } = old;
  return {
    ...withVersion(kept, version, nowMs),
    spec: old.previousSpec,
    ...(old.previousSpecVersion === undefined ? {} : { specVersion: old.previousSpecVersion }),
    ...(old.spec === undefined ? {} : { previousSpec: old.spec }),
    ...(old.specVersion === undefined ? {} : { previousSpecVersion: old.specVersion }),
    updateStatus: create(UpdateStatusSchema, {
      state: UpdateStatus_UpdateState.ROLLBACK_STARTED,
      message: 'manually requested rollback',
      startedAt: timestampFromMs(nowMs),
    }),
  };
}

/** Any update of a job, of whatever kind, starts a new run of it. */
function withVersion(service: Service, version: Version, nowMs: number): Service {
  if (service.meta === undefined) throw invalidArgument();
  const { jobStatus } = service;
  return {
    ...service,
    meta: { ...service.meta, version },
    ...(jobStatus === undefined
      ? {}
      : {
          jobStatus: create(JobStatusSchema, {
            jobIteration: create(VersionSchema, { index: (jobStatus.jobIteration?.index ?? 0n) + 1n }),
            lastExecution: timestampFromMs(nowMs),
          }),
        }),
  };
}

/** The spec with the task template of the old one where it says the same, so that tasks go on sharing it. */
function sharing(spec: ServiceSpec, old: ServiceSpec | undefined): ServiceSpec {
  const task = old?.task;
  return task !== undefined && sameTaskSpec(task, spec.task) ? { ...spec, task } : spec;
}

function sameNetworks(one: readonly NetworkAttachmentConfig[], other: readonly NetworkAttachmentConfig[]): boolean {
  return (
    one.length === other.length &&
    one.every((network, at) => {
      const counterpart = other[at];
      return counterpart !== undefined && equals(NetworkAttachmentConfigSchema, network, counterpart);
    })
  );
}
