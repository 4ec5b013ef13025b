import { joinHostPort, parseIp, splitHostPort, type HostPort, type IpAddress } from '../../api/index.js';
import { ApiError } from '../http/index.js';

/** An interface of this host with its addresses, as far as choosing an address needs it. */
export interface HostInterface {
  readonly name: string;
  readonly up: boolean;
  readonly loopback: boolean;
  /** Backed by hardware, real or emulated: preferred over every virtual one. */
  readonly physical: boolean;
  /** Made by a container engine (bridges, their veth ends): never chosen by itself. */
  readonly managed: boolean;
  /** Textual addresses without prefix lengths. */
  readonly addresses: readonly string[];
}

/** Port of the remote API where none is given. */
const DEFAULT_PORT = 2377;

const UNSPECIFIED_HOST = '0.0.0.0';

/** VXLAN port where none is given. */
const DEFAULT_DATA_PATH_PORT = 4789;

const DEFAULT_SUBNET_SIZE = 24;
const SUBNET_SIZE_MAX = 29;

const BAD_LISTEN_ADDRESS = 'listen address must be an IP address or network interface (with optional port number)';
const BAD_ADVERTISE_ADDRESS =
  'advertise address must be a non-zero IP address or network interface (with optional port number)';
const BAD_DEFAULT_ADVERTISE_ADDRESS =
  'default advertise address must be a non-zero IP address or network interface (without a port number)';
const BAD_DATA_PATH_ADDRESS =
  'data path address must be a non-zero IP address or network interface (without a port number)';
const MUST_SPECIFY_LISTEN_ADDRESS =
  "must specify a listening address because the address to advertise is not recognized as a system address, and a system's IP address to use could not be uniquely identified";

/**
 * An address as Docker's client library completes it: scheme dropped, unspecified host and default port added
 * (E-331). What cannot be completed stays as it is, to be refused where it is resolved.
 * @param field names the address in the refusal of an empty one.
 */
export function completeAddress(text: string, field: string): string {
  if (text === '') throw new ApiError('invalid-parameter', `invalid ${field} "": invalid empty address`);
  const given = text.trim().replace(/^tcp:\/\//, '');
  if (given.includes(':') && parseIp(given) !== undefined) return joinHostPort(given, DEFAULT_PORT);
  const match = /^(?:\[([^[\]]*)\]|([^:/[\]]*))(?::(\d{0,5}))?$/.exec(given);
  if (match === null) return text;
  return joinHostPort((match[1] ?? match[2]) || UNSPECIFIED_HOST, Number(match[3] ?? '') || DEFAULT_PORT);
}

/** Takes an address apart; undefined when it is not `host:port`. */
function parseAddress(text: string): HostPort | undefined {
  try {
    return splitHostPort(text);
  } catch {
    return undefined;
  }
}

/** Resolves the listen address: an IP (unspecified allowed) or an interface's address. */
export function resolveListenAddress(text: string, interfaces: readonly HostInterface[]): HostPort {
  const parts = parseAddress(text);
  if (parts === undefined) throw new ApiError('invalid-parameter', `could not parse listen address ${text}`);
  return { host: resolveAddress(parts.host, interfaces, true, BAD_LISTEN_ADDRESS), port: parts.port };
}

/** Resolves the advertise address: as given, else the daemon's default, else the host's only address (E-332, E-333). */
export function resolveAdvertiseAddress(
  given: string,
  defaultAddress: string,
  listenPort: number,
  interfaces: readonly HostInterface[],
): HostPort {
  if (given !== '') {
    const parts = parseAddress(given) ?? { host: given, port: listenPort };
    return { host: resolveAddress(parts.host, interfaces, false, BAD_ADVERTISE_ADDRESS), port: parts.port };
  }
  if (defaultAddress !== '') {
    return { host: resolveAddress(defaultAddress, interfaces, false, BAD_DEFAULT_ADVERTISE_ADDRESS), port: listenPort };
  }
  return { host: systemAddress(interfaces), port: listenPort };
}

/** Resolves the data path address; empty stays empty (E-335). */
export function resolveDataPathAddress(given: string, interfaces: readonly HostInterface[]): string {
  return given === '' ? '' : resolveAddress(given, interfaces, false, BAD_DATA_PATH_ADDRESS);
}

/** The local address to remember when listening on `listenHost` (E-336). */
export function resolveLocalAddress(
  listenHost: string,
  advertiseHost: string,
  interfaces: readonly HostInterface[],
): string {
  if (!isUnspecified(parseIp(listenHost))) return listenHost;
  if (interfaces.some(({ addresses }) => addresses.includes(advertiseHost))) return advertiseHost;
  try {
    return systemAddress(interfaces);
  } catch (error) {
    throw new ApiError('invalid-parameter', MUST_SPECIFY_LISTEN_ADDRESS, error);
  }
}

/** Checks the VXLAN port; 0 is the default (E-335). */
export function resolveDataPathPort(port: number): number {
  if (port === 0) return DEFAULT_DATA_PATH_PORT;
  if (port < 1024 || port > 49_151) {
    throw new ApiError('system', `Datapath port number is not in valid range (1024-49151) : ${port}`);
  }
  return port;
}

/** Checks address pools and the size of the subnets cut from them (E-337). Nothing is checked without pools. */
export function checkAddressPools(pools: readonly string[] | undefined, subnetSize: number): void {
  if (pools === undefined) return;
  const size = subnetSize === 0 ? DEFAULT_SUBNET_SIZE : subnetSize;
  if (size > SUBNET_SIZE_MAX) throw new ApiError('system', `subnet size is out of range: ${size}`);
  for (const pool of pools) {
    const match = /^(.+)\/(\d{1,3})$/.exec(pool.trim());
    const address = match === null ? undefined : parseIp(match[1] as string);
    const length = Number(match?.[2]);
    if (address === undefined || length > (address.version === 4 ? 32 : 128)) {
      throw new ApiError('system', `invalid base pool ${pool.trim()}: invalid CIDR address: ${pool.trim()}`);
    }
    if (size < length) {
      throw new ApiError(
        'system',
        `invalid CIDR: ${JSON.stringify(pool.trim())}. Subnet size is too small for pool: ${size}`,
      );
    }
  }
}

function resolveAddress(
  text: string,
  interfaces: readonly HostInterface[],
  unspecifiedAllowed: boolean,
  refusal: string,
): string {
  const found = interfaces.find(({ name }) => name === text);
  if (found !== undefined) return interfaceAddress(found);
  const address = parseIp(text);
  if (address === undefined || (!unspecifiedAllowed && isUnspecified(address))) {
    throw new ApiError('invalid-parameter', refusal);
  }
  return text;
}

/** The only address of an interface, version 4 before 6 (E-334). */
function interfaceAddress({ name, addresses }: HostInterface): string {
  for (const version of [4, 6] as const) {
    const [first, second] = addresses.filter((address) => parseIp(address)?.version === version);
    if (second !== undefined) {
      throw new ApiError(
        'invalid-parameter',
        `interface ${name} has more than one IPv${version} address (${first} and ${second})`,
      );
    }
    if (first !== undefined) return first;
  }
  throw new ApiError('invalid-parameter', `interface ${name} has no usable IPv4 or IPv6 address`);
}

/** The host's only global address: of its physical interfaces, or without such of those no engine made (E-333). */
function systemAddress(interfaces: readonly HostInterface[]): string {
  const usable = interfaces
    .filter(({ up, loopback }) => up && !loopback)
    .map((one) => ({ ...one, addresses: one.addresses.filter((text) => isGlobalUnicast(parseIp(text))) }))
    .filter(({ addresses }) => addresses.length > 0);
  const physical = usable.filter((one) => one.physical);
  const chosen = (physical.length > 0 ? physical : usable.filter(({ managed }) => !managed)).map(onlyAddress);
  const [first, second] = chosen;
  if (first === undefined) throw new ApiError('invalid-parameter', "could not find the system's IP address");
  if (second !== undefined) throw severalAddresses(first.name, second.name, first.address, second.address);
  return first.address;
}

/** The global address of an interface, version 4 before 6. */
function onlyAddress({ name, addresses }: HostInterface): { readonly name: string; readonly address: string } {
  for (const version of [4, 6] as const) {
    const [first, second] = addresses.filter((text) => parseIp(text)?.version === version);
    if (first !== undefined && second !== undefined) throw severalAddresses(name, name, first, second);
  }
  return { name, address: addresses.find((text) => parseIp(text)?.version === 4) ?? (addresses[0] as string) };
}

function severalAddresses(nameA: string, nameB: string, a: string, b: string): ApiError {
  const where =
    nameA === nameB
      ? `multiple addresses on interface ${nameA} (${a} and ${b})`
      : `multiple addresses on different interfaces (${a} on ${nameA} and ${b} on ${nameB})`;
  return new ApiError(
    'invalid-parameter',
    `could not choose an IP address to advertise since this system has ${where}`,
  );
}

/** Whether a host means every address of the machine. */
export function isUnspecifiedAddress(host: string): boolean {
  return isUnspecified(parseIp(host));
}

function isUnspecified(address: IpAddress | undefined): boolean {
  return address?.value === 0n;
}

function isGlobalUnicast(address: IpAddress | undefined): boolean {
  if (address === undefined || address.value === 0n) return false;
  if (address.version === 4) {
    const first = Number(address.value >> 24n);
    const linkLocal = address.value >> 16n === 0xa9fen;
    return first !== 127 && first < 224 && !linkLocal;
  }
  const top = address.value >> 118n;
  return address.value !== 1n && top !== 0xfe80n >> 6n && address.value >> 120n !== 0xffn;
}
