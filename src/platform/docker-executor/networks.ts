import type { IPAMOptions, Network, NetworkAttachment, Task } from '../../api/index.js';

/** Marks networks that every engine has by itself. Source: interop, "Traps". */
const PREDEFINED_LABEL = 'com.docker.swarm.predefined';
/** Our own label: the swarm's network of which the engine's is a copy. */
const COPY_LABEL = 'com.docker.swarm.network.id';

/** A network to which a task's container is attached, in the words of the engine's API. */
export interface NetworkUse {
  readonly name: string;
  readonly networkId: string;
  /** How to create it where the engine does not have it. */
  readonly create: object;
  readonly endpoint: object;
}

/** Networks of the task beyond those that every engine has; the ingress network is the routing mesh's. */
export function networkUses(task: Task): readonly NetworkUse[] {
  return task.networks.flatMap((attachment) => {
    const { network } = attachment;
    if (network?.spec === undefined || network.spec.ingress || isPredefined(network)) return [];
    const name = nameOf(network);
    return [{ name, networkId: network.id, create: createNetwork(name, network), endpoint: endpointOf(attachment) }];
  });
}

/** The engine's network mode for a task; undefined for its default. */
export function networkMode(task: Task): string | undefined {
  const first = task.networks.find(({ network }) => network?.spec !== undefined && !network.spec.ingress)?.network;
  return first === undefined ? undefined : nameOf(first);
}

/** Endpoints that are made with the container: older engines take one only, the others are connected later. */
export function endpointsConfig(task: Task): Readonly<Record<string, object>> {
  const [first] = networkUses(task);
  return first === undefined || first.name !== networkMode(task) ? {} : { [first.name]: first.endpoint };
}

/** Networks to connect after the container was created. */
export function laterNetworks(task: Task): readonly NetworkUse[] {
  const made = endpointsConfig(task);
  return networkUses(task).filter(({ name }) => made[name] === undefined);
}

/** Whether a network of the engine was made by an agent as a copy of the swarm's. */
export function isCopyOf(labels: Readonly<Record<string, string>> | null | undefined, networkId: string): boolean {
  return labels?.[COPY_LABEL] === networkId;
}

function nameOf({ id, spec }: Network): string {
  return spec?.annotations?.name ?? id;
}

function isPredefined({ spec }: Network): boolean {
  return spec?.annotations?.labels[PREDEFINED_LABEL] === 'true';
}

function createNetwork(name: string, network: Network): object {
  const { id, spec, driverState, ipam } = network;
  return {
    Name: name,
    CheckDuplicate: true,
    Internal: spec?.internal ?? false,
    Attachable: spec?.attachable ?? false,
    EnableIPv6: spec?.ipv6Enabled ?? false,
    Labels: { ...spec?.annotations?.labels, [COPY_LABEL]: id },
    ...(driverState === undefined ? {} : { Driver: driverState.name, Options: driverState.options }),
    ...(ipam === undefined ? {} : { IPAM: ipamOf(ipam) }),
    ...(spec?.configFrom.case === 'network' ? { ConfigFrom: { Network: spec.configFrom.value } } : {}),
  };
}

function ipamOf({ driver, configs }: IPAMOptions): object {
  return {
    Driver: driver?.name ?? 'default',
    Options: driver?.options ?? {},
    Config: configs.map(({ subnet, range, gateway, reserved }) => ({
      ...(subnet === '' ? {} : { Subnet: subnet }),
      ...(range === '' ? {} : { IPRange: range }),
      ...(gateway === '' ? {} : { Gateway: gateway }),
      AuxiliaryAddresses: reserved,
    })),
  };
}

/** The addresses are given with the length of their prefix. */
function endpointOf({ addresses, aliases, driverAttachmentOpts }: NetworkAttachment): object {
  const plain = addresses.map((address) => address.split('/')[0] ?? '');
  const ipv4 = plain.find((address) => address.includes('.'));
  const ipv6 = plain.find((address) => address.includes(':'));
  return {
    IPAMConfig: {
      ...(ipv4 === undefined ? {} : { IPv4Address: ipv4 }),
      ...(ipv6 === undefined ? {} : { IPv6Address: ipv6 }),
    },
    Aliases: aliases,
    DriverOpts: driverAttachmentOpts,
  };
}
