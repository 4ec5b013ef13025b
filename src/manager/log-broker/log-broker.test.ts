import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  LocalChannel,
  LogBroker as LogBrokerService,
  Logs as LogsService,
  TaskSchema,
  TaskState,
  createClient,
  type PublishLogsMessageSchema,
  type PublishLogsResponse,
  type RpcClient,
  type SubscribeLogsMessage,
  type SubscribeLogsRequestSchema,
  type SubscriptionMessage,
} from '../../api/index.js';
import { AsyncQueue, Code, SILENT_LOGGER, type SwarmError } from '../../base/index.js';
import { SeededRandom, SimClock } from '../../sim/index.js';
import { MemoryStore } from '../../store/index.js';
import { LogBroker } from './index.js';
import type { LogBrokerOptions } from './options.js';

type Publish = MessageInitShape<typeof PublishLogsMessageSchema>;

const NEVER = { signal: new AbortController().signal };
const INCOMPLETE = 'warning: incomplete log stream. some logs could not be retrieved for the following reasons: ';

let clock: SimClock;
let store: MemoryStore;
let broker: LogBroker;
let stopping: AbortController;
let stopped: Promise<void>;

async function start(
  options: LogBrokerOptions = {},
  storeOptions: { subscriberQueueMax?: number } = {},
): Promise<void> {
  clock = new SimClock();
  store = new MemoryStore(storeOptions, { clock });
  broker = new LogBroker(options, { store, random: new SeededRandom(1), log: SILENT_LOGGER });
  stopping = new AbortController();
  stopped = broker.run(stopping.signal);
  await clock.settle();
}

beforeEach(() => start());
afterEach(() => stopping.abort(new Error('the test is over')));

function channel(nodeId: string): LocalChannel {
  return new LocalChannel(broker.services(), () => ({ nodeId, role: 'swarm-worker', clusterId: 'c1' }));
}

/** Reads a stream in the background; with `paused` only on demand. */
class Reader<T> {
  readonly messages: T[] = [];
  ended: SwarmError | 'ended' | undefined;
  readonly abort = new AbortController();
  readonly #iterator: AsyncIterator<T>;

  constructor(open: (signal: AbortSignal) => AsyncIterable<T>, paused = false) {
    this.#iterator = open(this.abort.signal)[Symbol.asyncIterator]();
    if (!paused) void this.#readOn();
  }

  async pull(): Promise<void> {
    try {
      const result = await this.#iterator.next();
      if (result.done === true) this.ended = 'ended';
      else this.messages.push(result.value);
    } catch (error) {
      this.ended = error as SwarmError;
    }
  }

  async #readOn(): Promise<void> {
    while (this.ended === undefined) await this.pull();
  }

  /** Loses the connection. */
  async cancel(): Promise<void> {
    this.abort.abort(new Error('connection lost'));
    await clock.settle();
  }
}

/** An agent's publisher for one subscription. */
class Publisher {
  readonly #queue = new AsyncQueue<Publish>(100_000);
  readonly #signal = new AbortController();
  readonly reply: Promise<PublishLogsResponse>;
  taken = 0;
  ended: SwarmError | 'ended' | undefined;

  constructor(
    readonly nodeId: string,
    readonly subscriptionId: string,
  ) {
    const client: RpcClient<typeof LogBrokerService> = createClient(LogBrokerService, channel(nodeId));
    this.reply = client.publishLogs(this.#requests(), { signal: this.#signal.signal });
    this.reply.then(
      () => (this.ended = 'ended'),
      (error: SwarmError) => (this.ended = error),
    );
  }

  async send(message: Publish): Promise<void> {
    this.#queue.push(message);
    await clock.settle();
  }

  lines(...texts: readonly string[]): Promise<void> {
    const messages = texts.map((text) => ({ context: { nodeId: this.nodeId }, data: new TextEncoder().encode(text) }));
    return this.send({ subscriptionId: this.subscriptionId, messages });
  }

  close(): Promise<void> {
    return this.send({ subscriptionId: this.subscriptionId, close: true });
  }

  /** Ends the stream without a word. */
  async end(): Promise<void> {
    this.#queue.close();
    await clock.settle();
  }

  async cancel(): Promise<void> {
    this.#signal.abort(new Error('connection lost'));
    this.#queue.close();
    await clock.settle();
  }

  async *#requests(): AsyncGenerator<Publish> {
    for await (const message of this.#queue.iterate(NEVER.signal)) {
      this.taken++;
      yield message;
    }
  }
}

async function subscribe(
  request: MessageInitShape<typeof SubscribeLogsRequestSchema>,
  paused = false,
): Promise<Reader<SubscribeLogsMessage>> {
  const logs = createClient(LogsService, channel('m1'));
  const reader = new Reader((signal) => logs.subscribeLogs(request, { signal }), paused);
  await clock.settle();
  return reader;
}

async function listen(nodeId: string): Promise<Reader<SubscriptionMessage>> {
  const client = createClient(LogBrokerService, channel(nodeId));
  const reader = new Reader((signal) => client.listenSubscriptions({}, { signal }));
  await clock.settle();
  return reader;
}

async function putTask(id: string, nodeId: string, state = TaskState.RUNNING, serviceId = 's1'): Promise<void> {
  await store.update((tx) => {
    const old = tx.get('task', id);
    const task = create(TaskSchema, { id, nodeId, serviceId, status: { state } });
    if (old === undefined) tx.create('task', task);
    else tx.update('task', { ...task, meta: old.meta });
  });
  await clock.settle();
}

function texts(reader: Reader<SubscribeLogsMessage>): string[] {
  return reader.messages.flatMap(({ messages }) => messages.map(({ data }) => new TextDecoder().decode(data)));
}

describe('subscribing', () => {
  it('needs a selector that selects something', async () => {
    expect((await subscribe({})).ended).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'log selector must be provided',
    });
    expect((await subscribe({ selector: {} })).ended).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'log selector must not be empty',
    });
  });

  it('fails where the broker does not run, and ends when it stops', async () => {
    await putTask('t1', 'n1');
    const reader = await subscribe({ selector: { serviceIds: ['s1'] }, options: { follow: true } });
    const node = await listen('n1');
    await expect(broker.run(NEVER.signal)).rejects.toThrow('already running');
    stopping.abort(new Error('stop'));
    await stopped;
    await clock.settle();
    expect([reader.ended, node.ended]).toMatchObject([{ code: Code.ABORTED }, { code: Code.ABORTED }]);
    const refused = { code: Code.UNAVAILABLE, message: 'broker is not running' };
    expect((await subscribe({ selector: { taskIds: ['t1'] } })).ended).toMatchObject(refused);
    expect((await listen('n1')).ended).toMatchObject(refused);
    await expect(new Publisher('n1', 'x').reply).rejects.toMatchObject(refused);
  });

  it('is bounded in number', async () => {
    await start({ subscriptionsMax: 1 });
    const selector = { taskIds: ['t1'] };
    const reader = await subscribe({ selector, options: { follow: true } });
    expect((await subscribe({ selector })).ended).toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
    await reader.cancel();
    expect((await subscribe({ selector })).ended).toBe('ended');
    expect(
      () => new LogBroker({ waitingBytesMax: 0 }, { store, random: new SeededRandom(1), log: SILENT_LOGGER }),
    ).toThrow('waitingBytesMax');
  });
});

describe('reading without follow', () => {
  it('passes selector and options on to the nodes of matching tasks, ended ones included', async () => {
    await putTask('t1', 'n1');
    await putTask('t2', 'n2', TaskState.FAILED);
    await putTask('t3', 'n3', TaskState.ASSIGNED);
    const nodes = [await listen('n1'), await listen('n2'), await listen('n3'), await listen('n4')];
    const options = { tail: -11n, streams: [1] };
    await subscribe({ selector: { serviceIds: ['s1'] }, options });
    expect(nodes.map(({ messages }) => messages.length)).toEqual([1, 1, 0, 0]);
    expect(nodes[0]?.messages[0]).toMatchObject({ selector: { serviceIds: ['s1'] }, options, close: false });
    expect(nodes[0]?.messages[0]?.id).toMatch(/^[0-9a-z]{25}$/);
  });

  it('delivers in order and ends when every node has closed', async () => {
    await putTask('t1', 'n1');
    await putTask('t2', 'n2');
    const [one, two] = [await listen('n1'), await listen('n2')];
    const reader = await subscribe({ selector: { taskIds: ['t1', 't2', 'unknown'] } });
    const id = one.messages[0]?.id ?? '';
    const first = new Publisher('n1', id);
    await first.lines('a', 'b');
    await first.lines('c');
    await first.close();
    expect(reader.ended).toBeUndefined();
    const second = new Publisher('n2', id);
    await second.lines('d');
    await second.close();
    expect(texts(reader)).toEqual(['a', 'b', 'c', 'd']);
    expect(reader.ended).toBe('ended');
    expect([first.ended, second.ended]).toEqual(['ended', 'ended']);
    expect(one.messages.at(-1)).toMatchObject({ id, close: true });
    expect(two.messages.at(-1)).toMatchObject({ id, close: true });
  });

  it('ends at once where there is nothing to read', async () => {
    expect((await subscribe({ selector: { serviceIds: ['none'] } })).ended).toBe('ended');
  });

  it('waits for nodes that are named themselves', async () => {
    const node = await listen('n1');
    const reader = await subscribe({ selector: { nodeIds: ['n1'] } });
    expect(reader.ended).toBeUndefined();
    await new Publisher('n1', node.messages[0]?.id ?? '').close();
    expect(reader.ended).toBe('ended');
  });

  it('gives what there is and then names what is missing', async () => {
    await putTask('t1', 'n1');
    await putTask('t2', 'n2');
    await putTask('t3', '', TaskState.PENDING);
    const node = await listen('n1');
    const reader = await subscribe({ selector: { taskIds: ['t1', 't2', 't3'] } });
    const publisher = new Publisher('n1', node.messages[0]?.id ?? '');
    await publisher.lines('a');
    await publisher.close();
    expect(texts(reader)).toEqual(['a']);
    expect(reader.ended).toMatchObject({
      code: Code.UNKNOWN,
      message: `${INCOMPLETE}node n2 is not available, task t3 has not been scheduled`,
    });
  });

  it('names a node that disconnects before it has closed, and does not ask it again', async () => {
    await putTask('t1', 'n1');
    const node = await listen('n1');
    const reader = await subscribe({ selector: { taskIds: ['t1'] } });
    await node.cancel();
    expect(reader.ended).toMatchObject({ message: `${INCOMPLETE}node n1 disconnected unexpectedly` });
    expect((await listen('n1')).messages).toEqual([]);
  });

  it('counts a newer connection of a node as the end of the older one', async () => {
    await putTask('t1', 'n1');
    const older = await listen('n1');
    const first = await subscribe({ selector: { taskIds: ['t1'] } });
    const newer = await listen('n1');
    expect(older.ended).toMatchObject({ code: Code.ABORTED });
    expect(first.ended).toMatchObject({ message: `${INCOMPLETE}node n1 disconnected unexpectedly` });
    const second = await subscribe({ selector: { taskIds: ['t1'] } });
    expect(newer.messages).toHaveLength(1);
    expect(second.ended).toBeUndefined();
  });

  it('takes the end of a publisher as its close, and its failure as the reason why lines are missing', async () => {
    await putTask('t1', 'n1');
    const node = await listen('n1');
    const good = await subscribe({ selector: { taskIds: ['t1'] } });
    const ending = new Publisher('n1', node.messages[0]?.id ?? '');
    await ending.lines('a');
    await ending.end();
    expect([texts(good), good.ended]).toEqual([['a'], 'ended']);
    const bad = await subscribe({ selector: { taskIds: ['t1'] } });
    const publisher = new Publisher('n1', node.messages.at(-1)?.id ?? '');
    await publisher.send({ subscriptionId: publisher.subscriptionId, messages: [{ context: { nodeId: 'n2' } }] });
    expect(bad.ended).toMatchObject({
      message: `${INCOMPLETE}rpc error: code = PermissionDenied desc = invalid NodeID: expected=n1;received=n2`,
    });
  });
});

describe('following', () => {
  it('goes on after a close, and ends with the reader', async () => {
    await putTask('t1', 'n1');
    const node = await listen('n1');
    const reader = await subscribe({ selector: { serviceIds: ['s1'] }, options: { follow: true } });
    const id = node.messages[0]?.id ?? '';
    const publisher = new Publisher('n1', id);
    await publisher.lines('a');
    await publisher.close();
    expect(reader.ended).toBeUndefined();
    const again = new Publisher('n1', id);
    await again.lines('b');
    expect(texts(reader)).toEqual(['a', 'b']);
    await reader.cancel();
    expect(node.messages.at(-1)).toMatchObject({ id, close: true });
    await again.lines('c');
    expect(again.ended).toBe('ended');
  });

  it('reaches nodes that get a task later, each once', async () => {
    await putTask('t1', '', TaskState.NEW);
    const [one, two] = [await listen('n1'), await listen('n2')];
    await subscribe({ selector: { serviceIds: ['s1'] }, options: { follow: true } });
    expect([one.messages.length, two.messages.length]).toEqual([0, 0]);
    await putTask('t1', 'n1', TaskState.ASSIGNED);
    await putTask('t2', 'n1', TaskState.ASSIGNED);
    await putTask('t3', 'n2', TaskState.ASSIGNED, 'other');
    await putTask('t1', 'n1', TaskState.RUNNING);
    expect([one.messages.length, two.messages.length]).toEqual([1, 0]);
  });

  it('reaches nodes that connect later or come back', async () => {
    await putTask('t1', 'n1');
    const reader = await subscribe({ selector: { taskIds: ['t1'] }, options: { follow: true } });
    const node = await listen('n1');
    expect(node.messages).toHaveLength(1);
    await node.cancel();
    expect(reader.ended).toBeUndefined();
    expect((await listen('n1')).messages).toHaveLength(1);
  });

  it('finds tasks again after missed store events', async () => {
    await start({}, { subscriberQueueMax: 2 });
    const node = await listen('n1');
    await subscribe({ selector: { serviceIds: ['s1'] }, options: { follow: true } });
    await store.update((tx) => {
      for (const n of [1, 2, 3, 4]) {
        tx.create('task', create(TaskSchema, { id: `t${n}`, serviceId: 's1', nodeId: n === 4 ? 'n1' : 'n9' }));
      }
    });
    await clock.settle();
    expect(node.messages).toHaveLength(1);
  });
});

describe('publishing', () => {
  async function openSubscription(): Promise<string> {
    await putTask('t1', 'n1');
    const node = await listen('n1');
    await subscribe({ selector: { taskIds: ['t1'] }, options: { follow: true } });
    return node.messages[0]?.id ?? '';
  }

  it('needs the id of a subscription that exists', async () => {
    const missing = new Publisher('n1', '');
    await missing.lines('a');
    expect(missing.ended).toMatchObject({ code: Code.INVALID_ARGUMENT, message: 'missing subscription ID' });
    const unknown = new Publisher('n1', 'x');
    await unknown.lines('a');
    expect(unknown.ended).toMatchObject({ code: Code.NOT_FOUND, message: 'unknown subscription ID' });
  });

  it('needs the same id in all messages', async () => {
    const publisher = new Publisher('n1', await openSubscription());
    await publisher.lines('a');
    await publisher.send({ subscriptionId: 'other' });
    expect(publisher.ended).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'different subscription IDs in the same session',
    });
  });

  it("is refused under another node's name, without a name, and to nodes that were not asked", async () => {
    const id = await openSubscription();
    const forger = new Publisher('n1', id);
    await forger.send({ subscriptionId: id, messages: [{ context: { nodeId: 'n2' } }] });
    expect(forger.ended).toMatchObject({
      code: Code.PERMISSION_DENIED,
      message: 'invalid NodeID: expected=n1;received=n2',
    });
    const nameless = new Publisher('n1', id);
    await nameless.send({ subscriptionId: id, messages: [{}] });
    expect(nameless.ended).toMatchObject({ message: 'invalid NodeID: expected=n1;received=' });
    const stranger = new Publisher('n7', id);
    await stranger.lines('a');
    expect(stranger.ended).toMatchObject({ code: Code.PERMISSION_DENIED });
  });
});

describe('a slow reader', () => {
  it('holds up its publishers at the limits, and no other reader', async () => {
    await start({ waitingMessagesMax: 10, waitingBytesMax: 1000 });
    await putTask('t1', 'n1');
    const node = await listen('n1');
    const options = { follow: true };
    const slow = await subscribe({ selector: { taskIds: ['t1'] }, options }, true);
    const opening = slow.pull();
    const quick = await subscribe({ selector: { serviceIds: ['s1'] }, options });
    const [toSlow, toQuick] = node.messages.map(({ id }) => new Publisher('n1', id));
    for (let i = 0; i < 50; i++) await toSlow?.lines(`${i}`);
    for (let i = 0; i < 50; i++) await toQuick?.lines(`${i}`);
    expect(toSlow?.taken).toBeLessThanOrEqual(13);
    expect(texts(quick)).toHaveLength(50);
    await opening;
    while (texts(slow).length < 50) await slow.pull();
    expect(texts(slow)).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`));
  });

  it('counts bytes too, and lets its publishers go when it leaves', async () => {
    await start({ waitingBytesMax: 100 });
    await putTask('t1', 'n1');
    const node = await listen('n1');
    const slow = await subscribe({ selector: { taskIds: ['t1'] }, options: { follow: true } }, true);
    const opening = slow.pull();
    await clock.settle();
    const publisher = new Publisher('n1', node.messages[0]?.id ?? '');
    for (let i = 0; i < 9; i++) await publisher.lines('x'.repeat(60));
    await opening;
    expect(publisher.taken).toBeLessThan(6);
    await slow.cancel();
    await slow.pull();
    await clock.settle();
    expect(publisher.ended).toBe('ended');
  });

  it('does not keep a publisher whose connection is lost', async () => {
    await start({ waitingMessagesMax: 1 });
    await putTask('t1', 'n1');
    const node = await listen('n1');
    const slow = await subscribe({ selector: { taskIds: ['t1'] }, options: { follow: true } }, true);
    void slow.pull();
    await clock.settle();
    const publisher = new Publisher('n1', node.messages[0]?.id ?? '');
    for (let i = 0; i < 5; i++) await publisher.lines('x');
    expect(publisher.ended).toBeUndefined();
    await publisher.cancel();
    expect(publisher.ended).toBeDefined();
  });
});
