import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';

import {
  LogStream,
  ServiceSchema,
  type SubscribeLogsMessageSchema,
  type SubscribeLogsRequest,
} from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import { serviceSpec, task } from '../../manager/control-api/test-fixture.js';
import { RoutesWorld } from './world.test-helper.js';

type Batch = MessageInitShape<typeof SubscribeLogsMessageSchema>;

const CONTEXT = { nodeId: 'n1', serviceId: 's1', taskId: 't1' };
const line = (text: string, stream: LogStream = LogStream.STDOUT): NonNullable<Batch['messages']>[number] => ({
  context: CONTEXT,
  timestamp: { seconds: 1_767_225_600n, nanos: 5_000 },
  stream,
  data: new TextEncoder().encode(text),
  attrs: [
    { key: 'zone', value: 'a b' },
    { key: 'com.docker.swarm.task.id', value: 'forged' },
  ],
});

interface LogWorld {
  readonly world: RoutesWorld;
  readonly requests: SubscribeLogsRequest[];
}

async function logWorld(
  batches: readonly Batch[],
  options: { readonly tty?: boolean; readonly failure?: unknown } = {},
): Promise<LogWorld> {
  const world = new RoutesWorld();
  const requests: SubscribeLogsRequest[] = [];
  const runtime = { case: 'container', value: { image: 'x', tty: options.tty ?? false } } as const;
  await world.fixture.put('service', create(ServiceSchema, { id: 's1', spec: serviceSpec({ task: { runtime } }) }));
  await world.fixture.put('task', task('t1', { serviceId: 's1', spec: { runtime } }));
  await world.fixture.put('task', task('t2', { spec: { runtime: { case: 'attachment', value: {} } } }));
  world.logs = {
    subscribeLogs: async function* (request) {
      requests.push(request);
      yield* batches;
      if (options.failure !== undefined) throw options.failure;
    },
  };
  return { world, requests };
}

/** Frames as `[stream, text]`. */
function frames(bytes: Uint8Array): readonly (readonly [number, string])[] {
  const found: (readonly [number, string])[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint32(at + 4);
    found.push([bytes[at] ?? -1, new TextDecoder().decode(bytes.subarray(at + 8, at + 8 + length))]);
    at += 8 + length;
  }
  return found;
}

describe('the frames (E-234)', () => {
  test('say of which stream a line is', async () => {
    const { world } = await logWorld([
      { messages: [line('one\n'), line('two\n', LogStream.STDERR)] },
      { messages: [line('')] },
    ]);
    const answer = await world.get('/services/web/logs?stdout=1&stderr=1');
    expect(answer.status).toBe(200);
    expect(frames(answer.bytes)).toEqual([
      [1, 'one\n'],
      [2, 'two\n'],
      [1, ''],
    ]);
  });

  test('are left away for a terminal', async () => {
    const { world } = await logWorld([{ messages: [line('one\n'), line('two\n')] }], { tty: true });
    const answer = await world.get('/tasks/t1/logs?stdout=1');
    expect(new TextDecoder().decode(answer.bytes)).toBe('one\ntwo\n');
    expect(answer.headers).toMatchObject({ 'Content-Type': 'application/vnd.docker.raw-stream' });
  });

  test.each([
    ['/v1.42', 'multiplexed'],
    ['', 'multiplexed'],
    ['/v1.41', 'raw'],
  ])('are announced at %s as a %s stream', async (prefix, kind) => {
    const { world } = await logWorld([]);
    const { headers } = await world.get(`${prefix}/services/web/logs?stdout=1`);
    expect(headers).toMatchObject({ 'Content-Type': `application/vnd.docker.${kind}-stream` });
  });

  test('tell what went wrong after the headers', async () => {
    const { world } = await logWorld([{ messages: [line('one\n')] }], {
      failure: new SwarmError(Code.UNAVAILABLE, 'gone'),
    });
    expect(frames((await world.get('/services/web/logs?stdout=1')).bytes)).toEqual([
      [1, 'one\n'],
      [3, 'Error grabbing logs: rpc error: code = Unavailable desc = gone\n'],
    ]);
  });
});

describe('a line', () => {
  const only = async (query: string): Promise<string> => {
    const { world } = await logWorld([{ messages: [line('text')] }], { tty: true });
    return new TextDecoder().decode((await world.get(`/services/web/logs?stdout=1${query}`)).bytes);
  };
  const details = 'com.docker.swarm.node.id=n1,com.docker.swarm.service.id=s1,com.docker.swarm.task.id=t1,zone=a%20b';

  test('has a time of nine digits before its details before its text', async () => {
    expect(await only('')).toBe('text');
    expect(await only('&timestamps=1')).toBe('2026-01-01T00:00:00.000005000Z text');
    expect(await only('&details=1')).toBe(`${details} text`);
    expect(await only('&details=1&timestamps=1')).toBe(`2026-01-01T00:00:00.000005000Z ${details} text`);
  });
});

describe('what is asked of the nodes (E-233)', () => {
  test.each([
    ['stdout=1', { streams: [LogStream.STDOUT], follow: false, tail: 0n }],
    ['stderr=true&follow=1', { streams: [LogStream.STDERR], follow: true, tail: 0n }],
    ['stdout=1&stderr=1&tail=all', { streams: [LogStream.STDOUT, LogStream.STDERR], tail: 0n }],
    ['stdout=1&tail=0', { tail: -1n }],
    ['stdout=1&tail=5', { tail: -6n }],
    ['stdout=1&since=1767225600.5', { since: { seconds: 1_767_225_600n, nanos: 500_000_000 } }],
    ['stdout=1&since=1767225600.0000000019', { since: { seconds: 1_767_225_600n, nanos: 1 } }],
  ])('for %s', async (query, options) => {
    const { world, requests } = await logWorld([]);
    await world.get(`/services/web/logs?${query}`);
    await world.get(`/tasks/t1/logs?${query}`);
    expect(requests).toMatchObject([
      { selector: { serviceIds: ['s1'], taskIds: [] }, options },
      { selector: { serviceIds: [], taskIds: ['t1'] }, options },
    ]);
  });

  test.each(['', '&since=', '&since=0', '&since=-1'])('has no beginning with %s', async (query) => {
    const { world, requests } = await logWorld([]);
    await world.get(`/services/web/logs?stdout=1${query}`);
    expect(requests[0]?.options?.since).toBeUndefined();
  });
});

describe('refused before the headers (E-233, E-235)', () => {
  test.each([
    ['/services/web/logs', 500, 'Bad parameters: you must choose at least one stream'],
    ['/services/web/logs?stdout=0&stderr=no', 500, 'Bad parameters: you must choose at least one stream'],
    ['/services/nope/logs', 500, 'Bad parameters: you must choose at least one stream'],
    ['/tasks/t1/logs?stdout=1&tail=-1', 500, 'negative tail values not supported'],
    ['/tasks/t1/logs?stdout=1&tail=x', 500, 'tail value must be a positive integer or "all"'],
    [
      '/tasks/t1/logs?stdout=1&since=x',
      500,
      'could not parse since timestamp: strconv.ParseInt: parsing "x": invalid syntax',
    ],
    [
      '/tasks/t1/logs?stdout=1&since=1.x',
      500,
      'could not parse since timestamp: strconv.ParseInt: parsing "x": invalid syntax',
    ],
    ['/services/nope/logs?stdout=1', 404, 'service nope not found'],
    ['/tasks/nope/logs?stdout=1', 404, 'task nope not found'],
    ['/tasks/t2/logs?stdout=1', 500, 'logs only supported on container tasks'],
  ])('%s', async (path, status, text) => {
    const { world, requests } = await logWorld([]);
    expect(await world.get(path)).toMatchObject({ status, body: { message: text } });
    expect(requests).toEqual([]);
  });
});

test('a client that goes away ends the stream without a word', async () => {
  const world = new RoutesWorld();
  await world.fixture.put('service', create(ServiceSchema, { id: 's1', spec: serviceSpec() }));
  const client = new AbortController();
  world.logs = {
    subscribeLogs: async function* (_request, { signal }) {
      yield { messages: [line('one\n')] };
      client.abort(new Error('gone'));
      signal.throwIfAborted();
    },
  };
  const answer = await world.get('/services/web/logs?stdout=1&follow=1', client.signal);
  expect(frames(answer.bytes)).toEqual([[1, 'one\n']]);
});
