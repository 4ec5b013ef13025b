import { describe, expect, it } from 'vitest';

import { Code, SwarmError, aborted, isSwarmError, type Code as CodeNumber } from '../base/index.js';
import { LocalChannel } from './local-channel.js';
import { Control, Dispatcher, LogBroker } from './messages.js';
import { bindService, createClient, type CallContext, type PeerIdentity } from './rpc.js';

const NEVER = new AbortController().signal;
const self: PeerIdentity = { nodeId: 'm', role: 'swarm-manager', clusterId: 'c' };

async function outcome(call: Promise<unknown>): Promise<{ code: CodeNumber; message: string }> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (isSwarmError(error)) return { code: error.code, message: error.message };
  throw new Error(`not a SwarmError: ${String(error)}`);
}

async function drain(stream: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const item of stream) if (item !== undefined) count++;
  return count;
}

describe('LocalChannel', () => {
  it('calls handlers of the same process as this node itself', async () => {
    const seen: CallContext[] = [];
    const dispatcher = bindService(Dispatcher, {
      heartbeat: (_, context) => {
        seen.push(context);
        return Promise.resolve({ period: { $typeName: 'google.protobuf.Duration', seconds: 1n, nanos: 0 } });
      },
    });
    const channel = new LocalChannel([dispatcher], () => self);
    const headers = new Map([['redirect', 'x']]);
    const reply = await createClient(Dispatcher, channel).heartbeat({ sessionId: 's' }, { signal: NEVER, headers });
    expect(reply).toMatchObject({ $typeName: 'docker.swarmkit.v1.HeartbeatResponse', period: { seconds: 1n } });
    expect(seen).toMatchObject([{ peer: self, remoteAddr: '', headers }]);
  });

  it('shares messages instead of copying them', async () => {
    const node = { $typeName: 'docker.swarmkit.v1.Node' as const };
    const control = bindService(Control, { getNode: () => Promise.resolve({ node: node as never }) });
    const reply = await createClient(Control, new LocalChannel([control], () => self)).getNode({}, { signal: NEVER });
    expect(reply.node).toBe(node);
  });

  it('carries both kinds of stream', async () => {
    const services = [
      bindService(Dispatcher, {
        session: async function* () {
          for (let i = 0; i < 3; i++) yield await Promise.resolve({ sessionId: String(i) });
        },
      }),
      bindService(LogBroker, {
        publishLogs: async (requests) => {
          for await (const request of requests) expect(request.$typeName).toContain('PublishLogsMessage');
          return {};
        },
      }),
    ];
    const channel = new LocalChannel(services, () => undefined);
    expect(await drain(createClient(Dispatcher, channel).session({}, { signal: NEVER }))).toBe(3);
    async function* messages() {
      yield await Promise.resolve({ subscriptionId: '1' });
    }
    await createClient(LogBroker, channel).publishLogs(messages(), { signal: NEVER });
  });

  it('hands on errors, and makes Unknown of what is none of ours', async () => {
    const dispatcher = bindService(Dispatcher, {
      heartbeat: () => Promise.reject(new SwarmError(Code.NOT_FOUND, 'gone')),
      updateTaskStatus: () => {
        throw new TypeError('oops');
      },
      session: async function* () {
        yield await Promise.resolve({});
        throw new Error('later');
      },
    });
    const client = createClient(Dispatcher, new LocalChannel([dispatcher], () => self));
    expect(await outcome(client.heartbeat({}, { signal: NEVER }))).toEqual({ code: Code.NOT_FOUND, message: 'gone' });
    expect(await outcome(client.updateTaskStatus({}, { signal: NEVER }))).toEqual({
      code: Code.UNKNOWN,
      message: 'oops',
    });
    expect(await outcome(drain(client.session({}, { signal: NEVER })))).toEqual({
      code: Code.UNKNOWN,
      message: 'later',
    });
  });

  it('answers Unimplemented in the words of gRPC', async () => {
    const channel = new LocalChannel([bindService(Dispatcher, {})], () => self);
    expect(await outcome(createClient(Dispatcher, channel).heartbeat({}, { signal: NEVER }))).toEqual({
      code: Code.UNIMPLEMENTED,
      message: 'unknown method Heartbeat for service docker.swarmkit.v1.Dispatcher',
    });
    expect((await outcome(createClient(Control, channel).listNodes({}, { signal: NEVER }))).message).toBe(
      'unknown service docker.swarmkit.v1.Control',
    );
  });

  it('ends the handler when the caller cancels, when the reader leaves and when the channel closes', async () => {
    const reasons: unknown[] = [];
    const dispatcher = bindService(Dispatcher, {
      session: async function* (_, { signal }) {
        const ended = aborted(signal).then(() => reasons.push(signal.reason));
        yield {};
        await ended;
        signal.throwIfAborted();
      },
    });
    const channel = new LocalChannel([dispatcher], () => self);
    const client = createClient(Dispatcher, channel);
    const controller = new AbortController();
    const cancelled = outcome(drain(client.session({}, { signal: controller.signal })));
    controller.abort(new SwarmError(Code.CANCELED, 'enough'));
    expect(await cancelled).toEqual({ code: Code.CANCELED, message: 'enough' });
    const closed = outcome(drain(client.session({}, { signal: NEVER })));
    channel.close();
    expect((await closed).code).toBe(Code.UNAVAILABLE);
    expect(reasons).toHaveLength(2);
    expect((await outcome(client.heartbeat({}, { signal: NEVER }))).code).toBe(Code.UNAVAILABLE);
  });

  it('tells a handler that its reader has left', async () => {
    let signal: AbortSignal | undefined;
    const dispatcher = bindService(Dispatcher, {
      session: async function* (_, context) {
        signal = context.signal;
        for (;;) yield await Promise.resolve({});
      },
    });
    const client = createClient(Dispatcher, new LocalChannel([dispatcher], () => self));
    for await (const message of client.session({}, { signal: NEVER })) {
      expect(message).toBeDefined();
      break;
    }
    expect(signal?.aborted).toBe(true);
  });
});
