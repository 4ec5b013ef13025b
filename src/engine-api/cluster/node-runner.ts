import { canceled, errorText, sleep, type Clock, type Logger } from '../../base/index.js';
import { tlsProblemOf } from '../../ca/index.js';
import type { NodeOptions, NodeView, SwarmNode } from '../../node/index.js';
import { TEXTS } from './texts.js';

/** First delay before a restart, doubled before each use, and its cap (engine-api E-305). */
const RESTART_DELAY_MS = 100;
const RESTART_DELAY_MAX_MS = 30_000;

/** State of this engine in swarm terms, as `docker info` prints it. */
export type LocalNodeState = 'inactive' | 'pending' | 'active' | 'locked' | 'error';

/** Where the runner stands. */
type RunnerState =
  | { readonly kind: 'starting'; readonly node: SwarmNode }
  | { readonly kind: 'ready'; readonly node: SwarmNode }
  | { readonly kind: 'waiting'; readonly error: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'stopped' };

/** What the runner needs. */
export interface NodeRunnerDeps {
  readonly createNode: (options: NodeOptions) => SwarmNode;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after every change of the runner's or the node's state. */
  readonly onChange: () => void;
}

/**
 * Keeps one node running: starts it again, with growing delays, when it ends after having been ready. A
 * first start that fails is not repeated.
 */
export class NodeRunner {
  readonly #deps: NodeRunnerDeps;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #options: NodeOptions;
  #state: RunnerState = { kind: 'stopped' };
  #lastView: NodeView | undefined;
  /** Resolves at the first readiness; rejects when the first start fails. */
  readonly ready: Promise<void>;

  constructor(options: NodeOptions, deps: NodeRunnerDeps) {
    this.#options = options;
    this.#deps = deps;
    const first = Promise.withResolvers<void>();
    this.ready = first.promise;
    this.ready.catch(() => undefined);
    this.#running = this.#run(first);
  }

  get options(): NodeOptions {
    return this.#options;
  }

  /** State as shown to users, with the text of the last error. */
  status(): { readonly state: LocalNodeState; readonly error: string } {
    switch (this.#state.kind) {
      case 'starting':
        return { state: 'pending', error: '' };
      case 'ready':
        return { state: 'active', error: '' };
      case 'waiting':
      case 'failed':
        return failureStatus(this.#state.error);
      case 'stopped':
        return { state: 'inactive', error: '' };
    }
  }

  /** The node, while there is one. */
  node(): SwarmNode | undefined {
    return this.#state.kind === 'starting' || this.#state.kind === 'ready' ? this.#state.node : undefined;
  }

  /** The node's view, or the last one while it is being restarted. */
  view(): NodeView | undefined {
    return this.node()?.view() ?? this.#lastView;
  }

  /** Stops the node and every further restart; resolves when it has ended. */
  async stop(): Promise<void> {
    this.#stop.abort(canceled('the node'));
    await this.#running;
    this.#become({ kind: 'stopped' });
  }

  async #run(first: PromiseWithResolvers<void>): Promise<void> {
    const { signal } = this.#stop;
    let delayMs = RESTART_DELAY_MS;
    let wasReady = false;
    while (!signal.aborted) {
      const outcome = await this.#runOnce(() => {
        wasReady = true;
        first.resolve();
      });
      if (signal.aborted) break;
      if (!wasReady) {
        this.#become({ kind: 'failed', error: outcome });
        first.reject(outcome);
        return;
      }
      this.#become({ kind: 'waiting', error: outcome });
      delayMs = Math.min(delayMs * 2, RESTART_DELAY_MAX_MS);
      this.#deps.log.warn({ err: outcome, 'restart.delay_ms': delayMs }, 'node ended and will be restarted');
      await sleep(this.#deps.clock, delayMs, signal).catch(() => undefined);
    }
    first.reject(signal.reason);
  }

  #become(state: RunnerState): void {
    this.#state = state;
    this.#deps.onChange();
  }

  /** Runs a node until it ends; returns why it did. */
  async #runOnce(onReady: () => void): Promise<unknown> {
    let node: SwarmNode;
    try {
      node = this.#deps.createNode(this.#options);
    } catch (error) {
      return error;
    }
    this.#become({ kind: 'starting', node });
    using _changes = node.subscribe(this.#deps.onChange);
    let ended = false;
    node.ready.then(
      () => {
        if (ended) return;
        this.#become({ kind: 'ready', node });
        // A promoted node must not dial a manager again that may be long gone.
        const { joinAddr: _joinAddr, joinToken: _joinToken, forceNewCluster: _force, ...rest } = this.#options;
        this.#options = rest;
        onReady();
      },
      // The same failure ends run(), which is where it is dealt with.
      () => undefined,
    );
    try {
      await node.run(this.#stop.signal);
      return new Error('the node ended by itself');
    } catch (error) {
      return error;
    } finally {
      ended = true;
      this.#lastView = node.view();
    }
  }
}

function failureStatus(error: unknown): { readonly state: LocalNodeState; readonly error: string } {
  switch (tlsProblemOf(error)) {
    case 'locked':
      return { state: 'locked', error: TEXTS.locked };
    case 'expired':
      return { state: 'error', error: TEXTS.certificatesExpired };
    default:
      return { state: 'error', error: errorText(error) };
  }
}
