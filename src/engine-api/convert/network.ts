import type { IPAMConfig, IPAMOptions, Network } from '../../api/index.js';
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
