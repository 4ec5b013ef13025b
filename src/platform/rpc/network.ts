import type { RpcNetwork } from '../../api/index.js';
import type { Clock, Logger } from '../../base/index.js';
import { Http2Channel } from './channel.js';
import { tlsTarget, unixTarget } from './connect.js';
import { listenTls, listenUnix } from './listen.js';

/** The real network: gRPC over HTTP/2, with TLS between machines. */
export function createRpcNetwork(deps: { readonly clock: Clock; readonly log: Logger }): RpcNetwork {
  return {
    dial: (addr, credentials) => new Http2Channel(tlsTarget(addr, credentials), deps),
    dialSocket: (path) => new Http2Channel(unixTarget(path), deps),
    listen: (addr, options) => listenTls(addr, options, deps),
    listenSocket: (path, services, self) => listenUnix(path, services, self, deps),
  };
}
