/** An IP address as a number: 32 bits for version 4, 128 for version 6. */
export interface IpAddress {
  readonly version: 4 | 6;
  readonly value: bigint;
}

/** A subnet: an address and how many leading bits count. */
export interface Subnet {
  readonly address: IpAddress;
  readonly prefixLength: number;
}

const MAPPED_PREFIX = 0xffffn;

/** Parses a textual address; undefined when it is none. Mapped addresses (::ffff:a.b.c.d) become version 4, as in Go. */
export function parseIp(text: string): IpAddress | undefined {
  const value4 = parseIpv4(text);
  if (value4 !== undefined) return { version: 4, value: value4 };
  const value6 = parseIpv6(text);
  if (value6 === undefined) return undefined;
  if (value6 >> 32n === MAPPED_PREFIX) return { version: 4, value: value6 & 0xffffffffn };
  return { version: 6, value: value6 };
}

/** Parses `address/length`; undefined when malformed. */
export function parseSubnet(text: string): Subnet | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const address = parseIp(match[1] as string);
  const prefixLength = Number(match[2]);
  if (address === undefined || prefixLength > bitsOf(address)) return undefined;
  return { address, prefixLength };
}

/** Whether both are the same address of the same version. */
export function sameIp(a: IpAddress, b: IpAddress): boolean {
  return a.version === b.version && a.value === b.value;
}

/** Whether the subnet holds the address. */
export function subnetContains(subnet: Subnet, address: IpAddress): boolean {
  if (subnet.address.version !== address.version) return false;
  const shift = BigInt(bitsOf(address) - subnet.prefixLength);
  return subnet.address.value >> shift === address.value >> shift;
}

function bitsOf(address: IpAddress): number {
  return address.version === 4 ? 32 : 128;
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0] as string);
  const tail = halves.length === 2 ? groupsOf(halves[1] as string) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => 0n), ...tail];
  return groups.reduce((value, group) => (value << 16n) | group, 0n);
}

function groupsOf(text: string): bigint[] | undefined {
  if (text === '') return [];
  const groups: bigint[] = [];
  const parts = text.split(':');
  for (const [position, part] of parts.entries()) {
    if (part.includes('.')) {
      const value4 = position === parts.length - 1 ? parseIpv4(part) : undefined;
      if (value4 === undefined) return undefined;
      groups.push(value4 >> 16n, value4 & 0xffffn);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(BigInt(`0x${part}`));
    }
  }
  return groups;
}
