import {
  Dispatcher,
  HeartbeatRequestSchema,
  bindService,
  createClient,
  durationFromMs,
  type HeartbeatRequest,
  type RpcChannel,
  type RpcNetwork,
  type SessionRequest,
} from '../src/api/index.js';
import { SILENT_LOGGER } from '../src/base/index.js';
import { SystemClock } from '../src/platform/index.js';
import { createRpcNetwork } from '../src/platform/rpc/index.js';
import { TestIdentity, TestRoot } from '../src/platform/rpc/test-certificates.js';
import type { Row } from './row.js';

const CLUSTER_ID = 'cluster';
const WARM_UP_CALLS = 2_000;
const CALLS = 10_000;
const MESSAGES = 100_000;

const NEVER = new AbortController().signal;

const services = [
  bindService(Dispatcher, {
    heartbeat: () => Promise.resolve({ period: durationFromMs(5_000) }),
    session: async function* (request: SessionRequest) {
      for (let i = 0; i < MESSAGES; i++) yield { sessionId: request.sessionId };
    },
  }),
];

/** Calls over mutual TLS on the loopback, both ends in this process; CPU is that of both together. */
export async function run(): Promise<Row[]> {
  const network = createRpcNetwork({ clock: new SystemClock(), log: SILENT_LOGGER });
  const root = await TestRoot.create();
  const manager = await root.issue({ nodeId: 'manager', role: 'swarm-manager', clusterId: CLUSTER_ID });
  const worker = await root.issue({ nodeId: 'worker', role: 'swarm-worker', clusterId: CLUSTER_ID });
  const server = await network.listen('127.0.0.1:0', {
    services,
    tls: {
      identity: new TestIdentity(manager),
      authorization: { clusterId: CLUSTER_ID, isRevoked: () => false },
    },
  });
  const channel = network.dial(server.addr, { kind: 'mutual', identity: new TestIdentity(worker) });
  try {
    await measureUnary(channel, 1, WARM_UP_CALLS);
    const rows: Row[] = [];
    for (const inFlight of [1, 64]) rows.push(...(await measureUnary(channel, inFlight, CALLS)));
    rows.push(...(await measureStream(channel)), ...(await measureDial(network, server.addr, worker)));
    return rows;
  } finally {
    channel.close();
    await server.close();
  }
}

async function measureUnary(channel: RpcChannel, inFlight: number, calls: number): Promise<Row[]> {
  const request: HeartbeatRequest = { $typeName: HeartbeatRequestSchema.typeName, sessionId: 'a'.repeat(25) };
  const dispatcher = createClient(Dispatcher, channel);
  const caller = async (): Promise<void> => {
    for (let i = 0; i < calls / inFlight; i++) {
      await dispatcher.heartbeat(request, { signal: NEVER, timeoutMs: 5_000 });
    }
  };
  const { seconds, cpuSeconds } = await timed(() => Promise.all(Array.from({ length: inFlight }, caller)));
  const name = `rpc unary mTLS, ${inFlight} in flight`;
  return [
    { name: `${name}: calls`, value: calls / seconds, unit: '1/s' },
    { name: `${name}: CPU per call`, value: (cpuSeconds / calls) * 1e6, unit: 'µs' },
  ];
}

async function measureStream(channel: RpcChannel): Promise<Row[]> {
  const dispatcher = createClient(Dispatcher, channel);
  let received = 0;
  const { seconds, cpuSeconds } = await timed(async () => {
    for await (const message of dispatcher.session({ sessionId: 'a'.repeat(25) }, { signal: NEVER })) {
      if (message.sessionId !== '') received++;
    }
  });
  return [
    { name: 'rpc server stream mTLS: messages', value: received / seconds, unit: '1/s' },
    { name: 'rpc server stream mTLS: CPU per message', value: (cpuSeconds / received) * 1e6, unit: 'µs' },
  ];
}

async function measureDial(
  network: RpcNetwork,
  addr: string,
  identity: ConstructorParameters<typeof TestIdentity>[0],
): Promise<Row[]> {
  const dials = 100;
  const { seconds, cpuSeconds } = await timed(async () => {
    for (let i = 0; i < dials; i++) {
      const channel = network.dial(addr, { kind: 'mutual', identity: new TestIdentity(identity) });
      await createClient(Dispatcher, channel).heartbeat({}, { signal: NEVER });
      channel.close();
    }
  });
  return [
    { name: 'rpc connect, one call, close: per connection', value: (seconds / dials) * 1e3, unit: 'ms' },
    { name: 'rpc connect, one call, close: CPU', value: (cpuSeconds / dials) * 1e3, unit: 'ms' },
  ];
}

async function timed(work: () => Promise<unknown>): Promise<{ seconds: number; cpuSeconds: number }> {
  const start = performance.now();
  const cpu = process.cpuUsage();
  await work();
  const used = process.cpuUsage(cpu);
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: (used.user + used.system) / 1e6 };
}
