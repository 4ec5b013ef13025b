import { create } from '@bufbuild/protobuf';

import {
  ContainerStatusSchema,
  PortConfigSchema,
  PortConfig_Protocol,
  PortConfig_PublishMode,
  PortStatusSchema,
} from '../../api/index.js';
import type { ContainerStatus, PortConfig, PortStatus } from '../../api/index.js';
import type { ContainerInspect, PortMap } from '../docker-client/index.js';

const PROTOCOLS: ReadonlyMap<string, PortConfig_Protocol> = new Map([
  ['tcp', PortConfig_Protocol.TCP],
  ['udp', PortConfig_Protocol.UDP],
  ['sctp', PortConfig_Protocol.SCTP],
]);

/** What a task's status tells of its container. */
export function containerStatusOf({ Id, State }: ContainerInspect): ContainerStatus {
  return create(ContainerStatusSchema, { containerId: Id, pid: State.Pid, exitCode: State.ExitCode });
}

/** Ports as bound on the host, sorted; a port bound for both address families counts once. */
export function portStatusOf({ NetworkSettings }: ContainerInspect): PortStatus {
  return create(PortStatusSchema, { ports: boundPorts(NetworkSettings?.Ports ?? {}) });
}

function boundPorts(ports: PortMap): PortConfig[] {
  const bound = new Map<string, PortConfig>();
  for (const [key, bindings] of Object.entries(ports)) {
    const [target = '', protocolName = ''] = key.split('/');
    const protocol = PROTOCOLS.get(protocolName);
    for (const { HostPort } of protocol === undefined ? [] : (bindings ?? [])) {
      const port = {
        protocol: protocol ?? PortConfig_Protocol.TCP,
        targetPort: Number(target),
        publishedPort: Number(HostPort),
      };
      bound.set(`${key} ${HostPort}`, create(PortConfigSchema, { ...port, publishMode: PortConfig_PublishMode.HOST }));
    }
  }
  return [...bound.values()].sort(
    (a, b) => a.targetPort - b.targetPort || a.protocol - b.protocol || a.publishedPort - b.publishedPort,
  );
}
