import { create } from '@bufbuild/protobuf';

import {
  LogBroker as LogBrokerService,
  Logs as LogsService,
  PublishLogsResponseSchema,
  SubscribeLogsMessageSchema,
  bindService,
  type BoundService,
  type CallContext,
  type PublishLogsMessage,
  type PublishLogsResponse,
  type SubscribeLogsMessage,
  type SubscribeLogsRequest,
  type SubscriptionMessage,
} from '../../api/index.js';
import {
  Code,
  LinkedController,
  SwarmError,
  errorText,
  isSwarmError,
  newId,
  type Component,
  type Logger,
  type Random,
} from '../../base/index.js';
import type { Store, StoreEvent, Subscription } from '../../store/index.js';
import { FollowIndex } from './follow-index.js';
import { NodeListener } from './node-listener.js';
import { logBrokerSettings, type LogBrokerOptions, type LogBrokerSettings } from './options.js';
import { LogSubscription, checkSelector } from './subscription.js';

/** What a log broker works with. */
export interface LogBrokerDependencies {
  readonly store: Store;
  readonly random: Random;
  readonly log: Logger;
}

/**
 * Brings the logs of tasks to readers: tells the nodes that have them what is asked for, and passes on
 * what they publish. A slow reader holds up its own publishers and nobody else.
 */
export class LogBroker implements Component {
  readonly #settings: LogBrokerSettings;
  readonly #deps: LogBrokerDependencies;
  readonly #subscriptions = new Map<string, LogSubscription>();
  readonly #listeners = new Map<string, NodeListener>();
  readonly #followers = new FollowIndex();
  /** Set while the broker runs; aborts when it stops. */
  #running: AbortSignal | undefined;

  constructor(options: LogBrokerOptions, deps: LogBrokerDependencies) {
    this.#settings = logBrokerSettings(options);
    this.#deps = deps;
  }

  /** The Logs service for readers and the LogBroker service for nodes. */
  services(): readonly BoundService[] {
    return [
      bindService(LogsService, { subscribeLogs: (request, context) => this.#subscribeLogs(request, context) }),
      bindService(LogBrokerService, {
        listenSubscriptions: (_request, context) => this.#listenSubscriptions(context),
        publishLogs: (requests, context) => this.#publishLogs(requests, context),
      }),
    ];
  }

  async run(signal: AbortSignal): Promise<void> {
    if (this.#running !== undefined) throw new SwarmError(Code.FAILED_PRECONDITION, 'broker is already running');
    const stopping = new AbortController();
    this.#running = stopping.signal;
    try {
      await this.#followTasks(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      stopping.abort(new SwarmError(Code.ABORTED, 'broker is stopped'));
      this.#running = undefined;
    }
  }

  async *#subscribeLogs(
    request: SubscribeLogsRequest,
    context: CallContext,
  ): AsyncGenerator<SubscribeLogsMessage, void, undefined> {
    const selector = checkSelector(request.selector);
    const running = this.#assertRunning();
    if (this.#subscriptions.size >= this.#settings.subscriptionsMax) {
      throw new SwarmError(Code.RESOURCE_EXHAUSTED, `more than ${this.#settings.subscriptionsMax} log subscriptions`);
    }
    const { waitingMessagesMax: messagesMax, waitingBytesMax: bytesMax } = this.#settings;
    const subscription = new LogSubscription(
      { id: newId(this.#deps.random), selector, options: request.options },
      { messagesMax, bytesMax },
    );
    using scope = new CallScope(context.signal, running);
    this.#open(subscription);
    try {
      while (!subscription.complete || !subscription.queue.empty) {
        const messages = await subscription.queue.take(scope.signal);
        if (messages.length > 0) yield create(SubscribeLogsMessageSchema, { messages });
      }
      if (subscription.incomplete !== undefined) throw subscription.incomplete;
    } finally {
      this.#close(subscription);
    }
  }

  async *#listenSubscriptions(context: CallContext): AsyncGenerator<SubscriptionMessage, void, undefined> {
    const nodeId = caller(context);
    const running = this.#assertRunning();
    using scope = new CallScope(context.signal, running);
    using listener = new NodeListener(nodeId, scope.signal);
    const earlier = this.#listeners.get(nodeId);
    if (earlier !== undefined) {
      this.#disconnect(nodeId);
      earlier.end(new SwarmError(Code.ABORTED, 'a newer subscription stream was opened'));
    }
    this.#listeners.set(nodeId, listener);
    try {
      yield* listener.messages(this.#subscriptions);
    } finally {
      if (this.#listeners.get(nodeId) === listener) {
        this.#listeners.delete(nodeId);
        this.#disconnect(nodeId);
      }
    }
  }

  async #publishLogs(requests: AsyncIterable<PublishLogsMessage>, context: CallContext): Promise<PublishLogsResponse> {
    const nodeId = caller(context);
    using scope = new CallScope(context.signal, this.#assertRunning());
    let subscription: LogSubscription | undefined;
    try {
      for await (const request of requests) {
        subscription = this.#subscriptionOf(request, nodeId, subscription);
        if (request.close) break;
        checkMessages(request, nodeId);
        if (!(await subscription.queue.put(request.messages, scope.signal))) break;
      }
      subscription?.finish(nodeId);
      return create(PublishLogsResponseSchema);
    } catch (error) {
      subscription?.finish(nodeId, isSwarmError(error) ? error.rpcText : errorText(error));
      throw error;
    }
  }

  /** The subscription that a publisher names; it must name the same one throughout. */
  #subscriptionOf(request: PublishLogsMessage, nodeId: string, present: LogSubscription | undefined): LogSubscription {
    const { subscriptionId } = request;
    if (subscriptionId === '') throw new SwarmError(Code.INVALID_ARGUMENT, 'missing subscription ID');
    if (present !== undefined) {
      if (present.id === subscriptionId) return present;
      throw new SwarmError(Code.INVALID_ARGUMENT, 'different subscription IDs in the same session');
    }
    const found = this.#subscriptions.get(subscriptionId);
    if (found === undefined) throw new SwarmError(Code.NOT_FOUND, 'unknown subscription ID');
    if (!found.includes(nodeId)) {
      throw new SwarmError(Code.PERMISSION_DENIED, `node ${nodeId} was not asked for logs by this subscription`);
    }
    return found;
  }

  #open(subscription: LogSubscription): void {
    this.#deps.store.view((tx) => subscription.match(tx));
    this.#subscriptions.set(subscription.id, subscription);
    if (subscription.follow) this.#followers.add(subscription);
    for (const nodeId of subscription.nodes) {
      const listener = this.#listeners.get(nodeId);
      if (listener === undefined) subscription.finish(nodeId, `node ${nodeId} is not available`);
      else listener.notify();
    }
  }

  #close(subscription: LogSubscription): void {
    this.#subscriptions.delete(subscription.id);
    this.#followers.delete(subscription);
    subscription.queue.close();
    for (const nodeId of subscription.nodes) this.#listeners.get(nodeId)?.notify();
  }

  #disconnect(nodeId: string): void {
    for (const subscription of this.#subscriptions.values()) {
      subscription.finish(nodeId, `node ${nodeId} disconnected unexpectedly`);
    }
  }

  async #followTasks(signal: AbortSignal): Promise<void> {
    while (true) {
      using subscription = this.#watch();
      try {
        while (true) this.#route(await subscription.next(signal));
      } catch (error) {
        if (!isSwarmError(error, Code.RESOURCE_EXHAUSTED)) throw error;
        this.#deps.log.warn({}, 'store events were missed; all log subscriptions are matched anew');
      }
    }
  }

  /** Watches tasks that get a node. Followers match once more, so that no event before it is missed. */
  #watch(): Subscription {
    const followers = [...this.#subscriptions.values()].filter(({ follow }) => follow);
    const [, subscription] = this.#deps.store.viewAndWatch(
      (tx) => {
        for (const follower of followers) follower.match(tx);
      },
      { tables: ['task'], commits: false, filter: (event) => this.#followers.concerns(event) },
    );
    for (const listener of this.#listeners.values()) listener.notify();
    return subscription;
  }

  #route(events: readonly StoreEvent[]): void {
    for (const event of events) {
      if (event.kind === 'commit' || event.table !== 'task') continue;
      for (const follower of this.#followers.find(event)) {
        if (event.kind === 'remove') {
          follower.removeTask(event.object.id);
          continue;
        }
        const nodeId = follower.addTask(event.object);
        if (nodeId !== undefined) this.#listeners.get(nodeId)?.notify();
      }
    }
  }

  #assertRunning(): AbortSignal {
    if (this.#running === undefined) throw new SwarmError(Code.UNAVAILABLE, 'broker is not running');
    return this.#running;
  }
}

function checkMessages(request: PublishLogsMessage, nodeId: string): void {
  for (const { context } of request.messages) {
    const named = context?.nodeId ?? '';
    if (named !== nodeId) {
      throw new SwarmError(Code.PERMISSION_DENIED, `invalid NodeID: expected=${nodeId};received=${named}`);
    }
  }
}

function caller(context: CallContext): string {
  if (context.peer === undefined || context.peer.nodeId === '') {
    throw new SwarmError(Code.PERMISSION_DENIED, 'the caller has no node certificate');
  }
  return context.peer.nodeId;
}

/** Aborts with the call or with the broker, whichever ends first; lets go of both when disposed. */
class CallScope implements Disposable {
  readonly #controller: LinkedController;
  readonly #broker: AbortSignal;
  readonly #onStop = (): void => this.#controller.abort(this.#broker.reason);

  constructor(call: AbortSignal, broker: AbortSignal) {
    this.#controller = new LinkedController(call);
    this.#broker = broker;
    if (broker.aborted) this.#onStop();
    else broker.addEventListener('abort', this.#onStop, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    this.#broker.removeEventListener('abort', this.#onStop);
    this.#controller[Symbol.dispose]();
  }
}
