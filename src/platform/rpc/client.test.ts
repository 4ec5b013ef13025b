import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import * as http2 from 'node:http2';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { Dispatcher, bindService, createClient, type RpcChannel, type RpcNetwork } from '../../api/index.js';
import { Code, SILENT_LOGGER, aborted } from '../../base/index.js';
import { SimClock } from '../../sim/index.js';
import { outcome, until } from '../../../test/support/network-fixtures.js';
import { encodeFrame } from './frames.js';
import { createRpcNetwork } from './index.js';
import { TestIdentity, TestRoot } from './test-certificates.js';

const NEVER = new AbortController().signal;
const GRPC = { ':status': 200, 'content-type': 'application/grpc' };
const EMPTY = encodeFrame(new Uint8Array(0));

let directory: string;
let clock: SimClock;
let network: RpcNetwork;
const cleanups: (() => unknown)[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rpc-client-'));
  clock = new SimClock();
  network = createRpcNetwork({ clock, log: SILENT_LOGGER });
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(directory, { recursive: true, force: true });
});

const socketPath = (): string => join(directory, 'control.sock');

/** A server on a unix socket that answers as the test says. */
async function rawServer(
  answer: (stream: http2.ServerHttp2Stream, count: number, headers: http2.IncomingHttpHeaders) => void,
): Promise<RpcChannel> {
  const server = http2.createServer();
  let count = 0;
  const sessions: http2.ServerHttp2Session[] = [];
  server.on('session', (session) => {
    session.on('error', () => undefined);
    sessions.push(session);
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    answer(stream, ++count, headers);
  });
  server.listen(socketPath());
  await once(server, 'listening');
  const channel = network.dialSocket(socketPath());
  cleanups.push(() => {
    channel.close();
    for (const session of sessions) session.destroy();
    server.close();
  });
  return channel;
}

const heartbeat = (channel: RpcChannel, timeoutMs?: number): Promise<unknown> =>
  createClient(Dispatcher, channel).heartbeat({}, { signal: NEVER, ...(timeoutMs === undefined ? {} : { timeoutMs }) });

/** Ends a reply with these trailers. */
function finish(stream: http2.ServerHttp2Stream, body: Buffer, trailers: http2.OutgoingHttpHeaders): void {
  stream.respond(GRPC, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(body);
}

describe('the client towards servers of any kind', () => {
  it.each<[string, (stream: http2.ServerHttp2Stream) => void, number, string]>([
    [
      'no trailers',
      (stream) => (stream.respond(GRPC), stream.end(EMPTY)),
      13,
      'server closed the stream without sending trailers',
    ],
    ['trailers without a status', (stream) => finish(stream, EMPTY, { a: 'b' }), 13, 'trailers without a status'],
    [
      'no message',
      (stream) => finish(stream, Buffer.alloc(0), { 'grpc-status': '0' }),
      13,
      'received no response message',
    ],
    [
      'two messages',
      (stream) => finish(stream, Buffer.concat([EMPTY, EMPTY]), { 'grpc-status': '0' }),
      13,
      'received another message',
    ],
    [
      'half a message',
      (stream) => finish(stream, Buffer.from([0, 0, 0, 0, 9, 1]), { 'grpc-status': '0' }),
      13,
      'unexpected EOF',
    ],
    [
      'bytes that are no message',
      (stream) => finish(stream, encodeFrame(Uint8Array.of(255, 255)), { 'grpc-status': '0' }),
      13,
      'grpc: failed to unmarshal the received message',
    ],
    [
      'a compressed reply',
      (stream) => stream.respond({ ...GRPC, 'grpc-encoding': 'gzip' }),
      12,
      'Decompressor is not installed for grpc-encoding "gzip"',
    ],
    [
      'an HTTP error',
      (stream) => (stream.respond({ ':status': 503, 'content-type': 'text/html' }), stream.end('x')),
      14,
      'unexpected HTTP status code received from server: 503',
    ],
    [
      'a web page',
      (stream) => (stream.respond({ ':status': 200, 'content-type': 'text/html' }), stream.end('x')),
      2,
      'text/html',
    ],
    [
      'a reset',
      (stream) => stream.destroy(new Error('x')),
      13,
      'stream terminated by RST_STREAM with error code: INTERNAL_ERROR',
    ],
    [
      'a reply whose status is an error',
      (stream) => finish(stream, EMPTY, { 'grpc-status': '5', 'grpc-message': 'no%20node' }),
      5,
      'no node',
    ],
    ['a broken connection', (stream) => stream.session?.destroy(), 14, 'transport is closing: the connection to '],
  ])('makes sense of %s', async (_, answer, code, text) => {
    const channel = await rawServer((stream, count) => {
      if (count === 1) answer(stream);
      else finish(stream, EMPTY, { 'grpc-status': '0' });
    });
    const failure = await outcome(heartbeat(channel));
    expect(failure.code).toBe(code);
    expect(failure.message).toContain(text);
    await heartbeat(channel);
  });

  it('sends a call again that the server refused unseen, once', async () => {
    const refuse = (stream: http2.ServerHttp2Stream): void => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    let calls = 0;
    const channel = await rawServer((stream, count) => {
      calls = count;
      if (count === 1 || count > 2) refuse(stream);
      else finish(stream, EMPTY, { 'grpc-status': '0' });
    });
    await heartbeat(channel);
    expect(calls).toBe(2);
    expect((await outcome(heartbeat(channel))).code).toBe(Code.UNAVAILABLE);
    expect(calls).toBe(4);
  });

  it('lets running calls end after GOAWAY and makes further ones on a new connection', async () => {
    const streams: http2.ServerHttp2Stream[] = [];
    const channel = await rawServer((stream) => streams.push(stream));
    const first = heartbeat(channel);
    await until(() => streams.length === 1);
    const session = streams[0]?.session;
    session?.close();
    const pinged = new Promise<void>((resolve) => session?.ping(() => resolve()));
    await pinged;
    const second = heartbeat(channel);
    await until(() => streams.length === 2);
    expect(streams[1]?.session).not.toBe(session);
    for (const stream of streams) finish(stream, EMPTY, { 'grpc-status': '0' });
    await Promise.all([first, second]);
  });

  it('tells the server the rest of the deadline', async () => {
    let timeout: unknown;
    const channel = await rawServer((stream, _, headers) => {
      timeout = headers['grpc-timeout'];
      finish(stream, EMPTY, { 'grpc-status': '0' });
    });
    await heartbeat(channel);
    expect(timeout).toBeUndefined();
    await heartbeat(channel, 5_000);
    expect(timeout).toBe('5000m');
  });

  it('notices a peer that falls silent during a call', async () => {
    const streams: http2.ServerHttp2Stream[] = [];
    await rawServer((stream) => {
      streams.push(stream);
    });
    const relay = await startRelay();
    const failure = outcome(heartbeat(relay.channel));
    await until(() => streams.length === 1);
    relay.fallSilent();
    await clock.advance(14_999);
    let isOver = false;
    void failure.then(() => {
      isOver = true;
    });
    await clock.advance(0);
    expect(isOver).toBe(false);
    await clock.advance(1);
    expect(await failure).toMatchObject({
      code: Code.UNAVAILABLE,
      message: expect.stringContaining('keepalive ping failed to receive ACK within timeout'),
    });
    expect(clock.pendingTimers).toBe(0);
  });

  it('asks a quiet peer once and then leaves it alone', async () => {
    let pings = 0;
    const streams: http2.ServerHttp2Stream[] = [];
    const channel = await rawServer((stream) => {
      streams.push(stream);
      stream.session?.on('ping', () => pings++);
    });
    const call = heartbeat(channel);
    await until(() => streams.length === 1);
    for (let i = 0; i < 30; i++) {
      await clock.advance(10_000);
      // The answer to a ping takes its way through the kernel.
      await turn();
    }
    expect(pings).toBe(1);
    const [stream] = streams;
    if (stream !== undefined) finish(stream, EMPTY, { 'grpc-status': '0' });
    await call;
    await until(() => stream?.closed === true);
    await turn();
    await clock.advance(10_000);
    expect(clock.pendingTimers).toBe(0);
  });

  it('gives up on a peer that accepts a connection and says nothing', async () => {
    const sockets: net.Socket[] = [];
    const silent = net.createServer((socket) => sockets.push(socket.on('error', () => undefined)));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    cleanups.push(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const addr = `127.0.0.1:${(silent.address() as net.AddressInfo).port}`;
    const failure = outcome(heartbeat(network.dial(addr, { kind: 'unverified' })));
    await until(() => sockets.length === 1);
    await clock.advance(10_000);
    expect(await failure).toEqual({
      code: Code.UNAVAILABLE,
      message: `connection error: desc = "transport: authentication handshake with ${addr} failed: i/o timeout"`,
    });
  });

  it('says so when the other side does not speak TLS', async () => {
    const plain = net.createServer((socket) =>
      socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    );
    plain.listen(0, '127.0.0.1');
    await once(plain, 'listening');
    cleanups.push(() => plain.close());
    const addr = `127.0.0.1:${(plain.address() as net.AddressInfo).port}`;
    const failure = await outcome(heartbeat(network.dial(addr, { kind: 'unverified' })));
    expect(failure.code).toBe(Code.UNAVAILABLE);
    expect(failure.message).toContain(`authentication handshake with ${addr} failed`);
  });
});

/** Lets what the kernel holds arrive. */
async function turn(): Promise<void> {
  let turns = 0;
  await until(() => ++turns > 1_000);
}

/** Passes bytes between a channel and the raw server until told to hold them all back. */
async function startRelay(): Promise<{ channel: RpcChannel; fallSilent: () => void }> {
  const sockets: net.Socket[] = [];
  const path = join(directory, 'relay.sock');
  const relay = net.createServer((near) => {
    const far = net.connect(socketPath());
    sockets.push(near, far);
    near.on('data', (bytes) => far.write(bytes));
    far.on('data', (bytes) => near.write(bytes));
  });
  relay.listen(path);
  await once(relay, 'listening');
  const channel = network.dialSocket(path);
  cleanups.push(() => {
    channel.close();
    for (const socket of sockets) socket.destroy();
    relay.close();
  });
  const fallSilent = (): void => {
    for (const socket of sockets) socket.pause();
  };
  return { channel, fallSilent };
}

describe('listening', () => {
  const dispatcher = bindService(Dispatcher, {
    heartbeat: () => Promise.resolve({}),
    session: async function* (_, { signal }) {
      yield {};
      await aborted(signal);
    },
  });

  it('gives the socket to its owner only and removes it at the end', async () => {
    const server = await network.listenSocket(socketPath(), [dispatcher], () => undefined);
    expect((await stat(socketPath())).mode & 0o777).toBe(0o600);
    await server.close();
    await expect(stat(socketPath())).rejects.toThrow('ENOENT');
  });

  it('takes over the socket of a dead process but not that of a living one, nor any other file', async () => {
    const code =
      'const s = require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
    await once(spawn(process.execPath, ['-e', code, socketPath()]), 'exit');
    expect((await stat(socketPath())).isSocket()).toBe(true);
    const server = await network.listenSocket(socketPath(), [dispatcher], () => undefined);
    cleanups.push(() => server.close());
    expect(await outcome(network.listenSocket(socketPath(), [], () => undefined))).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringContaining('address already in use'),
    });
    const file = join(directory, 'file');
    await writeFile(file, 'precious');
    expect(await outcome(network.listenSocket(file, [], () => undefined))).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringContaining('is not a socket'),
    });
    await heartbeat(network.dialSocket(socketPath()));
  });

  it('reports a directory that is not there', async () => {
    const path = join(directory, 'none', 'control.sock');
    const failure = await outcome(network.listenSocket(path, [], () => undefined));
    expect(failure).toMatchObject({ code: Code.FAILED_PRECONDITION, message: expect.stringContaining(path) });
  });

  it('works over IPv6 and names such addresses with brackets', async () => {
    const root = await TestRoot.create();
    const identity = new TestIdentity(
      await root.issue({ nodeId: 'manager-1', role: 'swarm-manager', clusterId: 'cluster-1' }),
    );
    const seen: string[] = [];
    const authorization = { clusterId: 'cluster-1', isRevoked: () => false };
    const watcher = bindService(Dispatcher, {
      heartbeat: (_, context) => Promise.resolve(void seen.push(context.remoteAddr)).then(() => ({})),
    });
    const tls = { identity, authorization };
    for (const listenAddr of ['[::1]:0', ':0']) {
      const server = await network.listen(listenAddr, { services: [watcher], tls });
      const { port } = new URL(`https://${server.addr}`);
      const channel = network.dial(listenAddr === ':0' ? `127.0.0.1:${port}` : server.addr, {
        kind: 'mutual',
        identity,
      });
      await heartbeat(channel);
      channel.close();
      await server.close();
    }
    expect(seen[0]).toMatch(/^\[::1\]:\d+$/);
    expect(seen[1]).toMatch(/^127\.0\.0\.1:\d+$/);
  });
});
