import { create, type DescMessage, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';

import {
  ClusterSchema,
  Control,
  LocalChannel,
  NetworkSchema,
  type NetworkSpecSchema,
  NodeSchema,
  ServiceSpecSchema,
  TaskSchema,
  createClient,
  type Network,
  type Node,
  type RpcClient,
  type ServiceSpec,
  type Task,
} from '../../api/index.js';
import { SILENT_LOGGER, SwarmError, type Clock, type Code, type Random } from '../../base/index.js';
import type { By, Objects, Proposer, ReadTransaction, TableName, WriteTransaction } from '../../store/index.js';
import { MemoryStore } from '../../store/index.js';
import { controlService } from './control-service.js';
import type { ControlDeps, ControlOptions } from './deps.js';

/** Fields from which a message is made, short of a finished message. */
export type Init<S extends DescMessage> = Exclude<MessageInitShape<S>, MessageShape<S>>;

/** Options of every call in tests. */
export const CALL = { signal: new AbortController().signal } as const;

/** The time in tests: 2026-01-01. */
export const NOW_MS = 1_767_225_600_000;

/** A finder that a handler used. */
export interface Lookup {
  readonly table: TableName;
  readonly by: By;
}

/** A Control service on a store in memory, for tests. */
export interface Fixture {
  readonly control: RpcClient<typeof Control>;
  readonly store: MemoryStore;
  /** Every search made through {@link control}. */
  readonly lookups: Lookup[];
  /** Turns of the event loop that handlers gave away. */
  readonly yields: () => number;
  /** Creates an object as a manager's other components would. */
  readonly put: <T extends TableName>(table: T, object: Objects[T]) => Promise<Objects[T]>;
  readonly get: <T extends TableName>(table: T, id: string) => Objects[T] | undefined;
}

/** A fresh fixture with an empty store. */
export function fixture(overrides: Partial<ControlDeps> = {}, options: ControlOptions = {}): Fixture {
  const store = new MemoryStore({}, { clock: testClock(() => undefined), proposer: testLog() });
  const lookups: Lookup[] = [];
  let yields = 0;
  const service = controlService(options, {
    store: recording(store, lookups),
    clock: testClock(() => yields++),
    random: testRandom(),
    log: SILENT_LOGGER,
    security: testSecurity(),
    ...overrides,
  });
  return {
    control: createClient(Control, new LocalChannel([service], () => undefined)),
    store,
    lookups,
    yields: () => yields,
    put: (table, object) =>
      store.update((tx) => {
        tx.create(table, object);
        return tx.get(table, object.id) ?? object;
      }),
    get: (table, id) => store.view((tx) => tx.get(table, id)),
  };
}

/** What a promise was rejected with, or undefined. */
export async function failure(
  promise: Promise<unknown>,
): Promise<{ readonly code: Code; readonly message: string } | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error;
    return { code: error.code, message: error.message };
  }
}

/** A valid spec of a replicated service `web`, with changes. */
export function serviceSpec(changes: Init<typeof ServiceSpecSchema> = {}): ServiceSpec {
  return create(ServiceSpecSchema, {
    annotations: { name: 'web' },
    task: { runtime: { case: 'container', value: { image: 'nginx:1' } } },
    mode: { case: 'replicated', value: { replicas: 2n } },
    ...changes,
  });
}

/** A task object. */
export function task(id: string, fields: Init<typeof TaskSchema> = {}): Task {
  return create(TaskSchema, { id, ...fields });
}

/** A node object. */
export function node(id: string, fields: Init<typeof NodeSchema> = {}): Node {
  return create(NodeSchema, { id, spec: {}, description: { hostname: `host-${id}` }, status: {}, ...fields });
}

/** A network object. */
export function network(id: string, spec: Init<typeof NetworkSpecSchema>): Network {
  return create(NetworkSchema, { id, spec });
}

/** The cluster object `c1`. */
export function cluster(fields: Init<typeof ClusterSchema> = {}): Objects['cluster'] {
  return create(ClusterSchema, {
    id: 'c1',
    spec: { annotations: { name: 'default' } },
    rootCa: { caKey: bytes('root key'), caCert: bytes('root certificate'), joinTokens: { worker: 'w', manager: 'm' } },
    ...fields,
  });
}

/** Bytes of a text. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function testClock(onYield: () => void): Clock {
  return {
    nowMs: () => NOW_MS,
    monotonicMs: () => 0,
    setTimer: (_delayMs, callback) => {
      queueMicrotask(() => {
        onYield();
        callback();
      });
      return { cancel: () => undefined };
    },
  };
}

/** Never twice the same bytes, and the same in every run. */
function testRandom(): Random {
  let calls = 0;
  return {
    bytes: (count) => {
      calls++;
      return Uint8Array.from({ length: count }, (_, at) => (calls >>> (8 * (at % 4))) & 0xff);
    },
    float: () => 0.5,
  };
}

/** A log that commits everything, one after the other. */
function testLog(): Proposer {
  let index = 0n;
  return {
    headIndex: () => index,
    propose: (_actions, outcome) => {
      const own = ++index;
      queueMicrotask(() => outcome.committed(own));
    },
  };
}

function testSecurity(): ControlDeps['security'] {
  let made = 0;
  return {
    newJoinToken: (object) => `token-${object.id}-${++made}`,
    newUnlockKey: () => bytes(`unlock-${++made}`),
  };
}

function recording(store: MemoryStore, lookups: Lookup[]): ControlDeps['store'] {
  const watched = <T extends ReadTransaction>(tx: T): T =>
    Object.assign(Object.create(tx) as T, {
      get: tx.get.bind(tx),
      count: tx.count.bind(tx),
      find: (table: TableName, by: By) => {
        lookups.push({ table, by });
        return tx.find(table, by);
      },
    });
  const writing = (tx: WriteTransaction): WriteTransaction =>
    Object.assign(watched(tx), {
      create: tx.create.bind(tx),
      update: tx.update.bind(tx),
      remove: tx.remove.bind(tx),
    });
  return {
    view: (read) => store.view((tx) => read(watched(tx))),
    update: (change) => store.update((tx) => change(writing(tx))),
    batch: (fill) => store.batch(fill),
    watch: (watchOptions) => store.watch(watchOptions),
    viewAndWatch: (read, watchOptions) => store.viewAndWatch(read, watchOptions),
    get version() {
      return store.version;
    },
  };
}
