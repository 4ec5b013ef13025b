import { create } from '@bufbuild/protobuf';
import { Option } from 'commander';

import {
  AnnotationsSchema,
  DriverSchema,
  IPAMConfig_AddressFamily,
  IPAMConfigSchema,
  IPAMOptionsSchema,
  NetworkSchema,
  NetworkSpecSchema,
  parseIp,
  parseSubnet,
  subnetContains,
  type IPAMConfig,
  type IPAMOptions,
  type Network,
  type NetworkSpec,
} from '../../../api/index.js';
import { Code, SwarmError } from '../../../base/index.js';
import { forEach } from '../each.js';
import { networkPage } from '../pages/network.js';
import { compareTexts } from '../pages/task-order.js';
import { listOption, type Noun, type Program } from '../program.js';
import { renderPage } from '../render/page.js';
import type { Column } from '../render/table.js';
import { resolveNetwork } from '../resolve.js';
import type { Session } from '../session.js';
import { badValue, UsageError } from '../usage-error.js';
import { parseLabels, parseOptions } from '../values/pairs.js';

interface CreateFlags {
  readonly name?: string;
  readonly label?: readonly string[];
  readonly driver?: string;
  readonly ipamDriver?: string;
  readonly subnet?: readonly string[];
  readonly gateway?: readonly string[];
  readonly ipRange?: readonly string[];
  readonly opts?: readonly string[];
  readonly attachable?: boolean;
  readonly internal?: boolean;
  readonly ingress?: boolean;
}

const COLUMNS: readonly Column[] = [
  { title: 'ID', weight: 2, widthMin: 12 },
  { title: 'Name', weight: 4, widthMin: 8 },
  { title: 'Driver', weight: 3 },
  { title: 'Subnets', weight: 1, widthMin: 10 },
];

/** Adds the commands about networks. */
export function addNetworkCommands(program: Program): void {
  const noun = program.noun('network', 'Networks');
  addReaders(noun);
  noun.command<CreateFlags>(
    {
      usage: 'create',
      description: 'Create a network',
      options: [
        new Option('--name <name>', 'network name'),
        listOption('--label <list>', 'labels (key=value)'),
        new Option('--driver <name>', 'network driver'),
        new Option('--ipam-driver <name>', 'driver that manages addresses'),
        listOption('--subnet <list>', 'subnets (CIDR)'),
        listOption('--gateway <list>', 'gateway addresses, each inside one of the subnets'),
        listOption('--ip-range <list>', 'ranges to allocate from, each inside one of the subnets (CIDR)'),
        listOption('--opts <list>', 'options of the driver (key=value)'),
        new Option('--attachable', 'let containers that are no tasks use it'),
        new Option('--internal', 'no way out of the network'),
        new Option('--ingress', 'the network of ports published in ingress mode'),
      ],
    },
    async (session, _args, flags) => {
      const { network } = await session.control.createNetwork({ spec: newNetworkSpec(flags) }, session.call);
      if (network === undefined) throw new SwarmError(Code.INTERNAL, 'the manager answered without a network');
      await session.printObject(NetworkSchema, network, async () => network.id);
    },
  );
  noun.command(
    { usage: 'remove <networks...>', aliases: ['rm'], description: 'Remove networks' },
    (session, networks) =>
      forEach(session, networks, async (given) => {
        const { id } = await resolveNetwork(session, given);
        await session.control.removeNetwork({ networkId: id }, session.call);
        await session.print(given);
      }),
  );
}

function addReaders(noun: Noun): void {
  noun.command<{ readonly quiet?: boolean }>(
    {
      usage: 'ls',
      aliases: ['list'],
      description: 'List networks',
      options: [new Option('-q, --quiet', 'show ids only')],
    },
    (session, _args, flags) => list(session, flags.quiet === true),
  );
  noun.command({ usage: 'inspect <network>', description: 'Show a network' }, async (session, [given = '']) => {
    const network = await resolveNetwork(session, given);
    await session.printObject(NetworkSchema, network, async () =>
      renderPage(networkPage(network, session.clock.nowMs())),
    );
  });
}

async function list(session: Session, quiet: boolean): Promise<void> {
  const { networks } = await session.control.listNetworks({}, session.call);
  const nameOf = ({ spec }: Network): string => spec?.annotations?.name ?? '';
  const objects = networks.toSorted((a, b) => compareTexts(nameOf(a), nameOf(b)));
  const rows = async (): Promise<readonly (readonly string[])[]> =>
    objects.map((network) => [
      network.id,
      nameOf(network),
      network.driverState?.name ?? network.spec?.driverConfig?.name ?? '',
      (network.ipam ?? network.spec?.ipam)?.configs.map(({ subnet }) => subnet).join(', ') ?? '',
    ]);
  await session.printList({ schema: NetworkSchema, objects, columns: COLUMNS, rows }, quiet);
}

/**
 * The spec of a new network.
 * @throws UsageError that names the flag.
 */
export function newNetworkSpec(flags: CreateFlags): NetworkSpec {
  if (flags.name === undefined || flags.name === '') throw new UsageError('network create: --name must be given');
  if (flags.opts !== undefined && flags.driver === undefined) throw new UsageError('--opts: needs --driver');
  const ipam = ipamOf(flags);
  return create(NetworkSpecSchema, {
    annotations: create(AnnotationsSchema, { name: flags.name, labels: parseLabels('--label', flags.label ?? []) }),
    ...(flags.driver === undefined
      ? {}
      : {
          driverConfig: create(DriverSchema, { name: flags.driver, options: parseOptions('--opts', flags.opts ?? []) }),
        }),
    ...(ipam === undefined ? {} : { ipam }),
    attachable: flags.attachable === true,
    internal: flags.internal === true,
    ingress: flags.ingress === true,
  });
}

function ipamOf({ ipamDriver, subnet = [], gateway = [], ipRange = [] }: CreateFlags): IPAMOptions | undefined {
  const configs = subnet.map(subnetConfig);
  const placed = [
    ...gateway.map((text) => ({ flag: '--gateway', text, address: text, field: 'gateway' as const })),
    ...ipRange.map((text) => ({
      flag: '--ip-range',
      text,
      address: text.split('/')[0] ?? '',
      field: 'range' as const,
    })),
  ];
  for (const { flag, text, address, field } of placed) {
    const ip = parseIp(address);
    if (ip === undefined || (field === 'range' && parseSubnet(text) === undefined)) {
      throw badValue(flag, text, field === 'range' ? 'write a range such as 10.1.2.0/24' : 'write an IP address');
    }
    const at = configs.findIndex((config) => {
      const net = parseSubnet(config.subnet);
      return net !== undefined && subnetContains(net, ip) && config[field] === '';
    });
    const found = configs[at];
    if (found === undefined) throw badValue(flag, text, 'it must lie inside a subnet given by --subnet, one for each');
    configs[at] = { ...found, [field]: text };
  }
  if (ipamDriver === undefined && configs.length === 0) return undefined;
  return create(IPAMOptionsSchema, {
    configs,
    ...(ipamDriver === undefined ? {} : { driver: create(DriverSchema, { name: ipamDriver }) }),
  });
}

function subnetConfig(text: string): IPAMConfig {
  if (parseSubnet(text) === undefined) throw badValue('--subnet', text, 'write a subnet such as 10.1.0.0/16');
  const family = text.includes(':') ? IPAMConfig_AddressFamily.IPV6 : IPAMConfig_AddressFamily.IPV4;
  return create(IPAMConfigSchema, { family, subnet: text });
}
