import {
  ServiceTable,
  admit,
  type AdmittedCaller,
  type BoundService,
  type Caller,
  type CallEnvironment,
  type CallHead,
  type RpcServer,
  type ServedCall,
  type TlsIdentity,
} from '../api/index.js';
import { Code, SwarmError, type Clock, type Logger } from '../base/index.js';
import type { SimCall } from './network-call.js';
import type { SimConnection } from './network-connection.js';
import type { DescMethod } from '@bufbuild/protobuf';

/** How long calls may take to end by themselves when the server closes. Source: `platform/rpc`. */
const CLOSE_GRACE_MS = 1_000;

/** Judges a caller for a method. */
export type Gate = (
  method: DescMethod,
  caller: Caller,
  metadata: ReadonlyMap<string, string>,
) => AdmittedCaller | SwarmError;

/** The gate of a listener that knows roles. */
export function roleGate(authorization: Parameters<typeof admit>[3]): Gate {
  return (method, caller, metadata) => admit(method, caller, metadata, authorization);
}

/** What a listener is made of. */
export interface SimServerParts {
  readonly addr: string;
  readonly services: readonly BoundService[];
  readonly gate: Gate;
  /** What it shows in TLS; undefined on a local socket. */
  readonly identity: (() => TlsIdentity) | undefined;
  /** Takes the listener off its address. */
  readonly onClosed: () => void;
}

/** A listener in memory. */
export class SimServer implements RpcServer {
  readonly addr: string;
  readonly #parts: SimServerParts;
  readonly #deps: { readonly clock: Clock; readonly log: Logger };
  readonly #table: ServiceTable;
  readonly #calls = new Map<SimConnection, Set<ServedCall>>();
  readonly #running = new Set<Promise<void>>();
  #closed: Promise<void> | undefined;

  constructor(parts: SimServerParts, deps: { readonly clock: Clock; readonly log: Logger }) {
    this.addr = parts.addr;
    this.#parts = parts;
    this.#deps = deps;
    this.#table = new ServiceTable(parts.services);
  }

  /** What it shows in TLS at present. */
  get identity(): TlsIdentity | undefined {
    return this.#parts.identity?.();
  }

  /** Takes a connection; returns what begins calls on it. */
  accept(connection: SimConnection, caller: Caller): (call: SimCall, head: CallHead) => void {
    const calls = new Set<ServedCall>();
    const environment = this.#environment(caller);
    this.#calls.set(connection, calls);
    connection.onLost.server = () => {
      this.#calls.delete(connection);
      for (const call of calls) call.abort(new SwarmError(Code.CANCELED, 'context canceled'));
    };
    return (simCall, head) => {
      // The caller learns from the end of the connection, which is near.
      if (this.#closed !== undefined) return;
      const { call, done } = simCall.serve(head, environment);
      calls.add(call);
      const running = done.finally(() => {
        calls.delete(call);
        this.#running.delete(running);
      });
      this.#running.add(running);
    };
  }

  closeConnections(): void {
    const connections = [...this.#calls.keys()];
    this.#abortCalls();
    void this.#settled().then(() => {
      for (const connection of connections) connection.lose('server', '');
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#parts.onClosed();
    this.#abortCalls();
    await this.#settled();
    for (const connection of this.#calls.keys()) connection.lose('server', '');
  }

  #abortCalls(): void {
    for (const calls of this.#calls.values()) {
      for (const call of calls) call.abort(new SwarmError(Code.UNAVAILABLE, 'transport is closing'));
    }
  }

  /** Resolves when the handlers that run now have ended, or the grace has passed. */
  async #settled(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#deps.clock.setTimer(CLOSE_GRACE_MS, resolve);
    await Promise.race([promise, Promise.all(this.#running)]);
    timer.cancel();
  }

  #environment(caller: Caller): CallEnvironment {
    return {
      table: this.#table,
      clock: this.#deps.clock,
      log: this.#deps.log,
      admit: (method, metadata) => this.#parts.gate(method, caller, metadata),
      complain: () => undefined,
    };
  }
}
