import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  Control,
  Dispatcher,
  LogBroker,
  bindService,
  createClient,
  type CallContext,
  type PublishLogsMessage,
  type RpcChannel,
  type ServiceHandlers,
  type SessionRequest,
} from '../api/index.js';
import { Code, SwarmError, aborted, type Code as CodeNumber } from '../base/index.js';
import { NETWORKS, outcome, until, type Fixture } from '../../test/support/network-fixtures.js';

const NEVER = new AbortController().signal;
const MIB = 1024 * 1024;

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

async function* logs(count: number): AsyncGenerator<{ subscriptionId: string }> {
  for (let i = 0; i < count; i++) yield await Promise.resolve({ subscriptionId: String(i) });
}

/** A server stream that says when it began and how it was stopped. */
class Endless {
  context: CallContext | undefined;
  reason: unknown;
  isDone = false;

  async *run(request: SessionRequest, context: CallContext) {
    this.context = context;
    try {
      yield { sessionId: request.sessionId };
      await aborted(context.signal);
    } finally {
      this.reason = context.signal.reason;
      this.isDone = true;
    }
  }
}

describe.each(NETWORKS)('calls over the $name network', ({ make }) => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await make();
  });
  afterEach(() => fixture.dispose());

  async function serve(
    dispatcher: ServiceHandlers<typeof Dispatcher>,
    logBroker: ServiceHandlers<typeof LogBroker> = {},
  ): Promise<RpcChannel> {
    const server = await fixture.listen([bindService(Dispatcher, dispatcher), bindService(LogBroker, logBroker)]);
    return fixture.dialAs(server.addr, 'worker-1', 'swarm-worker');
  }

  it('carries a unary call with its metadata and identity, sharing nothing', async () => {
    const seen: { request: unknown; context: CallContext }[] = [];
    const reply = { period: { $typeName: 'google.protobuf.Duration' as const, seconds: 5n, nanos: 1 } };
    const channel = await serve({
      heartbeat: (request, context) => {
        seen.push({ request, context });
        return Promise.resolve(reply);
      },
    });
    const request = { sessionId: 'sésame' };
    const headers = new Map([['Redirect', 'a, b']]);
    const answer = await createClient(Dispatcher, channel).heartbeat(request, { signal: NEVER, headers });
    expect(answer.period).toEqual(reply.period);
    expect(answer.period).not.toBe(reply.period);
    expect(seen[0]?.request).toMatchObject(request);
    const context = seen[0]?.context;
    expect(context?.headers.get('redirect')).toBe('a, b');
    expect(context?.remoteAddr).toMatch(/^(127\.0\.0\.1|10\.0\.0\.2):\d+$/);
    expect(context?.peer).toEqual({ nodeId: 'worker-1', role: 'swarm-worker', clusterId: 'cluster-1' });
  });

  it('carries many calls at once', async () => {
    const channel = await serve({
      updateTaskStatus: async (request, { signal }) => {
        signal.throwIfAborted();
        await Promise.resolve();
        return request.sessionId === '13' ? Promise.reject(new SwarmError(Code.NOT_FOUND, '13')) : {};
      },
    });
    const client = createClient(Dispatcher, channel);
    const calls = Array.from({ length: 200 }, (_, i) =>
      client.updateTaskStatus({ sessionId: String(i) }, { signal: NEVER }).then(
        () => 'ok',
        (error: Error) => error.message,
      ),
    );
    const results = await Promise.all(calls);
    expect(results.filter((result) => result !== 'ok')).toEqual(['13']);
  });

  it('keeps the order of both kinds of stream', async () => {
    const received: string[] = [];
    const channel = await serve(
      {
        session: async function* () {
          for (let i = 0; i < 1000; i++) yield await Promise.resolve({ sessionId: String(i) });
        },
      },
      {
        publishLogs: async (requests) => {
          for await (const request of requests) received.push(request.subscriptionId);
          return {};
        },
      },
    );
    const expected = Array.from({ length: 1000 }, (_, i) => String(i));
    const replies = await collect(createClient(Dispatcher, channel).session({}, { signal: NEVER }));
    expect(replies.map((reply) => reply.sessionId)).toEqual(expected);
    await createClient(LogBroker, channel).publishLogs(logs(1000), { signal: NEVER });
    expect(received).toEqual(expected);
  });

  it('ends an empty stream in both directions', async () => {
    const channel = await serve(
      { session: async function* () {} },
      { publishLogs: async (requests) => ((await collect(requests)).length === 0 ? {} : Promise.reject(new Error())) },
    );
    expect(await collect(createClient(Dispatcher, channel).session({}, { signal: NEVER }))).toEqual([]);
    await createClient(LogBroker, channel).publishLogs(logs(0), { signal: NEVER });
  });

  it('takes requests up to 4 MiB and replies of any size, and goes on after one that is too large', async () => {
    const channel = await serve({
      heartbeat: () => Promise.resolve({}),
      session: async function* () {
        yield await Promise.resolve({ sessionId: 'x'.repeat(9 * MIB) });
      },
    });
    const client = createClient(Dispatcher, channel);
    const options = { signal: NEVER };
    await client.heartbeat({ sessionId: 'x'.repeat(4 * MIB - 5) }, options);
    const bytes = 4 * MIB + 5;
    expect(await outcome(client.heartbeat({ sessionId: 'x'.repeat(4 * MIB) }, options))).toEqual({
      code: Code.RESOURCE_EXHAUSTED,
      message: `grpc: received message larger than max (${bytes} vs. ${4 * MIB})`,
    });
    await client.heartbeat({}, options);
    const [reply] = await collect(client.session({}, options));
    expect(reply?.sessionId.length).toBe(9 * MIB);
  });

  it('hands every error on with its code and its exact text', async () => {
    const texts = ['plain', '', '100% sure', 'zeile\r\nbruch\tä€🐳', 'rpc error: code = Unknown desc = x'];
    const channel = await serve({
      heartbeat: ({ sessionId }) => {
        const [code = '', text = ''] = sessionId.split('|');
        return Promise.reject(new SwarmError(Number(code) as CodeNumber, text));
      },
    });
    const client = createClient(Dispatcher, channel);
    for (let code = 1; code <= 16; code++) {
      for (const message of texts) {
        const call = client.heartbeat({ sessionId: `${code}|${message}` }, { signal: NEVER });
        expect(await outcome(call)).toEqual({ code, message });
      }
    }
  });

  it('hands on errors of streams, before the first message, after some, and from client streams', async () => {
    const channel = await serve(
      {
        session: async function* ({ sessionId }) {
          if (sessionId === 'early') throw new SwarmError(Code.ABORTED, 'at once');
          yield await Promise.resolve({ sessionId: 'one' });
          throw new SwarmError(Code.DATA_LOSS, 'after one');
        },
      },
      {
        publishLogs: async (requests) => {
          for await (const request of requests) throw new SwarmError(Code.NOT_FOUND, request.subscriptionId);
          return {};
        },
      },
    );
    const client = createClient(Dispatcher, channel);
    const early = collect(client.session({ sessionId: 'early' }, { signal: NEVER }));
    expect(await outcome(early)).toEqual({ code: Code.ABORTED, message: 'at once' });
    const received: string[] = [];
    const late = (async () => {
      for await (const message of client.session({}, { signal: NEVER })) received.push(message.sessionId);
    })();
    expect(await outcome(late)).toEqual({ code: Code.DATA_LOSS, message: 'after one' });
    expect(received).toEqual(['one']);
    const publishing = createClient(LogBroker, channel).publishLogs(logs(5), { signal: NEVER });
    expect(await outcome(publishing)).toEqual({ code: Code.NOT_FOUND, message: '0' });
  });

  it('turns whatever else a handler throws into Unknown with its text', async () => {
    const channel = await serve({
      heartbeat: () => {
        throw new TypeError('x is not a function');
      },
    });
    const call = createClient(Dispatcher, channel).heartbeat({}, { signal: NEVER });
    expect(await outcome(call)).toEqual({ code: Code.UNKNOWN, message: 'x is not a function' });
  });

  it('answers Unimplemented for what it does not serve', async () => {
    const channel = await serve({});
    const heartbeat = createClient(Dispatcher, channel).heartbeat({}, { signal: NEVER });
    expect(await outcome(heartbeat)).toEqual({
      code: Code.UNIMPLEMENTED,
      message: 'unknown method Heartbeat for service docker.swarmkit.v1.Dispatcher',
    });
    const list = createClient(Control, channel).listNodes({}, { signal: NEVER });
    expect(await outcome(list)).toEqual({
      code: Code.UNIMPLEMENTED,
      message: 'unknown service docker.swarmkit.v1.Control',
    });
  });

  it('ends both sides of a call at its deadline', async () => {
    const endless = new Endless();
    const channel = await serve({ session: (request, context) => endless.run(request, context) });
    const stream = createClient(Dispatcher, channel).session({}, { signal: NEVER, timeoutMs: 5_000 });
    const reading = outcome(collect(stream));
    await until(() => endless.context !== undefined);
    await fixture.clock.advance(5_000);
    expect(await reading).toEqual({ code: Code.DEADLINE_EXCEEDED, message: 'context deadline exceeded' });
    await until(() => endless.isDone);
    expect((endless.reason as SwarmError).code).toBeOneOf([Code.DEADLINE_EXCEEDED, Code.CANCELED]);
  });

  it('lets a call that is in time pass, and forgets its deadline', async () => {
    const channel = await serve({ heartbeat: () => Promise.resolve({}) });
    await createClient(Dispatcher, channel).heartbeat({}, { signal: NEVER, timeoutMs: 5_000 });
    await fixture.clock.advance(6_000);
    await createClient(Dispatcher, channel).heartbeat({}, { signal: NEVER, timeoutMs: 5_000 });
  });

  it('tells the handler when the caller cancels, and the caller his own reason', async () => {
    const endless = new Endless();
    const channel = await serve({ session: (request, context) => endless.run(request, context) });
    const client = createClient(Dispatcher, channel);
    const controller = new AbortController();
    const reading = outcome(collect(client.session({}, { signal: controller.signal })));
    await until(() => endless.context !== undefined);
    controller.abort(new SwarmError(Code.ABORTED, 'changed my mind'));
    expect(await reading).toEqual({ code: Code.ABORTED, message: 'changed my mind' });
    await until(() => endless.isDone);
    expect(endless.reason).toMatchObject({ code: Code.CANCELED });
    const late = client.heartbeat({}, { signal: AbortSignal.abort() });
    expect(await outcome(late)).toEqual({ code: Code.CANCELED, message: 'context canceled' });
  });

  it('tells the handler when the reader leaves early', async () => {
    const endless = new Endless();
    const channel = await serve({ session: (request, context) => endless.run(request, context) });
    for await (const message of createClient(Dispatcher, channel).session({ sessionId: 's' }, { signal: NEVER })) {
      expect(message.sessionId).toBe('s');
      break;
    }
    await until(() => endless.isDone);
    expect(endless.reason).toMatchObject({ code: Code.CANCELED });
  });

  it('slows a producer down whose reader does not keep up', async () => {
    let produced = 0;
    const channel = await serve({
      session: async function* () {
        for (; produced < 10_000; produced++) yield await Promise.resolve({ sessionId: 'x'.repeat(16_384) });
      },
    });
    let read = 0;
    for await (const message of createClient(Dispatcher, channel).session({}, { signal: NEVER })) {
      if (read++ > 0) continue;
      expect(message.sessionId.length).toBe(16_384);
      let before = -1;
      while (before !== produced) {
        before = produced;
        let turns = 0;
        await until(() => ++turns > 200);
      }
      expect(produced).toBeLessThan(1_000);
    }
    expect(read).toBe(10_000);
  });

  it('stops the sender of a client stream when the server answers early', async () => {
    let sent = 0;
    let isLeft = false;
    async function* endless(): AsyncGenerator<{ subscriptionId: string }> {
      try {
        for (;;) yield await Promise.resolve({ subscriptionId: String(sent++) });
      } finally {
        isLeft = true;
      }
    }
    const channel = await serve({}, { publishLogs: () => Promise.resolve({}) });
    await createClient(LogBroker, channel).publishLogs(endless(), { signal: NEVER });
    await until(() => isLeft);
  });

  it('fails a client stream with what its requests threw, and tells the handler', async () => {
    let seen: unknown;
    const got: PublishLogsMessage[] = [];
    const channel = await serve(
      {},
      {
        publishLogs: async (requests) => {
          try {
            for await (const request of requests) got.push(request);
          } catch (error) {
            seen = error;
          }
          return {};
        },
      },
    );
    async function* broken(): AsyncGenerator<{ subscriptionId: string }> {
      yield { subscriptionId: 'one' };
      await until(() => got.length === 1);
      throw new SwarmError(Code.INTERNAL, 'the disk is gone');
    }
    const call = createClient(LogBroker, channel).publishLogs(broken(), { signal: NEVER });
    expect(await outcome(call)).toEqual({ code: Code.INTERNAL, message: 'the disk is gone' });
    await until(() => seen !== undefined);
    expect(seen).toMatchObject({ code: Code.CANCELED });
  });

  it('ends all calls of a channel that is closed, and refuses further ones', async () => {
    const endless = new Endless();
    const channel = await serve({ session: (request, context) => endless.run(request, context) });
    const client = createClient(Dispatcher, channel);
    const reading = outcome(collect(client.session({}, { signal: NEVER })));
    await until(() => endless.context !== undefined);
    channel.close();
    expect((await reading).code).toBe(Code.UNAVAILABLE);
    await until(() => endless.isDone);
    expect((await outcome(client.heartbeat({}, { signal: NEVER }))).code).toBe(Code.UNAVAILABLE);
  });
});
