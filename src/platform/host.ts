import { createSocket } from 'node:dgram';
import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, hostname, networkInterfaces, release, totalmem } from 'node:os';

import { splitHostPort } from '../api/index.js';
import { Code, errorText, SwarmError } from '../base/index.js';
import type { HostInterface, SystemInfo } from '../engine-api/index.js';

/** Interfaces that container engines make for themselves. */
const MANAGED = /^(docker|br-|veth|cni|flannel|lxcbr|virbr)/;

/** Architectures as Go names them, from Node's names. */
const GO_ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', ia32: '386', arm: 'arm' };

/** Architectures as the kernel names them, from Node's names. */
const KERNEL_ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'x86_64',
  arm64: 'aarch64',
  ia32: 'i686',
  arm: 'armv7l',
};

/** The interfaces of this machine that have addresses. */
export function hostInterfaces(): readonly HostInterface[] {
  return Object.entries(networkInterfaces()).map(([name, addresses = []]) => ({
    name,
    up: true,
    loopback: addresses.some(({ internal }) => internal),
    physical: existsSync(`/sys/class/net/${name}/device`),
    managed: MANAGED.test(name),
    addresses: addresses.map(({ address }) => address.replace(/%.*$/, '')),
  }));
}

/** The address by which this host reaches `host:port`, as the kernel would choose it; nothing is sent. */
export async function sourceAddress(remote: string): Promise<string> {
  const { host, port } = splitHostPort(remote);
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(port, host, resolve);
    });
    return socket.address().address;
  } catch (error) {
    throw new SwarmError(Code.UNAVAILABLE, `no way to ${remote} from this host: ${errorText(error)}`, { cause: error });
  } finally {
    socket.close();
  }
}

/** An address of this host that others can dial: the only one outside loopback, else loopback. */
export function hostAddress(): string {
  const candidates = hostInterfaces()
    .filter(({ loopback, managed }) => !loopback && !managed)
    .flatMap(({ addresses }) => addresses)
    .filter((address) => !address.startsWith('fe80:') && !address.startsWith('169.254.'));
  return candidates.find((address) => !address.includes(':')) ?? candidates[0] ?? '127.0.0.1';
}

/** What `/info` and `/version` show, apart from what the caller knows of itself. */
export function systemInfo(
  own: Pick<SystemInfo, 'id' | 'rootDir' | 'productVersion' | 'apiVersion' | 'minApiVersion' | 'executor' | 'labels'>,
): SystemInfo {
  return {
    ...own,
    hostname: hostname(),
    os: 'linux',
    goArchitecture: GO_ARCHITECTURES[arch()] ?? arch(),
    kernelArchitecture: KERNEL_ARCHITECTURES[arch()] ?? arch(),
    operatingSystem: operatingSystem(),
    kernelVersion: release(),
    cpus: cpus().length,
    memoryBytes: totalmem(),
    runtimeVersion: process.version,
  };
}

function operatingSystem(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  } catch {
    return 'Linux';
  }
}
