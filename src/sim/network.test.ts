import { beforeEach, describe, expect, it } from 'vitest';

import {
  Dispatcher,
  bindService,
  createClient,
  type BoundService,
  type CallContext,
  type RpcChannel,
  type TlsIdentity,
} from '../api/index.js';
import { Code, aborted, isSwarmError } from '../base/index.js';
import { SeededRandom, SimClock, SimNetwork, type SimNetworkOptions } from './index.js';

const NEVER = new AbortController().signal;
const ADDR = 'm1:2377';

const identityOf = (nodeId: string): TlsIdentity => ({
  certificatePem: '',
  privateKeyPem: '',
  rootPem: 'root',
  peer: { nodeId, role: 'swarm-manager', clusterId: 'c' },
});
const sourceOf = (nodeId: string) => ({
  current: () => identityOf(nodeId),
  subscribe: () => ({ [Symbol.dispose]: () => undefined }),
});

/** What a call came to, with the virtual time at which it did. */
interface Ending {
  readonly code: number;
  readonly message: string;
  readonly atMs: number;
}

describe('SimNetwork', () => {
  let clock: SimClock;
  let network: SimNetwork;
  let served: CallContext[];
  let ends: { readonly reason: unknown; readonly atMs: number }[];

  beforeEach(async () => {
    await build({ delayMsMin: 1, delayMsMax: 1 }, 1);
  });

  const dispatcher = (): BoundService =>
    bindService(Dispatcher, {
      heartbeat: (_, context) => Promise.resolve(void served.push(context)).then(() => ({})),
      session: async function* (_, { signal }) {
        yield { sessionId: 'begun' };
        await aborted(signal);
        ends.push({ reason: signal.reason, atMs: clock.monotonicMs() });
      },
    });

  async function build(options: SimNetworkOptions, seed: number): Promise<void> {
    clock = new SimClock();
    network = new SimNetwork(options, { clock, random: new SeededRandom(seed) });
    served = [];
    ends = [];
    await listen();
  }

  async function listen(): Promise<void> {
    const authorization = { clusterId: 'c', isRevoked: () => false };
    const tls = { identity: sourceOf('m1'), authorization };
    await network.host('m1').listen('0.0.0.0:2377', { services: [dispatcher()], tls });
  }

  const dial = (host: string): RpcChannel =>
    network.host(host).dial(ADDR, { kind: 'mutual', identity: sourceOf(host) });

  /** Runs until the call has ended. */
  async function endingOf(call: Promise<unknown>): Promise<Ending> {
    let ending: Ending | undefined;
    call.then(
      () => {
        ending = { code: Code.OK, message: '', atMs: clock.monotonicMs() };
      },
      (error: unknown) => {
        if (!isSwarmError(error)) throw error;
        ending = { code: error.code, message: error.message, atMs: clock.monotonicMs() };
      },
    );
    await clock.runUntil(() => ending !== undefined, 100_000);
    return ending ?? { code: -1, message: '', atMs: 0 };
  }

  const heartbeat = (channel: RpcChannel): Promise<Ending> =>
    endingOf(createClient(Dispatcher, channel).heartbeat({}, { signal: NEVER }));

  /** Opens a session; `over` settles when it is over. */
  async function session(channel: RpcChannel): Promise<{ readonly over: Promise<unknown> }> {
    const messages = createClient(Dispatcher, channel).session({}, { signal: NEVER })[Symbol.asyncIterator]();
    expect((await endingOf(messages.next())).code).toBe(Code.OK);
    return { over: messages.next() };
  }

  it('takes its time for each message', async () => {
    const channel = dial('w1');
    // There and back for the connection, there and back for the call.
    expect(await heartbeat(channel)).toMatchObject({ code: Code.OK, atMs: 4 });
    expect(await heartbeat(channel)).toMatchObject({ code: Code.OK, atMs: 6 });
    expect(served).toMatchObject([{ peer: { nodeId: 'w1' } }, { peer: { nodeId: 'w1' } }]);
  });

  it('does the same again for the same seed, and not for another', async () => {
    const times = async (seed: number): Promise<Ending[]> => {
      await build({ delayMsMin: 0.1, delayMsMax: 9, tearRate: 0.1 }, seed);
      const endings: Ending[] = [];
      for (let i = 0; i < 50; i++) endings.push(await heartbeat(dial(`w${i % 3}`)));
      return endings;
    };
    const first = await times(5);
    expect(new Set(first.map((ending) => ending.code))).toEqual(new Set([Code.OK, Code.UNAVAILABLE]));
    expect(await times(5)).toEqual(first);
    expect(await times(6)).not.toEqual(first);
  });

  it('holds messages back during a short partition and delivers them after it', async () => {
    const channel = dial('w1');
    await heartbeat(channel);
    network.partition(['w1'], ['m1']);
    clock.setTimer(10_000, () => network.heal());
    const { code, atMs } = await heartbeat(channel);
    expect(code).toBe(Code.OK);
    expect(atMs).toBeGreaterThan(10_000);
    expect(await heartbeat(dial('w2'))).toMatchObject({ code: Code.OK });
  });

  it('lets callers give up on a long partition, and servers somewhat later', async () => {
    const { over } = await session(dial('w1'));
    const startMs = clock.monotonicMs();
    network.partition(['w1'], ['m1']);
    const ending = await endingOf(over);
    expect(ending).toMatchObject({ code: Code.UNAVAILABLE, atMs: startMs + 15_000 });
    expect(ending.message).toContain('keepalive');
    expect(ends).toEqual([]);
    await clock.advance(10_000);
    expect(ends).toMatchObject([{ atMs: startMs + 25_000, reason: { code: Code.CANCELED } }]);
    const channel = dial('w1');
    expect(await heartbeat(channel)).toMatchObject({
      code: Code.UNAVAILABLE,
      message: expect.stringContaining('i/o timeout'),
      atMs: startMs + 35_000,
    });
    network.heal();
    expect((await heartbeat(channel)).code).toBe(Code.OK);
  });

  it('can block one way only', async () => {
    const channel = dial('w1');
    await heartbeat(channel);
    network.block('m1', 'w1');
    const ending = await heartbeat(channel);
    expect(ending.code).toBe(Code.UNAVAILABLE);
    // The request came through, its answer did not.
    expect(served).toHaveLength(2);
  });

  it('resets the connections of a program that crashes, and knows it again after its start', async () => {
    const channel = dial('w1');
    const { over } = await session(channel);
    const startMs = clock.monotonicMs();
    network.crash('m1', 'process');
    const ending = await endingOf(over);
    expect(ending).toMatchObject({ code: Code.UNAVAILABLE, atMs: startMs + 1 });
    expect(ends).toHaveLength(1);
    expect(await heartbeat(channel)).toMatchObject({ message: expect.stringContaining('connection refused') });
    await listen();
    expect((await heartbeat(channel)).code).toBe(Code.OK);
  });

  it('tells nobody of a machine that goes off', async () => {
    const channel = dial('w1');
    const { over } = await session(channel);
    const startMs = clock.monotonicMs();
    network.crash('m1', 'machine');
    expect(await endingOf(over)).toMatchObject({ atMs: startMs + 15_000 });
    expect(await heartbeat(channel)).toMatchObject({ message: expect.stringContaining('i/o timeout') });
    await listen();
    expect((await heartbeat(channel)).code).toBe(Code.OK);
  });

  it('lets nothing leave a host that has crashed', async () => {
    const before = network.host('w1');
    const channel = before.dial(ADDR, { kind: 'mutual', identity: sourceOf('w1') });
    await heartbeat(channel);
    network.crash('w1', 'process');
    expect((await heartbeat(channel)).code).toBe(Code.UNAVAILABLE);
    expect((await heartbeat(channel)).message).toBe('the host w1 is down');
    expect((await endingOf(before.listenSocket('/s', [], () => undefined))).code).toBe(Code.UNAVAILABLE);
    expect(served).toHaveLength(1);
    expect(network.host('w1')).not.toBe(before);
    expect((await heartbeat(dial('w1'))).code).toBe(Code.OK);
  });

  it('tears connections on demand', async () => {
    const channel = dial('w1');
    const { over } = await session(channel);
    network.tear('m1', 'w1');
    expect((await endingOf(over)).message).toContain('connection reset by peer');
    expect((await heartbeat(channel)).code).toBe(Code.OK);
  });

  it('never blocks a host from itself', async () => {
    network.partition(['m1'], ['w1']);
    network.tearRate = 1;
    expect((await heartbeat(network.host('m1').dial('localhost:2377', { kind: 'unverified' }))).code).toBe(
      Code.PERMISSION_DENIED,
    );
  });
});
