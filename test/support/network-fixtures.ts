import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import type {
  AuthorizationView,
  BoundService,
  Credentials,
  PeerRole,
  RpcChannel,
  RpcNetwork,
  RpcServer,
  TlsIdentity,
} from '../../src/api/index.js';
import { SILENT_LOGGER, isSwarmError, type Code } from '../../src/base/index.js';
import { createRpcNetwork } from '../../src/platform/rpc/index.js';
import { TestIdentity, TestRoot } from '../../src/platform/rpc/test-certificates.js';
import { SeededRandom, SimClock, SimNetwork } from '../../src/sim/index.js';

/** The cluster to which the fixture's server belongs. */
const CLUSTER_ID = 'cluster-1';

/** What differs between the networks under one suite. */
interface Ground {
  readonly server: RpcNetwork;
  readonly client: RpcNetwork;
  readonly listenAddr: string;
  readonly socketPath: string;
  readonly clock: SimClock;
  /** Ends what the ground itself runs. */
  end(): Promise<void>;
}

/** Who takes part in a test. */
export interface Fixture extends Ground {
  readonly serverIdentity: TestIdentity;
  /** Node ids that count as removed. */
  readonly revoked: Set<string>;
  readonly view: AuthorizationView;
  /** An identity of our root. */
  issue(nodeId: string, role: PeerRole, clusterId?: string): Promise<TlsIdentity>;
  /** The same from a root that nobody here trusts. */
  issueForeign(nodeId: string, role: PeerRole): Promise<TlsIdentity>;
  listen(services: readonly BoundService[], addr?: string): Promise<RpcServer>;
  dial(addr: string, credentials: Credentials): RpcChannel;
  /** A channel as a node of the cluster. */
  dialAs(addr: string, nodeId: string, role: PeerRole): Promise<RpcChannel>;
  dialSocket(): RpcChannel;
  listenSocket(services: readonly BoundService[]): Promise<RpcServer>;
  /** Closes everything that was opened. */
  dispose(): Promise<void>;
}

/** The kinds of network that the compliance suite runs on. */
export const NETWORKS: readonly { readonly name: string; readonly make: () => Promise<Fixture> }[] = [
  { name: 'HTTP/2 and TLS', make: () => realGround().then(furnish) },
  { name: 'simulated', make: () => simGround().then(furnish) },
];

async function realGround(): Promise<Ground> {
  const directory = await mkdtemp(join(tmpdir(), 'rpc-'));
  const clock = new SimClock();
  const network = createRpcNetwork({ clock, log: SILENT_LOGGER });
  return {
    server: network,
    client: network,
    listenAddr: '127.0.0.1:0',
    socketPath: join(directory, 'control.sock'),
    clock,
    end: () => rm(directory, { recursive: true, force: true }),
  };
}

async function simGround(): Promise<Ground> {
  const clock = new SimClock();
  const network = new SimNetwork({}, { clock, random: new SeededRandom(1) });
  const over = new AbortController();
  const drive = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await clock.advance(1);
      await setImmediate();
    }
  };
  const driving = drive();
  return Promise.resolve({
    server: network.host('10.0.0.1'),
    client: network.host('10.0.0.2'),
    listenAddr: '0.0.0.0:2377',
    socketPath: '/run/control.sock',
    clock,
    end: () => {
      over.abort();
      return driving;
    },
  });
}

async function furnish(ground: Ground): Promise<Fixture> {
  const [root, foreignRoot] = await Promise.all([TestRoot.create(), TestRoot.create()]);
  const issue = (nodeId: string, role: PeerRole, clusterId = CLUSTER_ID): Promise<TlsIdentity> =>
    root.issue({ nodeId, role, clusterId });
  const serverIdentity = new TestIdentity(await issue('manager-1', 'swarm-manager'));
  const revoked = new Set<string>();
  const view: AuthorizationView = { clusterId: CLUSTER_ID, isRevoked: (nodeId) => revoked.has(nodeId) };
  const servers: RpcServer[] = [];
  const channels: RpcChannel[] = [];
  const kept = <T>(list: T[], item: T): T => {
    list.push(item);
    return item;
  };
  const dial = (addr: string, credentials: Credentials): RpcChannel =>
    kept(channels, ground.client.dial(addr, credentials));
  return {
    ...ground,
    serverIdentity,
    revoked,
    view,
    issue,
    issueForeign: (nodeId, role) => foreignRoot.issue({ nodeId, role, clusterId: CLUSTER_ID }),
    listen: async (services, addr = ground.listenAddr) =>
      kept(
        servers,
        await ground.server.listen(addr, { services, tls: { identity: serverIdentity, authorization: view } }),
      ),
    dial,
    dialAs: async (addr, nodeId, role) =>
      dial(addr, { kind: 'mutual', identity: new TestIdentity(await issue(nodeId, role)) }),
    dialSocket: () => kept(channels, ground.server.dialSocket(ground.socketPath)),
    listenSocket: async (services) =>
      kept(servers, await ground.server.listenSocket(ground.socketPath, services, () => serverIdentity.current().peer)),
    dispose: async () => {
      for (const channel of channels) channel.close();
      await Promise.all(servers.map((server) => server.close()));
      await ground.end();
    },
  };
}

/** Lets the event loop turn until the condition holds; fails after many turns. */
export async function until(condition: () => boolean, turns = 1_000_000): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn >= turns) throw new Error('the condition did not come to hold');
    await setImmediate();
  }
}

/** The error with which a call ends. */
export async function outcome(call: Promise<unknown>): Promise<{ code: Code; message: string }> {
  try {
    await call;
  } catch (error) {
    if (isSwarmError(error)) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('the call succeeded');
}
