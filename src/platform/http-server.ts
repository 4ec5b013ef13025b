import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { chmod, unlink } from 'node:fs/promises';
import { connect, type AddressInfo } from 'node:net';
import { once } from 'node:events';

import { canceled, Code, errorText, SwarmError } from '../base/index.js';
import { ApiError, type HttpResponse, type IncomingRequest, type Router } from '../engine-api/index.js';

/** Largest request body taken in. Docker sets none; nothing that swarm mode sends comes near. */
const BODY_BYTES_MAX = 16 * 2 ** 20;

/** How long a closing server waits for running answers before it cuts them off. */
const CLOSE_GRACE_MS = 2_000;

/** Where to listen: `unix:///path` or `tcp://host:port`. */
export type HttpAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** Parses `unix:///path` and `tcp://host:port`; InvalidArgument for anything else. */
export function parseHttpAddress(text: string): HttpAddress {
  const unix = /^unix:\/\/(\/.+)$/.exec(text);
  if (unix !== null) return { kind: 'unix', path: unix[1] as string };
  const tcp = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[^:/]+):(\d{1,5})$/.exec(text);
  if (tcp !== null && Number(tcp[2]) <= 65_535) {
    return { kind: 'tcp', host: (tcp[1] as string).replace(/^\[|\]$/g, ''), port: Number(tcp[2]) };
  }
  throw new SwarmError(
    Code.INVALID_ARGUMENT,
    `address ${JSON.stringify(text)} is not of the form unix:///absolute/path or tcp://host:port`,
  );
}

/** Serves a router over HTTP/1.1 on a unix socket or a TCP address. */
export class HttpServer {
  readonly #router: Pick<Router, 'handle'>;
  readonly #server: Server;
  readonly #stopping = new AbortController();

  private constructor(router: Pick<Router, 'handle'>) {
    this.#router = router;
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      void this.#serve(request, response);
    });
    // A client that has said all it has to say may close its half of the connection and still wait for the answer.
    Object.assign(this.#server, { httpAllowHalfOpen: true });
  }

  /** Listens, or fails with FailedPrecondition when the address is taken, PermissionDenied without the right. */
  static async listen(address: HttpAddress, router: Pick<Router, 'handle'>): Promise<HttpServer> {
    const server = new HttpServer(router);
    if (address.kind === 'unix') await removeStaleSocket(address.path);
    const where = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
    try {
      server.#server.listen(
        address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port },
      );
      await once(server.#server, 'listening');
    } catch (error) {
      throw listenError(where, error);
    }
    if (address.kind === 'unix') await chmod(address.path, 0o660);
    return server;
  }

  /** The port bound, for addresses with port 0. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends running requests and closes every connection. */
  async close(): Promise<void> {
    this.#stopping.abort(canceled('the API server'));
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), CLOSE_GRACE_MS);
    await closed;
    clearTimeout(timer);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = new AbortController();
    const onStop = (): void => call.abort(this.#stopping.signal.reason);
    this.#stopping.signal.addEventListener('abort', onStop, { once: true });
    response.once('close', () => {
      this.#stopping.signal.removeEventListener('abort', onStop);
      if (!response.writableFinished) call.abort(canceled('the request'));
    });
    // The end of what the client sends may be all of it, or the client gone: no one tells which. An answer that
    // is being made is still sent; a stream, which could wait for ever, ends.
    const onEnd = (): void => {
      if (isStreamed) call.abort(canceled('the request'));
    };
    let isStreamed = false;
    const { socket } = request;
    socket.once('end', onEnd);
    try {
      const answer = await this.#router.handle(incoming(request, call.signal));
      isStreamed = isStream(answer.body);
      if (socket.readableEnded) onEnd();
      await send(answer, request, response);
    } catch {
      // The client went away, or a stream broke after its headers: all that is left is to cut the connection.
      response.destroy();
    } finally {
      socket.off('end', onEnd);
    }
  }
}

function incoming(request: IncomingMessage, signal: AbortSignal): IncomingRequest {
  const { path, query } = targetOf(request.url ?? '/');
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  let body: Promise<Uint8Array> | undefined;
  return {
    method: request.method ?? 'GET',
    path,
    query,
    headers,
    body: () => (body ??= readBody(request)),
    signal,
  };
}

/** Path, still encoded, and query of a request's target, which may name the server as well. */
function targetOf(target: string): { readonly path: string; readonly query: URLSearchParams } {
  const own = target.replace(/^https?:\/\/[^/?]*/, '');
  const at = own.indexOf('?');
  const path = at < 0 ? own : own.slice(0, at);
  return { path: path === '' ? '/' : path, query: new URLSearchParams(at < 0 ? '' : own.slice(at + 1)) };
}

/** Reads all of a body. One that is too large is not kept, but read on, so that the client gets to see the answer. */
function readBody(request: IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= BODY_BYTES_MAX) {
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      reject(new ApiError('too-large', `http: request body too large (limit ${BODY_BYTES_MAX} bytes)`));
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', reject);
    request.on('close', () => reject(canceled('the request')));
  });
}

function isStream(body: HttpResponse['body']): body is AsyncIterable<Uint8Array | string> {
  return body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array);
}

async function send(answer: HttpResponse, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // What the handler did not read must not stay in the way of the next request on this connection.
  request.resume();
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  const { body } = answer;
  if (!isStream(body)) {
    const bytes = Buffer.from(body ?? '');
    if (request.method !== 'HEAD' && answer.status !== 204 && answer.status !== 304) {
      response.setHeader('Content-Length', bytes.length);
    }
    response.writeHead(answer.status).end(request.method === 'HEAD' ? undefined : bytes);
    return;
  }
  response.writeHead(answer.status).flushHeaders();
  for await (const chunk of body) {
    if (!response.write(chunk)) await drained(response);
    if (response.destroyed) return;
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
    if (response.destroyed) done();
  });
}

/** A socket file that nobody answers on is left over from a process that died. */
async function removeStaleSocket(path: string): Promise<void> {
  const answered = await new Promise<boolean>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
  if (answered) {
    throw new SwarmError(
      Code.FAILED_PRECONDITION,
      `socket ${path} is in use by another process: stop it or choose another path`,
    );
  }
  await unlink(path).catch(() => undefined);
}

function listenError(where: string, error: unknown): SwarmError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EADDRINUSE') {
    return new SwarmError(Code.FAILED_PRECONDITION, `address ${where} is already in use: choose another one`, {
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new SwarmError(Code.PERMISSION_DENIED, `no permission to listen on ${where}`, { cause: error });
  }
  return new SwarmError(Code.UNAVAILABLE, `cannot listen on ${where}: ${errorText(error)}`, { cause: error });
}
