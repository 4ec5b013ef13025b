import { Agent, request, type IncomingMessage, type RequestOptions } from 'node:http';

import { parseEngineAddress, type EngineAddress } from './address.js';
import { engineError, unreachable } from './engine-error.js';

/** The newest API version this client knows how to use; engines that are older get their own. */
const API_VERSION_MAX = '1.47';
/** The version used with engines that do not tell theirs. */
const API_VERSION_FALLBACK = '1.41';
/** Short requests to the engine under way at once; more wait. */
const SHORT_REQUESTS_MAX = 32;
/** Error bodies longer than this are cut, in bytes. */
const ERROR_BODY_BYTES_MAX = 64 * 1024;

/** Values of query parameters; undefined ones are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** One call of the engine's API. */
export interface EngineRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** Below the version, with its leading slash; names in it must be encoded. */
  readonly path: string;
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, or as it is when it is bytes. */
  readonly body?: unknown;
  /** May take long (a stop, a stream): gets a connection of its own. */
  readonly long?: boolean;
}

/**
 * A client of the Docker Engine API over a unix socket or plain TCP. Errors are SwarmErrors: the engine's
 * own text with a code from the HTTP status, or Unavailable when the engine cannot be reached.
 */
export class DockerClient {
  readonly address: EngineAddress;
  readonly #text: string;
  readonly #short = new Agent({ keepAlive: true, maxSockets: SHORT_REQUESTS_MAX });
  readonly #long = new Agent({ keepAlive: false });
  #version: Promise<string> | undefined;

  constructor(address: string) {
    this.address = parseEngineAddress(address);
    this.#text = address;
  }

  /** The API version in use: the engine's, or the newest this client knows. */
  version(signal: AbortSignal): Promise<string> {
    this.#version ??= this.#negotiate(signal).catch((error: unknown) => {
      this.#version = undefined;
      throw error;
    });
    return this.#version;
  }

  /** The whole answer as JSON; undefined when it has no body. */
  async json<T>(call: EngineRequest, signal: AbortSignal): Promise<T> {
    const response = await this.#call(call, signal);
    const text = await this.#readAll(response, Infinity);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** The answer as it comes. Leaving the loop, or aborting, ends the request. */
  async *stream(call: EngineRequest, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    yield* await this.open(call, signal);
  }

  /** As {@link stream}, but resolves once the engine has begun to answer. The answer must then be read. */
  async open(call: EngineRequest, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    return this.#chunks(await this.#call({ ...call, long: true }, signal), signal);
  }

  async *#chunks(response: IncomingMessage, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    try {
      for await (const chunk of response) yield chunk as Buffer;
    } catch (error) {
      signal.throwIfAborted();
      throw unreachable(this.#text, error);
    } finally {
      response.destroy();
    }
  }

  /** Ends idle connections. */
  close(): void {
    this.#short.destroy();
    this.#long.destroy();
  }

  async #negotiate(signal: AbortSignal): Promise<string> {
    const response = await this.#send({ method: 'GET', path: '/_ping' }, '/_ping', signal);
    response.resume();
    const offered = response.headers['api-version'];
    return olderOf(typeof offered === 'string' ? offered : API_VERSION_FALLBACK, API_VERSION_MAX);
  }

  async #call(call: EngineRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const version = await this.version(signal);
    const response = await this.#send(call, `/v${version}${call.path}${queryText(call.query)}`, signal);
    const status = response.statusCode ?? 0;
    if (status < 400) return response;
    throw engineError(status, await this.#readAll(response, ERROR_BODY_BYTES_MAX));
  }

  #send(call: EngineRequest, path: string, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const body = bodyOf(call.body);
      const outgoing = request(this.#options(call, path, body, signal), resolve);
      outgoing.on('error', (error) =>
        reject(signal.aborted ? (signal.reason as Error) : unreachable(this.#text, error)),
      );
      outgoing.end(body?.data);
    });
  }

  #options(call: EngineRequest, path: string, body: Body | undefined, signal: AbortSignal): RequestOptions {
    const headers: Record<string, string> = { Host: 'docker', ...call.headers };
    if (body !== undefined) {
      headers['Content-Type'] = body.type;
      headers['Content-Length'] = String(body.data.length);
    }
    const where =
      this.address.kind === 'unix'
        ? { socketPath: this.address.path }
        : { host: this.address.host, port: this.address.port };
    return {
      ...where,
      method: call.method,
      path,
      headers,
      agent: call.long === true ? this.#long : this.#short,
      signal,
    };
  }

  async #readAll(response: IncomingMessage, bytesMax: number): Promise<string> {
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of response) {
        chunks.push(chunk as Buffer);
        length += (chunk as Buffer).length;
        if (length > bytesMax) break;
      }
    } catch (error) {
      throw unreachable(this.#text, error);
    }
    return Buffer.concat(chunks).toString('utf8');
  }
}

interface Body {
  readonly type: string;
  readonly data: Uint8Array;
}

function bodyOf(body: unknown): Body | undefined {
  if (body === undefined) return undefined;
  if (body instanceof Uint8Array) return { type: 'application/x-tar', data: body };
  return { type: 'application/json', data: Buffer.from(JSON.stringify(body)) };
}

function queryText(query: Query | undefined): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

/** The lower of two versions such as `1.41`. */
function olderOf(left: string, right: string): string {
  const [[leftMajor = 0, leftMinor = 0], [rightMajor = 0, rightMinor = 0]] = [left, right].map((text) =>
    text.split('.').map(Number),
  ) as [number[], number[]];
  const older = leftMajor < rightMajor || (leftMajor === rightMajor && leftMinor < rightMinor);
  return older ? left : right;
}
