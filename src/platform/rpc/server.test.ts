import { once } from 'node:events';
import * as http2 from 'node:http2';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { Dispatcher, LogBroker, NodeCA, bindService, createClient, type RpcServer } from '../../api/index.js';
import { SILENT_LOGGER, aborted, type LogFields, type Logger } from '../../base/index.js';
import { SimClock } from '../../sim/index.js';
import { outcome, until } from '../../../test/support/network-fixtures.js';
import { encodeFrame } from './frames.js';
import { createRpcNetwork } from './index.js';
import { TestIdentity, TestRoot } from './test-certificates.js';

const NEVER = new AbortController().signal;
const HEARTBEAT = '/docker.swarmkit.v1.Dispatcher/Heartbeat';
const SESSION = '/docker.swarmkit.v1.Dispatcher/Session';
const PUBLISH = '/docker.swarmkit.v1.LogBroker/PublishLogs';

/** What a raw client got back. */
interface Reply {
  readonly headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;
  readonly trailers: http2.IncomingHttpHeaders | undefined;
  readonly body: Buffer;
}

class RecordingLogger implements Logger {
  readonly lines: { readonly fields: LogFields; readonly message: string }[] = [];
  debug = (): void => undefined;
  info = (): void => undefined;
  error = (fields: LogFields, message: string): void => void this.lines.push({ fields, message });
  warn = (fields: LogFields, message: string): void => void this.lines.push({ fields, message });
  child = (): Logger => this;
}

describe('the server towards clients of any kind', () => {
  let root: TestRoot;
  let identity: TestIdentity;
  let clock: SimClock;
  let log: RecordingLogger;
  let server: RpcServer;
  let requestsSeen: string[];
  let sessionReasons: unknown[];
  const sessions: http2.ClientHttp2Session[] = [];

  beforeEach(async () => {
    root = await TestRoot.create();
    const peer = { nodeId: 'manager-1', role: 'swarm-manager', clusterId: 'cluster-1' } as const;
    identity = new TestIdentity(await root.issue(peer));
    clock = new SimClock();
    log = new RecordingLogger();
    requestsSeen = [];
    sessionReasons = [];
    server = await createRpcNetwork({ clock, log }).listen('127.0.0.1:0', {
      services: [
        bindService(Dispatcher, {
          heartbeat: (request) => Promise.resolve(void requestsSeen.push(request.sessionId)).then(() => ({})),
          session: async function* (request, { signal }) {
            yield { sessionId: request.sessionId };
            await aborted(signal);
            sessionReasons.push(signal.reason);
          },
        }),
        bindService(LogBroker, {
          publishLogs: async (requests) => {
            for await (const request of requests) requestsSeen.push(request.subscriptionId);
            requestsSeen.push('end');
            return {};
          },
        }),
        bindService(NodeCA, { nodeCertificateStatus: () => Promise.resolve({}) }),
      ],
      tls: { identity, authorization: { clusterId: 'cluster-1', isRevoked: () => false } },
    });
  });
  afterEach(async () => {
    for (const session of sessions.splice(0)) session.destroy();
    await server.close();
  });

  async function connect(options: tls.ConnectionOptions = {}): Promise<http2.ClientHttp2Session> {
    const leaf = await root.issue({ nodeId: 'worker-1', role: 'swarm-worker', clusterId: 'cluster-1' });
    const session = http2.connect(`https://${server.addr}`, {
      cert: leaf.certificatePem,
      key: leaf.privateKeyPem,
      ca: root.pem,
      servername: 'swarm-manager',
      ...options,
    });
    sessions.push(session);
    session.on('error', () => undefined);
    await once(session, 'connect');
    return session;
  }

  function open(session: http2.ClientHttp2Session, path: string, headers: http2.OutgoingHttpHeaders = {}) {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const reply = new Promise<Reply>((resolve, reject) => {
      const chunks: Buffer[] = [];
      let received: Reply['headers'] | undefined;
      let trailers: Reply['trailers'];
      stream.on('response', (values) => {
        received = values;
      });
      stream.on('trailers', (values) => {
        trailers = values;
      });
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', reject);
      stream.on('end', () => resolve({ headers: received ?? {}, trailers, body: Buffer.concat(chunks) }));
    });
    return { stream, reply };
  }

  async function send(path: string, body: Uint8Array | undefined, headers?: http2.OutgoingHttpHeaders): Promise<Reply> {
    const { stream, reply } = open(await connect(), path, headers);
    stream.end(body);
    return reply;
  }

  /** A heartbeat or a log message whose only field, the first, is "a". */
  const FIELD_A = Buffer.from([10, 1, 0x61]);

  it('answers with headers, message and trailers', async () => {
    const reply = await send(HEARTBEAT, encodeFrame(FIELD_A));
    expect(reply.headers).toMatchObject({ ':status': 200, 'content-type': 'application/grpc' });
    expect(reply.headers['grpc-status']).toBeUndefined();
    expect(reply.body).toEqual(Buffer.from([0, 0, 0, 0, 0]));
    expect(reply.trailers).toMatchObject({ 'grpc-status': '0' });
    expect(requestsSeen).toEqual(['a']);
  });

  it('answers an error in a single block of headers', async () => {
    const reply = await send('/docker.swarmkit.v1.Dispatcher/None', encodeFrame(FIELD_A));
    expect(reply.headers).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': '12',
      'grpc-message': 'unknown method None for service docker.swarmkit.v1.Dispatcher',
    });
    expect(reply.trailers).toBeUndefined();
  });

  it.each([
    [
      'bytes that are no message',
      encodeFrame(Uint8Array.of(0xff, 0xff)),
      {},
      '13',
      'grpc: error unmarshalling request: ',
    ],
    ['no message', undefined, {}, '13', 'cardinality violation: received no request message'],
    ['half a message', encodeFrame(FIELD_A).subarray(0, 6), {}, '13', 'unexpected EOF'],
    ['half a header', Buffer.from([0, 0]), {}, '13', 'unexpected EOF'],
    [
      'a length beyond the limit',
      Buffer.from([0, 255, 255, 255, 255]),
      {},
      '8',
      'grpc: received message larger than max (4294967295 vs. 4194304)',
    ],
    [
      'a compressed message',
      Buffer.from([1, 0, 0, 0, 1, 0]),
      {},
      '13',
      'grpc: compressed flag set with identity or empty encoding',
    ],
    [
      'an unknown compression',
      encodeFrame(FIELD_A),
      { 'grpc-encoding': 'gzip' },
      '12',
      'grpc: Decompressor is not installed for grpc-encoding %22gzip%22'.replaceAll('%22', '"'),
    ],
    ['a malformed timeout', encodeFrame(FIELD_A), { 'grpc-timeout': '5 s' }, '13', 'malformed grpc-timeout: "5 s"'],
  ])('refuses %s, and serves the next call', async (_, body, headers, status, message) => {
    const client = await connect();
    const { stream, reply } = open(client, HEARTBEAT, headers);
    stream.end(body);
    const received = (await reply).headers;
    expect(received['grpc-status']).toBe(status);
    expect(received['grpc-message']).toContain(message);
    expect(requestsSeen).toEqual([]);
    const next = open(client, HEARTBEAT);
    next.stream.end(encodeFrame(FIELD_A));
    expect((await next.reply).trailers?.['grpc-status']).toBe('0');
  });

  it('logs what a peer does wrong once, however often', async () => {
    for (let i = 0; i < 3; i++) await send(HEARTBEAT, encodeFrame(Uint8Array.of(0xff, 0xff)));
    expect(log.lines).toHaveLength(1);
    expect(log.lines[0]).toMatchObject({ message: 'a call was refused', fields: { peer: 'worker-1' } });
  });

  it('answers a path that is none, a content type that is none, and another verb', async () => {
    expect((await send('/nonsense', undefined)).headers).toMatchObject({
      'grpc-status': '12',
      'grpc-message': 'malformed method name: "/nonsense"',
    });
    expect((await send(HEARTBEAT, undefined, { 'content-type': 'text/html' })).headers[':status']).toBe(415);
    expect((await send(HEARTBEAT, undefined, { ':method': 'GET' })).headers[':status']).toBe(405);
  });

  it('takes a client stream to have ended only when it was ended, not when it was reset', async () => {
    const client = await connect();
    const { stream, reply } = open(client, PUBLISH);
    reply.catch(() => undefined);
    stream.write(encodeFrame(FIELD_A));
    await until(() => requestsSeen.length === 1);
    stream.destroy();
    const whole = open(client, PUBLISH);
    whole.stream.end(encodeFrame(FIELD_A));
    expect((await whole.reply).trailers?.['grpc-status']).toBe('0');
    expect(requestsSeen).toEqual(['a', 'a', 'end']);
  });

  it('ends a handler at the deadline that the caller sent', async () => {
    const { stream, reply } = open(await connect(), SESSION, { 'grpc-timeout': '5S' });
    stream.end(encodeFrame(new Uint8Array(0)));
    await once(stream, 'data');
    await clock.advance(4_999);
    expect(sessionReasons).toEqual([]);
    await clock.advance(1);
    expect((await reply).trailers).toMatchObject({ 'grpc-status': '4', 'grpc-message': 'context deadline exceeded' });
    expect(sessionReasons).toHaveLength(1);
  });

  it('ends handlers when the connection breaks', async () => {
    const client = await connect();
    const { stream, reply } = open(client, SESSION);
    reply.catch(() => undefined);
    stream.end(encodeFrame(new Uint8Array(0)));
    await once(stream, 'data');
    client.destroy();
    await until(() => sessionReasons.length === 1);
    expect(sessionReasons).toMatchObject([{ code: 1, message: 'context canceled' }]);
  });

  it('answers pings', async () => {
    const client = await connect();
    await new Promise<void>((resolve, reject) => {
      client.ping((error) => (error === null ? resolve() : reject(error)));
    });
  });

  it('shows the same certificate for every server name and for none', async () => {
    for (const servername of ['', 'swarm-ca', 'swarm-manager']) {
      const socket = tls.connect({
        host: '127.0.0.1',
        port: Number(server.addr.split(':')[1]),
        servername,
        ALPNProtocols: ['h2'],
        rejectUnauthorized: false,
      });
      await once(socket, 'secureConnect');
      expect(socket.getPeerCertificate().subject).toMatchObject({ CN: 'manager-1', OU: 'swarm-manager' });
      expect(socket.alpnProtocol).toBe('h2');
      expect(socket.getProtocol()).toBe('TLSv1.3');
      socket.destroy();
    }
  });

  it('speaks TLS 1.2 but nothing older', async () => {
    const older = { rejectUnauthorized: false, ALPNProtocols: ['h2'], ciphers: 'DEFAULT@SECLEVEL=0' };
    const port = Number(server.addr.split(':')[1]);
    const tls12 = tls.connect({ ...older, port, maxVersion: 'TLSv1.2' });
    await once(tls12, 'secureConnect');
    expect(tls12.getProtocol()).toBe('TLSv1.2');
    tls12.destroy();
    const tls11 = tls.connect({ ...older, port, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' });
    await once(tls11, 'error');
  });

  it('refuses an expired certificate where one is needed, and logs it once', async () => {
    const peer = { nodeId: 'worker-1', role: 'swarm-worker', clusterId: 'cluster-1' } as const;
    const expired = new TestIdentity(await root.issue({ ...peer, expired: true }));
    const network = createRpcNetwork({ clock, log: SILENT_LOGGER });
    for (let i = 0; i < 2; i++) {
      const channel = network.dial(server.addr, { kind: 'mutual', identity: expired });
      const status = createClient(NodeCA, channel).nodeCertificateStatus({}, { signal: NEVER });
      expect(await status).toBeDefined();
      expect(await outcome(createClient(Dispatcher, channel).heartbeat({}, { signal: NEVER }))).toMatchObject({
        code: 7,
        message:
          'permission denied for docker.swarmkit.v1.Dispatcher.Heartbeat: the client certificate is not valid: certificate has expired or is not yet valid',
      });
      channel.close();
    }
    expect(log.lines.map((line) => line.message)).toEqual([
      'a client certificate was not accepted',
      'a call was refused',
    ]);
    expect(requestsSeen).toEqual([]);
  });

  it('logs each thing that is wrong with certificates from one host', async () => {
    const peer = { nodeId: 'worker-1', role: 'swarm-worker', clusterId: 'cluster-1' } as const;
    const forged = { ...(await (await TestRoot.create()).issue(peer)), rootPem: root.pem };
    const network = createRpcNetwork({ clock, log: SILENT_LOGGER });
    for (const identity of [await root.issue({ ...peer, expired: true }), forged, forged]) {
      const channel = network.dial(server.addr, { kind: 'mutual', identity: new TestIdentity(identity) });
      await outcome(createClient(Dispatcher, channel).heartbeat({}, { signal: NEVER }));
      channel.close();
    }
    const complaints = log.lines.filter(({ message }) => message === 'a client certificate was not accepted');
    expect(complaints).toHaveLength(2);
  });

  it('refuses a certificate that names no role', async () => {
    const odd = await root.issue({ nodeId: 'x', role: 'swarm-janitor' as 'swarm-worker', clusterId: 'cluster-1' });
    const session = await connect({ cert: odd.certificatePem, key: odd.privateKeyPem });
    const { stream, reply } = open(session, HEARTBEAT);
    stream.end(encodeFrame(FIELD_A));
    expect((await reply).headers['grpc-message']).toContain('names no node, role and cluster');
  });

  it('shows a renewed certificate to new callers', async () => {
    identity.set(await root.issue({ nodeId: 'manager-2', role: 'swarm-manager', clusterId: 'cluster-1' }));
    const session = await connect();
    const socket = session.socket as tls.TLSSocket;
    expect(socket.getPeerCertificate().subject.CN).toBe('manager-2');
  });

  it('lets go of its identity when it is closed', async () => {
    expect(identity.listenerCount).toBe(1);
    await server.close();
    expect(identity.listenerCount).toBe(0);
  });

  it('survives callers that speak something else', async () => {
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\u0016\u0003\u0001\u0000\u0001x', '']) {
      const socket = net.connect(Number(server.addr.split(':')[1]), '127.0.0.1');
      socket.on('error', () => undefined);
      socket.end(bytes);
      await once(socket, 'close');
    }
    const http1 = tls.connect({
      port: Number(server.addr.split(':')[1]),
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    });
    await once(http1, 'error');
    expect((await send(HEARTBEAT, encodeFrame(FIELD_A))).trailers?.['grpc-status']).toBe('0');
  });
});
