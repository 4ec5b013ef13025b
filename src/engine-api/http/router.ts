import findMyWay from 'find-my-way';

import type { Logger } from '../../base/index.js';
import { renderError } from './api-error.js';
import { jsonResponse } from './json.js';
import { ApiVersion, type HttpHandler, type HttpRequest, type HttpResponse } from './message.js';

/** Methods that Docker's API uses. */
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD';

/** One route: a path with `:name` parameters, served bare and under `/v1.x`. */
export interface Route {
  readonly method: Method;
  readonly path: string;
  readonly handler: HttpHandler;
}

/** What the server says about itself. */
export interface RouterOptions {
  /** Newest API version served, also the default. */
  readonly apiVersion: string;
  /** Oldest API version served. */
  readonly minApiVersion: string;
  /** Version in the `Server` header. */
  readonly productVersion: string;
}

/** A raw request, before routing. */
export type IncomingRequest = Omit<HttpRequest, 'version' | 'params' | 'path'> & { readonly path: string };

const VERSION_PREFIX = /^\/v([0-9.]+)(\/.*)$/;

/** Finds the route for a request, applies what every route obeys (engine-api section 1) and renders errors. */
export class Router {
  readonly #routes = findMyWay({ ignoreTrailingSlash: false, maxParamLength: 1024 });
  readonly #handlers = new Map<unknown, HttpHandler>();
  readonly #options: RouterOptions;
  readonly #log: Logger;

  constructor(options: RouterOptions, deps: { readonly log: Logger; readonly routes: readonly Route[] }) {
    this.#options = options;
    this.#log = deps.log.child({ module: 'engine-api' });
    for (const { method, path, handler } of deps.routes) {
      const store = {};
      this.#handlers.set(store, handler);
      this.#routes.on(method, path, () => undefined, store);
    }
  }

  /** Answers a request. Never throws. */
  async handle(incoming: IncomingRequest): Promise<HttpResponse> {
    if (incoming.method === 'OPTIONS') return { status: 200 };
    const prefixed = VERSION_PREFIX.exec(incoming.path);
    const path = prefixed === null ? incoming.path : (prefixed[2] as string);
    const found = this.#routes.find(incoming.method as Method, path);
    if (found === null || Object.values(found.params).includes(''))
      return jsonResponse(404, { message: 'page not found' });
    const version = ApiVersion.parse(prefixed === null ? this.#options.apiVersion : (prefixed[1] as string));
    const refused = this.#refuseVersion(version);
    if (refused !== undefined) return this.#withHeaders(refused);
    const handler = this.#handlers.get(found.store) as HttpHandler;
    const params = Object.fromEntries(Object.entries(found.params).map(([name, value]) => [name, value ?? '']));
    const request: HttpRequest = { ...incoming, path, params, version };
    try {
      return this.#withHeaders(await handler(request));
    } catch (error) {
      return this.#withHeaders(this.#errorResponse(request, error));
    }
  }

  #refuseVersion(version: ApiVersion): HttpResponse | undefined {
    const { apiVersion, minApiVersion } = this.#options;
    if (ApiVersion.parse(apiVersion).lessThan(version.text)) {
      const message = `client version ${version.text} is too new. Maximum supported API version is ${apiVersion}`;
      return jsonResponse(400, { message });
    }
    if (!version.lessThan(minApiVersion)) return undefined;
    const message = `client version ${version.text} is too old. Minimum supported API version is ${minApiVersion}, please upgrade your client to a newer version`;
    if (version.lessThan('1.24'))
      return { status: 400, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body: `${message}\n` };
    return jsonResponse(400, { message });
  }

  #errorResponse(request: HttpRequest, error: unknown): HttpResponse {
    const { status, message } = renderError(error);
    const fields = { 'http.method': request.method, 'http.path': request.path, 'http.status': status, err: error };
    if (status >= 500 && status !== 503) this.#log.warn(fields, 'request failed');
    else this.#log.debug(fields, 'request refused');
    return status === 304 ? { status } : jsonResponse(status, { message });
  }

  #withHeaders(response: HttpResponse): HttpResponse {
    const headers = {
      'Api-Version': this.#options.apiVersion,
      'Docker-Experimental': 'false',
      Ostype: 'linux',
      Server: `Docker/${this.#options.productVersion} (linux)`,
      ...response.headers,
    };
    return { ...response, headers };
  }
}
