import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  Control,
  Dispatcher,
  bindService,
  createClient,
  durationFromMs,
  type BoundService,
  type CallContext,
  type RpcChannel,
} from '../api/index.js';
import { Code, aborted, type SwarmError } from '../base/index.js';
import { NETWORKS, outcome, until, type Fixture } from '../../test/support/network-fixtures.js';
import { TestIdentity } from '../platform/rpc/test-certificates.js';

const NEVER = new AbortController().signal;

/** A dispatcher whose sessions last until they are ended, and whose heartbeat answers. */
class TestDispatcher {
  readonly contexts: CallContext[] = [];
  readonly reasons: unknown[] = [];
  isStubborn = false;

  readonly bound: BoundService = bindService(Dispatcher, {
    heartbeat: (_, context) => {
      this.contexts.push(context);
      return Promise.resolve({ period: durationFromMs(5_000) });
    },
    session: (_, context) => this.#session(context),
  });

  async *#session(context: CallContext) {
    this.contexts.push(context);
    yield { sessionId: 'begun' };
    await aborted(context.signal);
    this.reasons.push(context.signal.reason);
    if (this.isStubborn) await aborted(NEVER);
  }
}

/** Opens a session and returns what comes of it. */
async function openSession(channel: RpcChannel): Promise<{ ended: Promise<{ code: number; message: string }> }> {
  const messages = createClient(Dispatcher, channel).session({}, { signal: NEVER })[Symbol.asyncIterator]();
  expect(await messages.next()).toMatchObject({ value: { sessionId: 'begun' } });
  return { ended: outcome(Promise.resolve(messages.next())) };
}

describe.each(NETWORKS)('connections of the $name network', ({ make }) => {
  let fixture: Fixture;
  let dispatcher: TestDispatcher;
  beforeEach(async () => {
    dispatcher = new TestDispatcher();
    fixture = await make();
  });
  afterEach(() => fixture.dispose());

  const heartbeat = (channel: RpcChannel): Promise<unknown> =>
    createClient(Dispatcher, channel).heartbeat({}, { signal: NEVER });

  it('says where it listens and refuses an address that is taken', async () => {
    const server = await fixture.listen([dispatcher.bound]);
    expect(server.addr).toMatch(/^(127\.0\.0\.1:\d+|10\.0\.0\.1:2377)$/);
    expect(await outcome(fixture.listen([], server.addr))).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringContaining('address already in use'),
    });
    expect((await outcome(fixture.listen([], 'nonsense'))).code).toBe(Code.INVALID_ARGUMENT);
  });

  it('reports Unavailable with the address while nobody listens, and connects once somebody does', async () => {
    const first = await fixture.listen([dispatcher.bound]);
    const channel = await fixture.dialAs(first.addr, 'worker-1', 'swarm-worker');
    await first.close();
    const failure = await outcome(heartbeat(channel));
    expect(failure.code).toBe(Code.UNAVAILABLE);
    expect(failure.message).toContain('connection error: desc = "transport: Error while dialing');
    expect(failure.message).toContain(first.addr);
    expect(failure.message).toContain('connection refused');
    await fixture.listen([dispatcher.bound], first.addr);
    await heartbeat(channel);
  });

  it('refuses an address that is none when it is used', async () => {
    const channel = await fixture.dialAs('10.0.0.1', 'worker-1', 'swarm-worker');
    expect((await outcome(heartbeat(channel))).code).toBe(Code.INVALID_ARGUMENT);
  });

  it('stops with its running calls ended as Unavailable', async () => {
    const server = await fixture.listen([dispatcher.bound]);
    const channel = await fixture.dialAs(server.addr, 'worker-1', 'swarm-worker');
    const session = await openSession(channel);
    await server.close();
    expect(dispatcher.reasons).toMatchObject([{ code: Code.UNAVAILABLE }]);
    const ended = await session.ended;
    expect(ended.code).toBe(Code.UNAVAILABLE);
    expect(ended.message).toContain('transport is closing');
    expect((await outcome(heartbeat(channel))).code).toBe(Code.UNAVAILABLE);
    await server.close();
  });

  it('stops within its grace even when a handler ignores that', async () => {
    dispatcher.isStubborn = true;
    const server = await fixture.listen([dispatcher.bound]);
    const channel = await fixture.dialAs(server.addr, 'worker-1', 'swarm-worker');
    const session = await openSession(channel);
    let isClosed = false;
    const closing = server.close().then(() => {
      isClosed = true;
    });
    await until(() => dispatcher.reasons.length === 1);
    await fixture.clock.advance(1_000);
    await closing;
    expect(isClosed).toBe(true);
    expect((await session.ended).code).toBe(Code.UNAVAILABLE);
  });

  it('shows the present identity on new connections only, and lets callers come back on demand', async () => {
    const server = await fixture.listen([dispatcher.bound]);
    const identity = new TestIdentity(await fixture.issue('worker-1', 'swarm-worker'));
    const channel = fixture.dial(server.addr, { kind: 'mutual', identity });
    const nodeIds = (): unknown[] => dispatcher.contexts.map((context) => context.peer?.nodeId);
    await heartbeat(channel);
    identity.set(await fixture.issue('worker-2', 'swarm-worker'));
    await heartbeat(channel);
    expect(nodeIds()).toEqual(['worker-1', 'worker-1']);
    const session = await openSession(channel);
    server.closeConnections();
    expect((await session.ended).code).toBe(Code.UNAVAILABLE);
    await heartbeat(channel);
    expect(nodeIds()).toEqual(['worker-1', 'worker-1', 'worker-1', 'worker-2']);
  });

  it('judges connections by the roots that the server has when they begin', async () => {
    const server = await fixture.listen([dispatcher.bound]);
    const channel = await fixture.dialAs(server.addr, 'worker-1', 'swarm-worker');
    await heartbeat(channel);
    const foreign = await fixture.issueForeign('manager-1', 'swarm-manager');
    fixture.serverIdentity.set(foreign);
    await heartbeat(channel);
    const newcomer = new TestIdentity(await fixture.issueForeign('worker-9', 'swarm-worker'));
    await heartbeat(fixture.dial(server.addr, { kind: 'mutual', identity: newcomer }));
    server.closeConnections();
    await until(() => dispatcher.contexts.length === 3);
    let failure: { code: number; message: string } | undefined;
    // The first call may still find the old connection on its way out.
    while (failure === undefined || failure.message.includes('is closing')) failure = await outcome(heartbeat(channel));
    expect(failure.code).toBe(Code.UNAVAILABLE);
    expect(failure.message).toContain('authentication handshake');
  });

  it('verifies the server: its root, its name and its cluster', async () => {
    const server = await fixture.listen([dispatcher.bound]);
    const dial = async (from: TestIdentity): Promise<{ code: number; message: string }> =>
      outcome(heartbeat(fixture.dial(server.addr, { kind: 'mutual', identity: from })));
    const foreign = new TestIdentity(await fixture.issueForeign('worker-1', 'swarm-worker'));
    const call = heartbeat(fixture.dial(server.addr, { kind: 'mutual', identity: foreign }));
    await expect(call).rejects.toMatchObject({ details: { reason: 'certificate' } });
    const otherCluster = new TestIdentity(await fixture.issue('worker-1', 'swarm-worker', 'cluster-2'));
    expect(await dial(foreign)).toMatchObject({
      code: Code.UNAVAILABLE,
      message: expect.stringMatching(/handshake with .* failed: x509: certificate signed by unknown authority"$/),
    });
    expect(await dial(otherCluster)).toMatchObject({
      code: Code.UNAVAILABLE,
      message: expect.stringContaining('the server belongs to cluster \\"cluster-1\\", not to cluster-2'),
    });
    const rootPem = foreign.current().rootPem;
    expect((await outcome(heartbeat(fixture.dial(server.addr, { kind: 'root', rootPem })))).message).toContain(
      'authentication handshake',
    );
    fixture.serverIdentity.set(await fixture.issue('worker-7', 'swarm-worker'));
    const member = new TestIdentity(await fixture.issue('worker-1', 'swarm-worker'));
    expect((await dial(member)).message).toContain('authentication handshake');
    expect(dispatcher.contexts).toEqual([]);
  });

  it('serves a local socket on which callers act as the node itself, whatever the roles', async () => {
    await fixture.listenSocket([dispatcher.bound]);
    const channel = fixture.dialSocket();
    await heartbeat(channel);
    expect(dispatcher.contexts[0]).toMatchObject({
      peer: { nodeId: 'manager-1', role: 'swarm-manager', clusterId: 'cluster-1' },
      remoteAddr: '',
    });
    expect(await outcome(createClient(Control, channel).listNodes({}, { signal: NEVER }))).toEqual({
      code: Code.UNIMPLEMENTED,
      message: 'unknown service docker.swarmkit.v1.Control',
    });
    expect((await outcome(fixture.listenSocket([]))).code).toBe(Code.FAILED_PRECONDITION);
  });

  it('reports Unavailable for a socket that nobody serves, and serves it again after a close', async () => {
    const channel = fixture.dialSocket();
    expect(await outcome(heartbeat(channel))).toMatchObject({
      code: Code.UNAVAILABLE,
      message: expect.stringContaining(fixture.socketPath),
    });
    const first = await fixture.listenSocket([dispatcher.bound]);
    const session = await openSession(channel);
    await first.close();
    expect(((await session.ended) as SwarmError).code).toBe(Code.UNAVAILABLE);
    await fixture.listenSocket([dispatcher.bound]);
    await heartbeat(channel);
  });
});
