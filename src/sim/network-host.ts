import {
  WireChannel,
  certificateError,
  connectionLost,
  dialError,
  joinHostPort,
  splitHostPort,
  type BoundService,
  type Caller,
  type CallHead,
  type CallOpener,
  type Credentials,
  type ListenOptions,
  type OutgoingCall,
  type PeerIdentity,
  type RpcChannel,
  type RpcNetwork,
  type RpcServer,
  type TlsIdentity,
} from '../api/index.js';
import { Code, SwarmError, orAborted, type Clock, type Logger } from '../base/index.js';
import { SimCall } from './network-call.js';
import type { End, SimConnection } from './network-connection.js';
import { SimServer, roleGate, type Gate } from './network-server.js';

/** How long a connection may take to come about. Source: `platform/rpc`. */
const DIAL_TIMEOUT_MS = 10_000;

/** Where the ports begin that the system chooses. */
const FIRST_FREE_PORT = 32_768;

/** The network as a host reaches it. */
export interface Ether {
  readonly clock: Clock;
  readonly log: Logger;
  hostAt(name: string): SimHost | undefined;
  connect(hosts: Readonly<Record<End, string>>): SimConnection;
}

/** Begins a call at the server's end. */
type Begin = (call: SimCall, head: CallHead) => void;

/** One machine's network, until the machine crashes. */
export class SimHost implements RpcNetwork {
  readonly #ether: Ether;
  readonly #servers = new Map<string, SimServer>();
  #nextPort = FIRST_FREE_PORT;
  #isDown = false;

  constructor(
    readonly name: string,
    ether: Ether,
  ) {
    this.#ether = ether;
  }

  dial(addr: string, credentials: Credentials): RpcChannel {
    const opener = new SimOpener(addr, () => {
      const { host, port } = splitHostPort(addr);
      return this.#dial(host === 'localhost' || host === '' ? this.name : host, String(port), addr, credentials);
    });
    return new WireChannel(opener, this.#ether);
  }

  dialSocket(path: string): RpcChannel {
    return new WireChannel(new SimOpener(path, () => this.#dial(this.name, path, path, undefined)), this.#ether);
  }

  async listen(addr: string, options: ListenOptions): Promise<RpcServer> {
    const wanted = splitHostPort(addr).port;
    const port = wanted === 0 ? this.#nextPort++ : wanted;
    const { identity, authorization } = options.tls;
    return this.#listen(String(port), joinHostPort(this.name, port), options.services, roleGate(authorization), () =>
      identity.current(),
    );
  }

  async listenSocket(
    path: string,
    services: readonly BoundService[],
    self: () => PeerIdentity | undefined,
  ): Promise<RpcServer> {
    return this.#listen(path, path, services, () => ({ peer: self(), remoteAddr: '' }), undefined);
  }

  /** Who listens at a port or path. */
  serverAt(key: string): SimServer | undefined {
    return this.#isDown ? undefined : this.#servers.get(key);
  }

  /** Nothing begins here any more. */
  shutDown(): void {
    this.#isDown = true;
  }

  #listen(
    key: string,
    addr: string,
    services: readonly BoundService[],
    gate: Gate,
    identity: (() => TlsIdentity) | undefined,
  ): Promise<RpcServer> {
    if (this.#isDown) return Promise.reject(this.#downError());
    if (this.#servers.has(key)) {
      const text = `listen ${addr}: bind: address already in use`;
      return Promise.reject(new SwarmError(Code.FAILED_PRECONDITION, text));
    }
    const onClosed = (): void => void this.#servers.delete(key);
    const server = new SimServer({ addr, services, gate, identity, onClosed }, this.#ether);
    this.#servers.set(key, server);
    return Promise.resolve(server);
  }

  /** A round trip to the server; both ends look at each other's identity. */
  #dial(
    host: string,
    key: string,
    addr: string,
    credentials: Credentials | undefined,
  ): Promise<{ readonly connection: SimConnection; readonly begin: Begin }> {
    if (this.#isDown) return Promise.reject(this.#downError());
    const { clock } = this.#ether;
    const { promise, resolve, reject } = Promise.withResolvers<{ connection: SimConnection; begin: Begin }>();
    const connection = this.#ether.connect({ client: this.name, server: host });
    const failWith = (error: SwarmError): void => {
      reject(error);
      connection.lose('client', '');
    };
    const fail = (text: string): void => failWith(dialError(text));
    const timer = clock.setTimer(DIAL_TIMEOUT_MS, () => fail(`Error while dialing dial tcp ${addr}: i/o timeout`));
    connection.onLost.client = (reason) => fail(`Error while dialing dial tcp ${addr}: ${reason}`);
    const remoteAddr = joinHostPort(this.name, this.#nextPort++);
    connection.send('server', () => {
      const server = this.#ether.hostAt(host)?.serverAt(key);
      if (server === undefined) {
        connection.send('client', () => fail(`Error while dialing dial tcp ${addr}: connect: connection refused`));
        return;
      }
      const { identity } = server;
      const begin = server.accept(connection, callerOf(credentials, identity, remoteAddr));
      connection.send('client', () => {
        const problem = serverProblem(credentials, identity);
        if (problem === undefined) resolve({ connection, begin });
        else failWith(certificateError(addr, problem));
      });
    });
    return promise.finally(() => timer.cancel());
  }

  #downError(): SwarmError {
    return new SwarmError(Code.UNAVAILABLE, `the host ${this.name} is down`);
  }
}

/** One simulated connection to a peer, made when first needed and made anew when lost. */
class SimOpener implements CallOpener {
  readonly #dial: () => Promise<{ readonly connection: SimConnection; readonly begin: Begin }>;
  readonly #calls = new Set<SimCall>();
  #connected: Promise<{ readonly connection: SimConnection; readonly begin: Begin }> | undefined;

  constructor(
    readonly addr: string,
    dial: () => Promise<{ readonly connection: SimConnection; readonly begin: Begin }>,
  ) {
    this.#dial = dial;
  }

  async open(head: CallHead, signal: AbortSignal): Promise<OutgoingCall> {
    this.#connected ??= this.#connect();
    const { connection, begin } = await orAborted(this.#connected, signal);
    const call = new SimCall(connection, () => this.#calls.delete(call));
    this.#calls.add(call);
    const copy = { ...head, metadata: new Map(head.metadata) };
    call.begin(() => begin(call, copy));
    if (connection.isLost('client')) call.lose(connectionLost(this.addr, 'EOF'));
    return call;
  }

  close(): void {
    this.#connected?.then(
      ({ connection }) => connection.lose('client', ''),
      () => undefined,
    );
  }

  #connect(): Promise<{ readonly connection: SimConnection; readonly begin: Begin }> {
    const forget = (): void => {
      if (this.#connected === attempt) this.#connected = undefined;
    };
    const attempt = this.#dial().then((connected) => {
      connected.connection.onLost.client = (reason) => {
        forget();
        for (const call of this.#calls) call.lose(connectionLost(this.addr, reason));
      };
      if (connected.connection.isLost('client')) forget();
      return connected;
    });
    attempt.catch(forget);
    return attempt;
  }
}

function callerOf(credentials: Credentials | undefined, server: TlsIdentity | undefined, remoteAddr: string): Caller {
  if (credentials?.kind !== 'mutual' || server === undefined) return { peer: undefined, remoteAddr };
  const client = credentials.identity.current();
  if (shareRoot(client.rootPem, server.rootPem)) return { peer: { ...client.peer }, remoteAddr };
  const certificateProblem = 'the client certificate is not valid: it was issued by another root';
  return { peer: undefined, certificateProblem, remoteAddr };
}

function serverProblem(credentials: Credentials | undefined, server: TlsIdentity | undefined): string | undefined {
  if (credentials === undefined || server === undefined || credentials.kind === 'unverified') return undefined;
  const identity = credentials.kind === 'mutual' ? credentials.identity.current() : undefined;
  const rootPem = credentials.kind === 'root' ? credentials.rootPem : (identity?.rootPem ?? '');
  if (!shareRoot(rootPem, server.rootPem)) return 'certificate signed by unknown authority';
  if (server.peer.role !== 'swarm-manager') return "the server's certificate is not that of a manager";
  if (identity !== undefined && identity.peer.clusterId !== server.peer.clusterId) {
    return `the server belongs to cluster ${JSON.stringify(server.peer.clusterId)}, not to ${identity.peer.clusterId}`;
  }
  return undefined;
}

/** Whether two bundles have a root in common; leaves are taken to be issued by every root of their bundle. */
function shareRoot(a: string, b: string): boolean {
  const roots = new Set(rootsOf(a));
  return rootsOf(b).some((root) => roots.has(root));
}

function rootsOf(bundle: string): readonly string[] {
  const blocks = bundle.split(/(?<=-----END CERTIFICATE-----)/).map((block) => block.trim());
  return blocks.filter((block) => block !== '');
}
