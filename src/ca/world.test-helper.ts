import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { create } from '@bufbuild/protobuf';

import {
  CA,
  ClusterSchema,
  createClient,
  durationFromMs,
  LocalChannel,
  NodeCA,
  type BoundService,
  type Cluster,
  type Credentials,
  type PeerIdentity,
  type RpcChannel,
  type RpcNetwork,
} from '../api/index.js';
import { Code, SwarmError, type Logger } from '../base/index.js';
import { SIM_CRYPTO } from '../sim/crypto.js';
import { SeededRandom, SimClock, SimDisk } from '../sim/index.js';
import { MemoryStore } from '../store/index.js';
import { CaServer } from './ca-server.js';
import { createRootCaMessage } from './cluster-root.js';
import { createCsr } from './csr.js';
import { KeyFiles } from './key-files.js';
import { generateKey } from './keys.js';
import { RootCa } from './root-ca.js';

/** What most tests here begin with; time stands until told to move. */
export function testWorld(seed = 1) {
  const clock = new SimClock();
  const random = new SeededRandom(seed);
  const disk = new SimDisk();
  const deps = { crypto: SIM_CRYPTO, random };
  const keyFiles = (unlockKey?: Uint8Array): KeyFiles =>
    new KeyFiles({ directory: '/c', ...(unlockKey === undefined ? {} : { unlockKey }) }, { ...deps, disk });
  return { clock, random, disk, deps, crypto: SIM_CRYPTO, keyFiles };
}

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

export const MANAGER: PeerIdentity = { nodeId: 'm1', role: 'swarm-manager', clusterId: 'c1' };
export const WORKER: PeerIdentity = { nodeId: 'w1', role: 'swarm-worker', clusterId: 'c1' };

/** A network of services in this process; an address without any is out of reach. */
class FakeNetwork implements RpcNetwork {
  readonly servers = new Map<string, readonly BoundService[]>();
  readonly dialed: { readonly addr: string; readonly credentials: Credentials }[] = [];
  open = 0;

  dial(addr: string, credentials: Credentials): RpcChannel {
    this.dialed.push({ addr, credentials });
    const services = this.servers.get(addr);
    const self = (): PeerIdentity | undefined =>
      credentials.kind === 'mutual' ? credentials.identity.current().peer : undefined;
    const channel = new LocalChannel(services ?? [], self);
    this.open++;
    const unreachable = (): never => {
      throw new SwarmError(Code.UNAVAILABLE, `${addr} cannot be reached`);
    };
    return {
      unary: async (method, request, options) =>
        services === undefined ? unreachable() : channel.unary(method, request, options),
      serverStream: (method, request, options) => channel.serverStream(method, request, options),
      clientStream: (method, requests, options) => channel.clientStream(method, requests, options),
      close: () => {
        this.open--;
        channel.close();
      },
    };
  }

  dialSocket(): RpcChannel {
    throw new Error('not used here');
  }

  listen(): Promise<never> {
    throw new Error('not used here');
  }

  listenSocket(): Promise<never> {
    throw new Error('not used here');
  }
}

/** Keeps what was logged. */
class FakeLog implements Logger {
  readonly lines: string[] = [];
  readonly #add = (_fields: unknown, message: string): void => void this.lines.push(message);
  debug = this.#add;
  info = this.#add;
  warn = this.#add;
  error = this.#add;
  child(): Logger {
    return this;
  }
}

export const HAS_OPENSSL = ((): boolean => {
  try {
    execFileSync('openssl', ['version']);
    return true;
  } catch {
    return false;
  }
})();

/** Runs openssl in a directory of its own with these files; `@name` in the arguments is a file there. */
export function openssl(args: readonly string[], files: Readonly<Record<string, string | Uint8Array>> = {}): string {
  const directory = mkdtempSync(join(tmpdir(), 'ca-test-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
    const paths = args.map((arg) => (arg.startsWith('@') ? join(directory, arg.slice(1)) : arg));
    return execFileSync('openssl', paths, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** A new root at the clock's present time. */
export async function newRoot(world: ReturnType<typeof testWorld>): Promise<{ root: RootCa; keyPem: string }> {
  return RootCa.create(world.deps, world.clock.nowMs());
}

/** A running CA over a store with one cluster; `stop` ends it and waits. */
export async function testCa(
  options: { readonly withCluster?: boolean; readonly seed?: number; readonly admitsManagers?: boolean } = {},
) {
  const world = testWorld(options.seed);
  const store = new MemoryStore({}, { clock: world.clock });
  const log = new FakeLog();
  const { root, keyPem: rootKey } = await newRoot(world);
  const rootCa = createRootCaMessage(root, rootKey, { random: world.random, fips: false });
  const cluster = create(ClusterSchema, {
    id: 'c1',
    spec: { annotations: { name: 'default' }, caConfig: { nodeCertExpiry: durationFromMs(90 * 24 * 3_600_000) } },
    rootCa,
    VXLANUDPPort: 4789,
  });
  if (options.withCluster !== false) await store.update((tx) => tx.create('cluster', cluster));
  const server = new CaServer(
    { clusterId: 'c1', admitsManagers: options.admitsManagers ?? true },
    { ...world.deps, store, clock: world.clock, log },
  );
  const stopper = new AbortController();
  const start = (): Promise<void> => server.run(stopper.signal);
  const running = { done: Promise.resolve() };
  const network = new FakeNetwork();
  network.servers.set('m1:2377', server.services());
  return {
    ...world,
    store,
    log,
    root,
    rootKey,
    rootCa,
    cluster,
    server,
    network,
    tokens: { worker: rootCa.joinTokens?.worker ?? '', manager: rootCa.joinTokens?.manager ?? '' },
    async start(): Promise<void> {
      running.done = start();
      await world.clock.settle();
    },
    async stop(): Promise<void> {
      stopper.abort(new Error('stopped'));
      await running.done;
    },
    /** Both services, called by somebody with this certificate. */
    as(peer: PeerIdentity | undefined) {
      const channel = new LocalChannel(server.services(), () => peer);
      return { ca: createClient(CA, channel), nodeCa: createClient(NodeCA, channel) };
    },
    updateCluster: (change: (cluster: Cluster) => Cluster) =>
      store.update((tx) => {
        const present = tx.get('cluster', 'c1');
        if (present !== undefined) tx.update('cluster', change(present));
      }),
    node: (id: string) => store.view((tx) => tx.get('node', id)),
    async csr(): Promise<Uint8Array> {
      return bytes(await createCsr(world.crypto, await generateKey(world.crypto)));
    },
  };
}
