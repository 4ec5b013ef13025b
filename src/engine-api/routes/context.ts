import type { CallOptions, Control, RpcClient } from '../../api/index.js';
import type { Clock, Logger, Random } from '../../base/index.js';
import { REQUEST_TIMEOUT_MS, type LocalSwarm, type ManagerAccess } from '../cluster/index.js';
import type { RootIssuer } from '../convert/index.js';
import type { HttpRequest } from '../http/index.js';
import type { SystemInfo } from './system-info.js';

/** What the routes work with. */
export interface RouteContext {
  readonly node: LocalSwarm;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Facts about this machine and product for `/info` and `/version`. */
  readonly systemInfo: () => Promise<SystemInfo>;
  /** Subject and key of a root certificate (PEM), for TLS info. */
  readonly rootIssuer: (rootPem: Uint8Array) => RootIssuer;
  /** Lets the event loop turn. */
  readonly yieldLoop: () => Promise<void>;
}

/** The manager and the options that bound a call on behalf of a request (engine-api E-116). */
export function managerCall(
  context: RouteContext,
  request: HttpRequest,
): { readonly manager: ManagerAccess; readonly control: RpcClient<typeof Control>; readonly options: CallOptions } {
  const manager = context.node.manager();
  return {
    manager,
    control: manager.control,
    options: { signal: request.signal, timeoutMs: REQUEST_TIMEOUT_MS },
  };
}
