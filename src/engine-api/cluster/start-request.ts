import { joinHostPort, NodeSpec_Availability } from '../../api/index.js';
import { Code, errorText, isSwarmError, type Logger } from '../../base/index.js';
import { parseJoinToken, parseUnlockKey } from '../../ca/index.js';
import { ApiError } from '../http/index.js';
import {
  checkAddressPools,
  completeAddress,
  isUnspecifiedAddress,
  resolveAdvertiseAddress,
  resolveDataPathAddress,
  resolveDataPathPort,
  resolveListenAddress,
  resolveLocalAddress,
  type HostInterface,
} from './addresses.js';
import type { SavedStart } from './state-file.js';
import { TEXTS } from './texts.js';

/** A request to create a swarm. */
export interface InitRequest {
  /** Name in the spec: empty or "default". */
  readonly name: string;
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  readonly dataPathPort: number;
  readonly forceNewCluster: boolean;
  readonly autoLockManagers: boolean;
  /** Word of the request; empty means active. */
  readonly availability: string;
  /** Undefined when the request had none, which stores the default pool. */
  readonly defaultAddressPool: readonly string[] | undefined;
  readonly subnetSize: number;
}

/** A request to join a swarm. */
export interface JoinRequest {
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  readonly remoteAddrs: readonly string[];
  readonly joinToken: string;
  /** Word of the request; empty means active. */
  readonly availability: string;
}

/** What is known of the host on which a node is to start. */
export interface StartHost {
  readonly interfaces: () => readonly HostInterface[];
  /** The address by which this host reaches `host:port`. */
  readonly sourceAddress: (remote: string) => Promise<string>;
  /** Address or interface advertised where an init names none. */
  readonly defaultAdvertiseAddr: string;
  readonly log: Logger;
}

/** How to start the node of a new swarm; refuses what cannot be, in the order of stock (E-322). */
export function resolveInit(request: InitRequest, host: StartHost): SavedStart {
  const listenAddr = completeAddress(request.listenAddr, 'ListenAddr');
  if (request.name !== '' && request.name !== 'default') throw new ApiError('invalid-parameter', TEXTS.wrongName);
  const interfaces = host.interfaces();
  const listen = resolveListenAddress(listenAddr, interfaces);
  const advertise = resolveAdvertiseAddress(request.advertiseAddr, host.defaultAdvertiseAddr, listen.port, interfaces);
  const dataPathAddr = resolveDataPathAddress(request.dataPathAddr, interfaces);
  const localAddr = resolveLocalAddress(listen.host, advertise.host, interfaces);
  checkAddressPools(request.defaultAddressPool, request.subnetSize);
  return {
    localAddr,
    remoteAddr: '',
    listenAddr: joinHostPort(listen.host, listen.port),
    advertiseAddr: joinHostPort(advertise.host, advertise.port),
    dataPathAddr,
    defaultAddressPool: (request.defaultAddressPool ?? []).map((pool) => pool.trim()),
    subnetSize: request.subnetSize,
    dataPathPort: resolveDataPathPort(request.dataPathPort),
    joinInProgress: false,
  };
}

/** How to start a node that joins a swarm. */
export async function resolveJoin(request: JoinRequest, host: StartHost): Promise<SavedStart> {
  const listenAddr = completeAddress(request.listenAddr, 'ListenAddr');
  const [remoteAddr] = request.remoteAddrs.map((remote) => completeAddress(remote, 'remoteAddr'));
  if (remoteAddr === undefined) throw new ApiError('invalid-parameter', TEXTS.remoteNeeded);
  const interfaces = host.interfaces();
  const listen = resolveListenAddress(listenAddr, interfaces);
  return {
    localAddr: await localAddressForJoin(listen.host, remoteAddr, host),
    remoteAddr,
    listenAddr: joinHostPort(listen.host, listen.port),
    advertiseAddr: advertiseForJoin(request.advertiseAddr, listen.port, host),
    dataPathAddr: resolveDataPathAddress(request.dataPathAddr, interfaces),
    defaultAddressPool: [],
    subnetSize: 0,
    dataPathPort: 0,
    joinInProgress: true,
  };
}

/** Where this node listens, or the address by which it reaches the remote (E-336). */
async function localAddressForJoin(listenHost: string, remoteAddr: string, host: StartHost): Promise<string> {
  if (!isUnspecifiedAddress(listenHost)) return listenHost;
  try {
    return await host.sourceAddress(remoteAddr);
  } catch (error) {
    throw new ApiError('system', `could not find local IP address: ${errorText(error)}`, error);
  }
}

/** One that does not resolve is left out: the manager sees where the node calls from (E-344). */
function advertiseForJoin(given: string, listenPort: number, host: StartHost): string {
  if (given === '') return '';
  try {
    const resolved = resolveAdvertiseAddress(given, '', listenPort, host.interfaces());
    return joinHostPort(resolved.host, resolved.port);
  } catch (error) {
    host.log.warn({ err: error, 'advertise.addr': given }, 'advertise address is ignored');
    return '';
  }
}

/** An availability as init and join name it; a wrong one is a plain error there (E-345). */
export function availabilityOf(given: string): NodeSpec_Availability {
  if (given === '') return NodeSpec_Availability.ACTIVE;
  const availability = NodeSpec_Availability[given.toUpperCase() as keyof typeof NodeSpec_Availability];
  if (typeof availability === 'number') return availability;
  throw new ApiError('system', `invalid Availability: ${JSON.stringify(given)}`);
}

/** The key that a user typed. */
export function unlockKeyOf(text: string): Uint8Array {
  try {
    return parseUnlockKey(text);
  } catch (error) {
    throw new ApiError('invalid-parameter', TEXTS.invalidKeyString, error);
  }
}

/** What is no token at all is refused before any manager is asked; no token is the manager's to refuse (E-342). */
export function refuseJoinToken(text: string): void {
  if (text === '') return;
  try {
    parseJoinToken(text);
  } catch (error) {
    throw new ApiError('system', errorText(error), error);
  }
}

/** Codes of failures that this node met by itself: their texts go out without the rendering of a remote error. */
const LOCAL_CODES: ReadonlySet<Code> = new Set([Code.FAILED_PRECONDITION, Code.DATA_LOSS, Code.PERMISSION_DENIED]);

/** The failure of a first start as its requester is told. */
export function startFailure(error: unknown): unknown {
  return isSwarmError(error) && LOCAL_CODES.has(error.code) ? new ApiError('system', error.message, error) : error;
}
