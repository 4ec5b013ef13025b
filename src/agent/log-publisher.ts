import { create } from '@bufbuild/protobuf';

import {
  LogBroker,
  LogMessageSchema,
  LogSubscriptionOptionsSchema,
  PublishLogsMessageSchema,
  createClient,
} from '../api/index.js';
import type {
  LogSelector,
  LogSubscriptionOptions,
  PublishLogsMessage,
  RpcChannel,
  SubscriptionMessage,
  Task,
} from '../api/index.js';
import { LinkedController, aborted, canceled, errorText, isSwarmError, Code } from '../base/index.js';
import type { Logger } from '../base/index.js';
import { readStream } from './deadline.js';
import { LogBuffer } from './log-buffer.js';
import type { Worker, WorkerTask } from './worker.js';

/** Subscriptions served at a time; more are answered with an empty, closed stream. */
const SUBSCRIPTIONS_MAX = 1000;

/** What log subscriptions need of the agent. */
export interface LogSubscriptionsDeps {
  readonly worker: Pick<Worker, 'tasks' | 'onTaskStarted'>;
  readonly log: Logger;
}

/**
 * Answers the log subscriptions of one session. They end with it: a manager sends those that still count
 * again to the next one.
 */
export class LogSubscriptions {
  readonly #running = new Map<string, { readonly abort: LinkedController; readonly ended: Promise<void> }>();
  readonly #deps: LogSubscriptionsDeps;

  constructor(deps: LogSubscriptionsDeps) {
    this.#deps = deps;
  }

  /** Listens until the signal aborts or the stream ends. A manager without the service is left alone. */
  async run(channel: RpcChannel, signal: AbortSignal): Promise<void> {
    const client = createClient(LogBroker, channel);
    try {
      for await (const message of readStream(client.listenSubscriptions({}, { signal }), signal)) {
        this.#handle(message, channel, signal);
      }
    } catch (error) {
      if (!isSwarmError(error, Code.UNIMPLEMENTED)) throw error;
      this.#deps.log.info({}, 'the manager does not know log subscriptions');
      await aborted(signal);
    } finally {
      for (const { abort } of this.#running.values()) abort.abort(canceled('the session'));
      await Promise.all([...this.#running.values()].map(({ ended }) => ended));
    }
  }

  #handle(message: SubscriptionMessage, channel: RpcChannel, signal: AbortSignal): void {
    const running = this.#running.get(message.id);
    if (message.close) {
      running?.abort.abort(canceled('the log subscription'));
      return;
    }
    if (running !== undefined) return;
    const abort = new LinkedController(signal);
    const subscription = this.#running.size < SUBSCRIPTIONS_MAX ? message : { ...message, selector: undefined };
    const ended = this.#serve(subscription, channel, abort, signal).then(() => {
      abort[Symbol.dispose]();
      this.#running.delete(message.id);
    });
    this.#running.set(message.id, { abort, ended });
  }

  /** Runs one subscription to its end; `signal` is the session's, `abort` its own. */
  async #serve(
    subscription: Pick<SubscriptionMessage, 'id' | 'options'> & { readonly selector?: LogSelector | undefined },
    channel: RpcChannel,
    abort: LinkedController,
    signal: AbortSignal,
  ): Promise<void> {
    const buffer = new LogBuffer();
    const options = subscription.options ?? create(LogSubscriptionOptionsSchema);
    const reading = this.#read(subscription.selector, options, buffer, abort.signal).finally(() => buffer.end());
    try {
      await createClient(LogBroker, channel).publishLogs(publication(subscription.id, buffer, signal), { signal });
    } catch (error) {
      if (!signal.aborted) {
        this.#deps.log.debug({ subscription: subscription.id, error: errorText(error) }, 'publishing logs failed');
      }
    } finally {
      abort.abort(canceled('the log subscription'));
      await reading;
    }
  }

  /** Reads the logs of all matching tasks; with `follow`, also of those that start later, until aborted. */
  async #read(
    selector: LogSelector | undefined,
    options: LogSubscriptionOptions,
    buffer: LogBuffer,
    signal: AbortSignal,
  ): Promise<void> {
    const readers: Promise<void>[] = [];
    const add = (known: WorkerTask): void => {
      if (selector !== undefined && matches(selector, known.task))
        readers.push(this.#readTask(known, options, buffer, signal));
    };
    if (!options.follow || selector === undefined) {
      for (const known of this.#deps.worker.tasks()) add(known);
      await Promise.all(readers);
      return;
    }
    using _ = this.#deps.worker.onTaskStarted(add);
    for (const known of this.#deps.worker.tasks()) add(known);
    await aborted(signal);
    await Promise.all(readers);
  }

  async #readTask(
    { task, controller }: WorkerTask,
    options: LogSubscriptionOptions,
    buffer: LogBuffer,
    signal: AbortSignal,
  ): Promise<void> {
    if (controller?.logs === undefined) return;
    const context = { serviceId: task.serviceId, nodeId: task.nodeId, taskId: task.id };
    try {
      for await (const message of readStream(controller.logs(options, signal), signal)) {
        await buffer.push(create(LogMessageSchema, { ...message, context }), signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#deps.log.warn({ 'task.id': task.id, error: errorText(error) }, 'reading the logs of a task failed');
    }
  }
}

/** The messages of a subscription: what the buffer holds, and then the close that managers wait for. */
async function* publication(
  subscriptionId: string,
  buffer: LogBuffer,
  signal: AbortSignal,
): AsyncGenerator<PublishLogsMessage, void, undefined> {
  for (let batch = await buffer.take(signal); batch !== undefined; batch = await buffer.take(signal)) {
    yield create(PublishLogsMessageSchema, { subscriptionId, messages: batch });
  }
  yield create(PublishLogsMessageSchema, { subscriptionId, close: true });
}

function matches(selector: LogSelector, task: Task): boolean {
  return (
    selector.taskIds.includes(task.id) ||
    selector.serviceIds.includes(task.serviceId) ||
    selector.nodeIds.includes(task.nodeId)
  );
}
