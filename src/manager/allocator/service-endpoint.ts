import { create, equals } from '@bufbuild/protobuf';

import {
  EndpointSchema,
  type Endpoint,
  type Endpoint_VirtualIP,
  type PortConfig,
  type Service,
} from '../../api/index.js';

/** What was allocated for a service. */
export interface ServiceResources {
  readonly ports: readonly PortConfig[];
  readonly virtualIps: readonly Endpoint_VirtualIP[];
}

/**
 * The endpoint that the service should have; undefined when it has it already. A service that publishes
 * nothing and has no addresses gets none, as with SwarmKit.
 */
export function endpointToWrite(service: Service, resources: ServiceResources): Endpoint | undefined {
  const present = service.endpoint;
  if (present === undefined && resources.ports.length === 0 && resources.virtualIps.length === 0) return undefined;
  const wanted: Endpoint = {
    ...(present ?? create(EndpointSchema)),
    spec: service.spec?.endpoint,
    ports: [...resources.ports],
    virtualIps: [...resources.virtualIps],
  };
  if (present !== undefined && equals(EndpointSchema, present, wanted)) {
    return undefined;
  }
  return wanted;
}
