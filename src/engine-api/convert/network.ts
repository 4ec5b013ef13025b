import type { IPAMConfig, IPAMOptions, Network } from '../../api/index.js';
import { timeText } from './codec.js';
import { annotations, driver, objectHeader } from './common.js';

/** A network as it appears inside a task's attachments. */
export function networkToJson(network: Network): Record<string, unknown> {
  const { spec } = network;
  return {
    ...objectHeader(network.id, network.meta),
    Spec: {
      ...(spec?.annotations === undefined ? { Name: '', Labels: {} } : annotations.toJson(spec.annotations)),
      ...(spec?.driverConfig === undefined ? {} : { DriverConfiguration: driver.toJson(spec.driverConfig) }),
      ...(spec?.ipv6Enabled === true ? { IPv6Enabled: true } : {}),
      ...(spec?.internal === true ? { Internal: true } : {}),
      ...(spec?.attachable === true ? { Attachable: true } : {}),
      ...(spec?.ingress === true ? { Ingress: true } : {}),
      ...(spec?.ipam === undefined ? {} : { IPAMOptions: ipamToJson(spec.ipam) }),
      Scope: 'swarm',
    },
    ...(network.driverState === undefined ? {} : { DriverState: driver.toJson(network.driverState) }),
    ...(network.ipam === undefined ? {} : { IPAMOptions: ipamToJson(network.ipam) }),
  };
}

function ipamToJson(options: IPAMOptions): Record<string, unknown> {
  return {
    ...(options.driver === undefined ? {} : { Driver: driver.toJson(options.driver) }),
    ...(options.configs.length === 0 ? {} : { Configs: options.configs.map(ipamConfigToJson) }),
  };
}

function ipamConfigToJson({ subnet, range, gateway }: IPAMConfig): Record<string, unknown> {
  return {
    ...(subnet === '' ? {} : { Subnet: subnet }),
    ...(range === '' ? {} : { Range: range }),
    ...(gateway === '' ? {} : { Gateway: gateway }),
  };
}

/** A swarm network as `/networks` shows it (engine-api E-253). */
export function networkResourceToJson(network: Network): Record<string, unknown> {
  const { spec } = network;
  return {
    Name: spec?.annotations?.name ?? '',
    Id: network.id,
    Created: timeText(network.meta?.createdAt),
    Scope: 'swarm',
    Driver: network.driverState?.name ?? '',
    EnableIPv4: true,
    EnableIPv6: spec?.ipv6Enabled ?? false,
    IPAM: {
      Driver: network.ipam?.driver?.name ?? '',
      Options: network.ipam?.driver?.options ?? null,
      Config: (network.ipam?.configs ?? []).map(({ subnet, range, gateway }) => ({
        Subnet: subnet,
        ...(range === '' ? {} : { IPRange: range }),
        Gateway: gateway,
      })),
    },
    Internal: spec?.internal ?? false,
    Attachable: spec?.attachable ?? false,
    Ingress: spec?.ingress ?? false,
    ConfigFrom: { Network: spec?.configFrom.case === 'network' ? spec.configFrom.value : '' },
    ConfigOnly: false,
    Containers: null,
    Options: network.driverState?.options ?? null,
    Labels: spec?.annotations?.labels ?? {},
  };
}
