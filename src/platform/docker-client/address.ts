import { Code, SwarmError } from '../../base/index.js';

/** Where a Docker Engine listens. */
export type EngineAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** Port of an engine that listens without TLS. Source: the Docker Engine. */
const TCP_PORT = 2375;

/**
 * Parses `unix:///path`, `tcp://host[:port]` or a bare absolute path.
 * @throws SwarmError InvalidArgument.
 */
export function parseEngineAddress(text: string): EngineAddress {
  const path = text.startsWith('unix://') ? text.slice('unix://'.length) : text;
  if (path.startsWith('/')) return { kind: 'unix', path };
  const match = /^(?:tcp|http):\/\/(\[[0-9a-fA-F:]+\]|[^:/]+)(?::(\d{1,5}))?\/?$/.exec(text);
  const [, host, port] = match ?? [];
  if (host === undefined) {
    throw new SwarmError(
      Code.INVALID_ARGUMENT,
      `invalid engine address ${JSON.stringify(text)}: expected unix:///path or tcp://host:port`,
    );
  }
  return { kind: 'tcp', host: host.replace(/^\[|\]$/g, ''), port: port === undefined ? TCP_PORT : Number(port) };
}
