import type { Service, ServiceSpec } from '../../api/index.js';

/** How a service is spread, as its spec says; undefined when it says nothing. */
export type ServiceMode = NonNullable<ServiceSpec['mode']['case']>;

/** The mode of a service. */
export function serviceMode(service: Service | undefined): ServiceMode | undefined {
  return service?.spec?.mode.case;
}

/** Whether the tasks of this service run to completion instead of for ever. */
export function isJob(service: Service): boolean {
  const mode = serviceMode(service);
  return mode === 'replicatedJob' || mode === 'globalJob';
}

/** Number of slots a replicated service asks for; 0 for every other mode. */
export function replicas(service: Service): number {
  const mode = service.spec?.mode;
  return mode?.case === 'replicated' ? Number(mode.value.replicas) : 0;
}
