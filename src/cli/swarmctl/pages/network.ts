import type { Network } from '../../../api/index.js';
import { ago } from '../render/human.js';
import { entry, pairs, section, type PageLine } from '../render/page.js';
import { driverLines } from './driver.js';

/** The page about a network. */
export function networkPage(network: Network, nowMs: number): readonly PageLine[] {
  const { spec } = network;
  const ipam = network.ipam ?? spec?.ipam;
  return [
    ...entry(0, 'ID', network.id),
    ...entry(0, 'Name', spec?.annotations?.name),
    ...section(0, 'Labels', pairs(1, spec?.annotations?.labels ?? {})),
    ...entry(0, 'Created', ago(network.meta?.createdAt, nowMs)),
    ...section(0, 'Driver', driverLines(1, network.driverState ?? spec?.driverConfig)),
    ...entry(0, 'Internal', yes(spec?.internal)),
    ...entry(0, 'Attachable', yes(spec?.attachable)),
    ...entry(0, 'Ingress', yes(spec?.ingress)),
    ...entry(0, 'IPv6', yes(spec?.ipv6Enabled)),
    ...section(0, 'Addresses', [
      ...entry(1, 'Driver', ipam?.driver?.name),
      ...(ipam?.configs ?? []).flatMap(({ subnet, range, gateway }) => [
        ...entry(1, 'Subnet', subnet),
        ...entry(1, 'Range', range),
        ...entry(1, 'Gateway', gateway),
      ]),
    ]),
  ];
}

function yes(value: boolean | undefined): string {
  return value === true ? 'yes' : '';
}
