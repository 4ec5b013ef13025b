import { Code, SwarmError } from '../base/index.js';

/** A network address taken apart; the host of an IPv6 address has no brackets. */
export interface HostPort {
  /** Empty = every address of the machine. */
  readonly host: string;
  readonly port: number;
}

const PORT_MAX = 65_535;

/** Takes `host:port`, `:port` or `[v6]:port` apart; InvalidArgument for anything else. */
export function splitHostPort(addr: string): HostPort {
  const match = /^(?:\[([^[\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(addr);
  const port = Number(match?.[3]);
  if (match === null || port > PORT_MAX) {
    throw new SwarmError(Code.INVALID_ARGUMENT, `address ${JSON.stringify(addr)} is not of the form host:port`);
  }
  return { host: match[1] ?? match[2] ?? '', port };
}

/** Puts an address together; an IPv6 host gets its brackets. */
export function joinHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
