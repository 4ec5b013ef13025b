import { createSocket } from 'node:dgram';
import { createServer, type AddressInfo } from 'node:net';

import { PortConfig_Protocol } from '../../api/index.js';
import type { PortConfig } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import { errorCode } from './files.js';

/** Tries to find a port that is free and not promised to another task. */
const ATTEMPTS_MAX = 50;

/** Gives tasks free ports of this machine, and checks those that they name. */
export class HostPorts {
  readonly #promised = new Set<string>();

  /** The ports with every published number filled in; equal targets share one number. */
  async assign(ports: readonly PortConfig[]): Promise<readonly PortConfig[]> {
    const chosen = new Map<number, number>();
    const assigned: PortConfig[] = [];
    for (const port of ports) {
      const publishedPort = port.publishedPort || chosen.get(port.targetPort) || (await this.#choose(port.protocol));
      chosen.set(port.targetPort, publishedPort);
      this.#promised.add(keyOf(port.protocol, publishedPort));
      assigned.push({ ...port, publishedPort });
    }
    return assigned;
  }

  /** Takes the promise of ports back. */
  release(ports: readonly PortConfig[]): void {
    for (const { protocol, publishedPort } of ports) this.#promised.delete(keyOf(protocol, publishedPort));
  }

  /** Fails with FailedPrecondition when somebody else has one of the ports. */
  async check(ports: readonly PortConfig[]): Promise<void> {
    for (const { protocol, publishedPort } of ports) {
      if ((await bind(protocol, publishedPort)) !== undefined) continue;
      const name = `${publishedPort}/${PortConfig_Protocol[protocol].toLowerCase()}`;
      throw new SwarmError(Code.FAILED_PRECONDITION, `host port ${name} is already in use`);
    }
  }

  async #choose(protocol: PortConfig_Protocol): Promise<number> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const port = await bind(protocol, 0);
      if (port !== undefined && !this.#promised.has(keyOf(protocol, port))) return port;
    }
    throw new SwarmError(Code.RESOURCE_EXHAUSTED, 'no free host port was found');
  }
}

function keyOf(protocol: PortConfig_Protocol, port: number): string {
  return `${port}/${protocol}`;
}

/** Binds and frees a port (0: any) and tells its number; undefined when it is taken. */
function bind(protocol: PortConfig_Protocol, port: number): Promise<number | undefined> {
  return protocol === PortConfig_Protocol.UDP ? bindUdp(port) : bindTcp(port);
}

function bindTcp(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', (error) => settleError(error, resolve, reject));
    server.listen({ port, exclusive: true }, () => {
      const bound = (server.address() as AddressInfo).port;
      server.close(() => resolve(bound));
    });
  });
}

function bindUdp(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.on('error', (error) => settleError(error, resolve, reject));
    socket.bind({ port, exclusive: true }, () => {
      const bound = socket.address().port;
      socket.close(() => resolve(bound));
    });
  });
}

function settleError(error: Error, resolve: (port: undefined) => void, reject: (error: Error) => void): void {
  if (errorCode(error) === 'EADDRINUSE') resolve(undefined);
  else reject(error);
}
