import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as httpRequest, Agent, type IncomingMessage, type RequestOptions } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { Code } from '../base/index.js';
import { ApiError, type HttpResponse, type IncomingRequest } from '../engine-api/index.js';
import { HttpServer, parseHttpAddress } from './http-server.js';

type Handler = (request: IncomingRequest) => Promise<HttpResponse>;

const BODY_BYTES_MAX = 16 * 2 ** 20;

let directory: string;
let socketPath: string;
let server: HttpServer;
let handler: Handler;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'http-server-'));
  socketPath = join(directory, 'api.sock');
  handler = async () => ({ status: 200, body: 'hello' });
  server = await HttpServer.listen(
    { kind: 'unix', path: socketPath },
    {
      handle: async (request) => {
        try {
          return await handler(request);
        } catch (error) {
          if (error instanceof ApiError) return { status: error.status, body: error.message };
          throw error;
        }
      },
    },
  );
});

afterEach(async () => {
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Got {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

function send(options: RequestOptions, body?: string | Buffer): Promise<Got> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, agent: false, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Everything that comes back for bytes sent on a connection of their own, until the server ends it. */
async function raw(text: string, afterwards: (socket: Socket) => void = () => undefined): Promise<string> {
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  await once(socket, 'connect');
  socket.write(text);
  afterwards(socket);
  let answer = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) answer += chunk.toString();
  socket.destroy();
  return answer;
}

describe('requests', () => {
  test('arrive with method, path, query, headers and body', async () => {
    handler = async ({ method, path, query, headers, body }) => ({
      status: 201,
      headers: { 'X-Method': method },
      body: JSON.stringify([path, query.get('a'), headers.get('x-one'), new TextDecoder().decode(await body())]),
    });
    const got = await send({ method: 'POST', path: '/things/x%20y?a=b%26c', headers: { 'X-One': '1' } }, 'text');
    expect(got).toMatchObject({ status: 201, headers: { 'x-method': 'POST' } });
    expect(JSON.parse(got.body)).toEqual(['/things/x%20y', 'b&c', '1', 'text']);
  });

  test.each(['//nodes', '//', '/%zz', 'http://engine/nodes?x=1'])('with a target of %s are answered', async (path) => {
    handler = async (request) => ({ status: 200, body: request.path });
    expect((await send({ path })).body).toBe(path.startsWith('http') ? '/nodes' : path);
  });

  test('share a connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<unknown>();
    for (let round = 0; round < 3; round++) {
      expect((await send({ agent, method: 'POST' }, 'unread body')).body).toBe('hello');
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) ports.add(socket);
    }
    expect(ports.size).toBe(1);
    agent.destroy();
  });

  test('by HEAD get the headers and no body', async () => {
    handler = async () => ({ status: 200, headers: { 'Content-Type': 'text/plain' }, body: 'hello' });
    const answer = await raw('HEAD /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer.endsWith('\r\n\r\n')).toBe(true);
  });

  test.each([204, 304])('answered by %d have no body and no length', async (status) => {
    handler = async () => ({ status });
    const got = await send({ method: 'DELETE' });
    expect(got).toMatchObject({ status, body: '' });
    expect(got.headers['content-length']).toBeUndefined();
  });

  test('with too large a body are answered 413, and the client can read it', async () => {
    handler = async ({ body }) => ({ status: 200, body: String((await body()).length) });
    expect(await send({ method: 'POST' }, Buffer.alloc(BODY_BYTES_MAX))).toMatchObject({
      status: 200,
      body: String(BODY_BYTES_MAX),
    });
    expect(await send({ method: 'POST' }, Buffer.alloc(BODY_BYTES_MAX + 1))).toMatchObject({ status: 413 });
  });

  test('that expect to be told to continue are told', async () => {
    handler = async ({ body }) => ({ status: 200, body: new TextDecoder().decode(await body()) });
    const answer = await raw(
      'POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n',
      (socket) => socket.once('data', () => socket.write('text')),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    expect(answer).toMatch(/\r\n\r\ntext$/);
  });

  test('that ask for an upgrade are ordinary requests, body included', async () => {
    handler = async ({ body }) => ({ status: 200, body: `got ${new TextDecoder().decode(await body())}` });
    const answer = await raw(
      'POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 4\r\n\r\ntext',
      (socket) => socket.end(),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toContain('got text');
  });

  test('from a client that half-closes its connection are still answered', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    handler = async () => {
      await gate;
      return { status: 200, body: 'late' };
    };
    const answer = await raw('GET / HTTP/1.1\r\nHost: x\r\n\r\n', (socket) => {
      socket.end();
      setTimeout(open, 50);
    });
    expect(answer).toContain('late');
  });

  test('that are no HTTP are refused', async () => {
    expect(await raw('nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe('streams', () => {
  test('send their headers at once and then each chunk as it comes', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    handler = async () => ({
      status: 200,
      body: (async function* () {
        await gate;
        yield 'one,';
        yield new TextEncoder().encode('two');
      })(),
    });
    const request = httpRequest({ socketPath, agent: false });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(response.headers['transfer-encoding']).toBe('chunked');
    open();
    let text = '';
    for await (const chunk of response as AsyncIterable<Buffer>) text += chunk.toString();
    expect(text).toBe('one,two');
  });

  test('wait for a reader that does not keep up, and are told when it goes away', async () => {
    let sent = 0;
    const { promise: ended, resolve: end } = Promise.withResolvers<unknown>();
    handler = async ({ signal }) => ({
      status: 200,
      body: (async function* () {
        try {
          for (; sent < 10_000 && !signal.aborted; sent++) yield new Uint8Array(65_536);
        } finally {
          end(signal.aborted);
        }
      })(),
    });
    const request = httpRequest({ socketPath, agent: false });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.pause();
    let before = -1;
    while (before !== sent) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(sent).toBeLessThan(1_000);
    response.destroy();
    expect(await ended).toBe(true);
  });

  test('that wait for something are ended when the client goes away', async () => {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    handler = async ({ signal }) => ({
      status: 200,
      body: (async function* () {
        yield 'first';
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        end();
      })(),
    });
    const request = httpRequest({ socketPath, agent: false });
    request.on('error', () => undefined);
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    await once(response, 'data');
    request.destroy();
    await ended;
  });

  test('that break are cut off', async () => {
    handler = async () => ({
      status: 200,
      body: (async function* () {
        yield 'first';
        throw new Error('broken');
      })(),
    });
    await expect(send({})).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  test('end when the server closes', async () => {
    handler = async ({ signal }) => ({
      status: 200,
      body: (async function* () {
        yield 'first,';
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        yield 'last';
      })(),
    });
    const request = httpRequest({ socketPath, agent: false });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const closed = server.close();
    let text = '';
    for await (const chunk of response as AsyncIterable<Buffer>) text += chunk.toString();
    await closed;
    expect(text).toBe('first,last');
    expect(existsSync(socketPath)).toBe(false);
    server = await HttpServer.listen({ kind: 'unix', path: socketPath }, { handle: handler });
  });
});

describe('addresses', () => {
  test.each([
    ['unix:///run/a.sock', { kind: 'unix', path: '/run/a.sock' }],
    ['tcp://127.0.0.1:2375', { kind: 'tcp', host: '127.0.0.1', port: 2375 }],
    ['tcp://[::1]:2375', { kind: 'tcp', host: '::1', port: 2375 }],
    ['tcp://localhost:0', { kind: 'tcp', host: 'localhost', port: 0 }],
  ])('%s is understood', (text, address) => {
    expect(parseHttpAddress(text)).toEqual(address);
  });

  test.each(['', 'unix://relative', '/run/a.sock', 'tcp://host', 'tcp://host:99999', 'http://host:1'])(
    '%s is refused',
    (text) => {
      expect(() => parseHttpAddress(text)).toThrow(/is not of the form unix:\/\/\/absolute\/path or tcp:\/\/host:port/);
    },
  );

  test('a socket in use is refused, one left over is replaced', async () => {
    expect(statSync(socketPath).mode & 0o777).toBe(0o660);
    await expect(HttpServer.listen({ kind: 'unix', path: socketPath }, { handle: handler })).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
    });
    const stale = join(directory, 'stale.sock');
    writeFileSync(stale, '');
    const second = await HttpServer.listen({ kind: 'unix', path: stale }, { handle: handler });
    await second.close();
  });

  test('a port in use is refused, a free one is told', async () => {
    const first = await HttpServer.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, { handle: handler });
    expect(first.port).toBeGreaterThan(0);
    const address = { kind: 'tcp', host: '127.0.0.1', port: first.port } as const;
    await expect(HttpServer.listen(address, { handle: handler })).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: `address 127.0.0.1:${first.port} is already in use: choose another one`,
    });
    await first.close();
  });
});
