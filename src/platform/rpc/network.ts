import { WireChannel, type RpcNetwork } from '../../api/index.js';
import type { Clock, Logger } from '../../base/index.js';
import { tlsTarget, unixTarget } from './connect.js';
import { Http2Opener } from './http2-opener.js';
import { listenTls, listenUnix } from './listen.js';

/** The real network: gRPC over HTTP/2, with TLS between machines. */
export function createRpcNetwork(deps: { readonly clock: Clock; readonly log: Logger }): RpcNetwork {
  return {
    dial: (addr, credentials) => new WireChannel(new Http2Opener(tlsTarget(addr, credentials), deps), deps),
    dialSocket: (path) => new WireChannel(new Http2Opener(unixTarget(path), deps), deps),
    listen: (addr, options) => listenTls(addr, options, deps),
    listenSocket: (path, services, self) => listenUnix(path, services, self, deps),
  };
}
