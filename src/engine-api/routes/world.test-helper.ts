import { bindService, CA, createClient, LocalChannel, Logs, type ServiceHandlers } from '../../api/index.js';
import { SILENT_LOGGER } from '../../base/index.js';
import type { NodeView } from '../../node/index.js';
import { cluster, fixture, type Fixture } from '../../manager/control-api/test-fixture.js';
import { SeededRandom, SimClock } from '../../sim/index.js';
import type { InitRequest, JoinRequest, LocalNodeStatus, LocalSwarm } from '../cluster/index.js';
import { ApiError, parseJson, printJson, Router } from '../http/index.js';
import { engineRoutes, EventLog, type RouteContext } from './index.js';
import type { SystemInfo } from './system-info.js';

const SYSTEM: SystemInfo = {
  id: 'engine-1',
  hostname: 'host',
  os: 'linux',
  goArchitecture: 'amd64',
  kernelArchitecture: 'x86_64',
  operatingSystem: 'Debian',
  kernelVersion: '6.1',
  cpus: 4,
  memoryBytes: 1024,
  rootDir: '/data',
  productVersion: '1.2.3',
  runtimeVersion: 'v24',
  apiVersion: '1.51',
  minApiVersion: '1.24',
  executor: 'process',
  labels: ['a=b'],
};

const VIEW: NodeView = {
  nodeId: 'self',
  clusterId: 'c1',
  role: 'swarm-manager',
  managers: [],
  agentReady: true,
  controlReady: true,
  listenAddr: '0.0.0.0:2377',
  advertiseAddr: '192.0.2.1:2377',
};

/** An answer, read whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Parsed when it is JSON, else text. */
  readonly body: unknown;
  readonly bytes: Uint8Array;
}

/** The Engine API over a store in memory. */
export class RoutesWorld {
  readonly fixture: Fixture = fixture({ checkTemplate: () => undefined });
  readonly clock = new SimClock();
  readonly events: EventLog;
  readonly #router: Router;
  /** What the local node was told to do. */
  readonly calls: unknown[] = [];
  /** State of the local node. */
  status: LocalNodeStatus = {
    state: 'active',
    error: '',
    view: VIEW,
    isManager: true,
    nodeAddr: '192.0.2.1',
    dataPathAddr: '',
  };
  /** Why there is no manager; undefined while there is one. */
  notManager: string | undefined;
  /** What the local node fails with. */
  failure: unknown;
  logs: ServiceHandlers<typeof Logs> = {};
  unlockKey = new Uint8Array();

  constructor() {
    const node = this.#localSwarm();
    const context: RouteContext = {
      node,
      clock: this.clock,
      random: new SeededRandom(1),
      log: SILENT_LOGGER,
      systemInfo: async () => SYSTEM,
      rootIssuer: () => ({ certIssuerSubject: new Uint8Array([1]), certIssuerPublicKey: new Uint8Array([2]) }),
      yieldLoop: async () => undefined,
    };
    this.events = new EventLog({ node, clock: this.clock, log: SILENT_LOGGER });
    this.#router = new Router(
      { apiVersion: '1.51', minApiVersion: '1.24', productVersion: '1.2.3' },
      { log: SILENT_LOGGER, routes: engineRoutes(context, this.events) },
    );
  }

  /** Puts the cluster object into the store. */
  async withCluster(fields: Parameters<typeof cluster>[0] = {}): Promise<this> {
    await this.fixture.put('cluster', cluster(fields));
    return this;
  }

  get(path: string, signal?: AbortSignal): Promise<Answer> {
    return this.send('GET', path, undefined, signal === undefined ? {} : { signal });
  }

  post(path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.send('POST', path, body, { headers });
  }

  delete(path: string): Promise<Answer> {
    return this.send('DELETE', path);
  }

  async send(
    method: string,
    path: string,
    body?: unknown,
    rest: { readonly headers?: Readonly<Record<string, string>>; readonly signal?: AbortSignal } = {},
  ): Promise<Answer> {
    const [target = '', query] = path.split(/\?(.*)/s);
    const bytes = body === undefined ? new Uint8Array() : new TextEncoder().encode(printJson(body));
    const headers = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...rest.headers };
    const response = await this.#router.handle({
      method,
      path: target,
      query: new URLSearchParams(query ?? ''),
      headers: new Map(Object.entries(headers)),
      body: async () => bytes,
      signal: rest.signal ?? new AbortController().signal,
    });
    return { status: response.status, headers: response.headers ?? {}, ...(await wholeBody(response.body)) };
  }

  #localSwarm(): LocalSwarm {
    const act = async <T>(call: unknown, result: T): Promise<T> => {
      this.calls.push(call);
      if (this.failure !== undefined) throw this.failure;
      return result;
    };
    return {
      init: (request: InitRequest) => act(['init', request], 'self'),
      join: (request: JoinRequest) => act(['join', request], undefined),
      leave: (force: boolean) => act(['leave', force], undefined),
      unlock: (key: string) => act(['unlock', key], undefined),
      status: () => this.status,
      store: () => (this.status.isManager ? this.fixture.store : undefined),
      subscribe: () => ({ [Symbol.dispose]: () => undefined }),
      manager: () => {
        if (this.notManager !== undefined) throw new ApiError('unavailable', this.notManager);
        const channel = new LocalChannel(
          [
            bindService(Logs, this.logs),
            bindService(CA, { getUnlockKey: async () => ({ unlockKey: this.unlockKey }) }),
          ],
          () => undefined,
        );
        return {
          control: this.fixture.control,
          ca: createClient(CA, channel),
          logs: createClient(Logs, channel),
          store: this.fixture.store,
          nodeId: 'self',
        };
      },
    };
  }
}

async function wholeBody(
  body: string | Uint8Array | AsyncIterable<string | Uint8Array> | undefined,
): Promise<{ body: unknown; bytes: Uint8Array }> {
  const chunks: Uint8Array[] = [];
  const add = (chunk: string | Uint8Array): void => {
    chunks.push(typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk);
  };
  if (typeof body === 'string' || body instanceof Uint8Array) add(body);
  else if (body !== undefined) for await (const chunk of body) add(chunk);
  const bytes = Buffer.concat(chunks);
  const text = bytes.toString('utf8');
  try {
    return { body: parseJson(text), bytes };
  } catch {
    return { body: text, bytes };
  }
}
