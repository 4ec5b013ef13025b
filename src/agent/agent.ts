import { equals } from '@bufbuild/protobuf';

import { AssignmentsMessage_Type, NodeDescriptionSchema } from '../api/index.js';
import type {
  AssignmentsMessage,
  EncryptionKey,
  Node,
  NodeDescription,
  NodeTLSInfo,
  RpcChannel,
  SessionMessage,
} from '../api/index.js';
import { Code, LinkedController, SwarmError, WakeUp, canceled, errorText, isSwarmError, sleep } from '../base/index.js';
import type { Clock, Component, Logger, Random } from '../base/index.js';
import { BackOff } from './back-off.js';
import type { AgentDatabase } from './database.js';
import { RPC_TIMEOUT_MS, runTogether, within } from './deadline.js';
import type { Executor } from './exec/index.js';
import { Journal } from './journal.js';
import { LogSubscriptions } from './log-publisher.js';
import { OBSERVATION_WEIGHT } from './remotes.js';
import { Reporter } from './reporter.js';
import { Session } from './session.js';
import type { ManagerConnection } from './session.js';
import { sameNode } from './task-equality.js';
import { statusOf } from './task-manager.js';
import { Worker } from './worker.js';

/** How often the executor is asked whether the node has changed, in milliseconds. Source: SwarmKit. */
const DESCRIPTION_PERIOD_MS = 20_000;
/** Longest wait for the executor's answer, in milliseconds. */
const DESCRIBE_TIMEOUT_MS = 20_000;

/** What a user may set about an agent. */
export interface AgentOptions {
  /** Name shown instead of the executor's; empty or absent: the executor's. */
  readonly hostname?: string;
  /** Give up when the very first session meets a certificate that is not trusted: a join to the wrong cluster. */
  readonly certificateErrorsAreFatal?: boolean;
}

/** What an agent needs. It closes none of these, except the channels of the connections. */
export interface AgentDeps {
  /** A way to a manager, for one session; a fresh channel each time. */
  readonly connect: (signal: AbortSignal) => Promise<ManagerConnection> | ManagerConnection;
  readonly executor: Executor;
  readonly database: AgentDatabase;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Takes the managers, the node, the keys and the root CA that a manager tells, in order. */
  readonly onSessionMessage: (message: SessionMessage) => void;
  /** What this node's certificate says, shown in its description. */
  readonly tlsInfo?: () => NodeTLSInfo | undefined;
}

/** Runs the tasks that managers assign to this node and reports what becomes of them. */
export class Agent implements Component {
  /** Resolves after the first session began; rejects when the agent ends before. */
  readonly ready: Promise<void>;
  #resolveReady!: () => void;
  #rejectReady!: (reason: unknown) => void;
  #wasReady = false;
  #leaving = false;
  #description: NodeDescription | undefined;
  #session: LinkedController | undefined;
  #registered = false;
  #sessionId = '';
  #node: Node | undefined;
  #keys: readonly EncryptionKey[] = [];
  #news: SessionMessage | undefined;
  readonly #newsWakeUp = new WakeUp();
  readonly #describeWakeUp = new WakeUp();
  readonly #backOff = new BackOff();
  readonly #options: AgentOptions;
  readonly #deps: AgentDeps;
  readonly #worker: Worker;
  readonly #journal: Journal;
  readonly #reporter: Reporter;
  readonly #logs: LogSubscriptions;

  constructor(options: AgentOptions, deps: AgentDeps) {
    this.#options = options;
    this.#deps = { ...deps, log: deps.log.child({ module: 'agent' }) };
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    this.ready.catch(() => undefined);
    const { clock, executor, database } = deps;
    const { log } = this.#deps;
    this.#reporter = new Reporter({ clock, log });
    this.#journal = new Journal({
      database,
      clock,
      log,
      onStatus: (taskId, status) => this.#reporter.report(taskId, status),
      onTask: (taskId) => this.#worker.stored(taskId),
    });
    this.#worker = new Worker({
      executor,
      journal: this.#journal,
      clock,
      log,
      describe: () => this.#description,
      onVolumeUnpublished: (volumeId) => this.#reporter.reportUnpublished(volumeId),
      onTaskRemoved: (taskId) => this.#reporter.forget(taskId),
    });
    this.#logs = new LogSubscriptions({ worker: this.#worker, log });
  }

  /**
   * Runs until the signal aborts; tasks go on running afterwards. Throws when the database cannot be read
   * or, if so chosen, when the first manager cannot be trusted.
   */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#describeAtLast(signal);
      await this.#worker.init(await this.#deps.database.load(), signal);
      await runTogether(signal, [
        (inner) => this.#journal.run(inner),
        (inner) => this.#sessions(inner),
        (inner) => this.#watchDescription(inner),
        (inner) => this.#takeNews(inner),
      ]);
    } catch (error) {
      this.#rejectReady(error);
      if (!signal.aborted) throw error;
    } finally {
      await this.#worker.close();
    }
    this.#rejectReady(canceled('the agent'));
  }

  /** Removes all tasks from this node and accepts no more. Resolves when nothing is left of them. */
  async leave(signal: AbortSignal): Promise<void> {
    this.#leaving = true;
    await this.#worker.assign([], signal);
    await this.#worker.idle();
    signal.throwIfAborted();
  }

  /** Looks at once whether the node's description has changed: after a new certificate, for one. */
  checkDescription(): void {
    this.#describeWakeUp.notify();
  }

  async #sessions(signal: AbortSignal): Promise<never> {
    for (;;) {
      signal.throwIfAborted();
      const waitMs = this.#backOff.waitMs(this.#deps.random);
      if (waitMs > 0) await sleep(this.#deps.clock, waitMs, signal);
      using life = new LinkedController(signal);
      this.#session = life;
      this.#registered = false;
      try {
        await this.#runSession(life.signal);
      } catch (error) {
        signal.throwIfAborted();
        if (life.signal.aborted) continue;
        if (!this.#wasReady && this.#options.certificateErrorsAreFatal === true && isCertificateError(error))
          throw error;
        this.#backOff.failed();
        this.#deps.log.warn(
          { 'session.id': this.#sessionId, error: errorText(error), 'backoff.ms': this.#backOff.limitMs },
          'session failed',
        );
      }
    }
  }

  async #runSession(signal: AbortSignal): Promise<void> {
    const description = this.#description;
    if (description === undefined) throw new SwarmError(Code.FAILED_PRECONDITION, 'the node is not described');
    const connection = await within(this.#deps.clock, RPC_TIMEOUT_MS, signal, async () => this.#deps.connect(signal));
    const { channel } = connection;
    const handlers = {
      onRegistered: (sessionId: string) => this.#onRegistered(sessionId, connection),
      onMessage: (message: SessionMessage) => this.#onMessage(message),
      onAssignments: (message: AssignmentsMessage, inner: AbortSignal) => this.#onAssignments(message, inner),
      beside: [
        (via: RpcChannel, sessionId: string, inner: AbortSignal) =>
          this.#reporter.run({ channel: via, sessionId }, inner),
        (via: RpcChannel, _sessionId: string, inner: AbortSignal) => this.#logs.run(via, inner),
      ],
    };
    try {
      await new Session(channel, handlers, this.#deps).run(description, this.#sessionId, signal);
    } catch (error) {
      if (!signal.aborted) connection.observe(-OBSERVATION_WEIGHT);
      throw error;
    } finally {
      channel.close();
    }
  }

  #onRegistered(sessionId: string, connection: ManagerConnection): void {
    this.#sessionId = sessionId;
    this.#registered = true;
    this.#backOff.reset();
    connection.observe(OBSERVATION_WEIGHT);
    this.#deps.log.info({ 'session.id': sessionId, addr: connection.addr }, 'registered with a manager');
    for (const { task } of this.#worker.tasks()) this.#reporter.report(task.id, statusOf(task));
    this.#wasReady = true;
    this.#resolveReady();
  }

  #onMessage(message: SessionMessage): void {
    this.#deps.onSessionMessage(message);
    this.#news = message;
    this.#newsWakeUp.notify();
  }

  async #onAssignments(message: AssignmentsMessage, signal: AbortSignal): Promise<void> {
    if (this.#leaving) return;
    switch (message.type) {
      case AssignmentsMessage_Type.COMPLETE:
        return this.#worker.assign(message.changes, signal);
      case AssignmentsMessage_Type.INCREMENTAL:
        return this.#worker.update(message.changes, signal);
      default:
        this.#deps.log.warn({ type: message.type }, 'assignments of an unknown kind were ignored');
    }
  }

  /** Gives the node and the network keys of the newest session message to the executor. */
  async #takeNews(signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.#newsWakeUp.wait(signal);
      const news = this.#news;
      if (news === undefined) continue;
      await this.#configure(news.node, signal);
      await this.#setKeys(news.networkBootstrapKeys, signal);
    }
  }

  async #configure(node: Node | undefined, signal: AbortSignal): Promise<void> {
    if (node === undefined || (this.#node !== undefined && sameNode(this.#node, node))) return;
    this.#node = node;
    try {
      await this.#deps.executor.configure(node, signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#deps.log.error({ error: errorText(error) }, 'configuring the node failed');
    }
  }

  async #setKeys(keys: readonly EncryptionKey[], signal: AbortSignal): Promise<void> {
    const known = new Set(this.#keys.map((key) => key.lamportTime));
    if (keys.every((key) => known.has(key.lamportTime))) return;
    this.#keys = keys;
    try {
      await this.#deps.executor.setNetworkBootstrapKeys(keys, signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#deps.log.error({ error: errorText(error) }, 'setting the network keys failed');
    }
  }

  /** The first description: without one there is nothing to register. */
  async #describeAtLast(signal: AbortSignal): Promise<void> {
    const backOff = new BackOff();
    while (this.#description === undefined) {
      this.#description = await this.#describe(signal);
      if (this.#description !== undefined) return;
      backOff.failed();
      await sleep(this.#deps.clock, backOff.limitMs, signal);
    }
  }

  async #describe(signal: AbortSignal): Promise<NodeDescription | undefined> {
    const { executor, clock, log, tlsInfo } = this.#deps;
    try {
      const described = await within(clock, DESCRIBE_TIMEOUT_MS, signal, ({ signal }) => executor.describe(signal));
      const info = tlsInfo?.();
      const { hostname } = this.#options;
      return {
        ...described,
        ...(hostname === undefined || hostname === '' ? {} : { hostname }),
        ...(info === undefined ? {} : { tlsInfo: info }),
      };
    } catch (error) {
      signal.throwIfAborted();
      log.error({ error: errorText(error) }, 'the executor does not describe this node');
      return undefined;
    }
  }

  /** A changed description ends the session, so that the next one registers with it. */
  async #watchDescription(signal: AbortSignal): Promise<never> {
    const { clock } = this.#deps;
    for (;;) {
      await this.#describeWakeUp.waitUntil(clock, clock.nowMs() + DESCRIPTION_PERIOD_MS, signal);
      const described = await this.#describe(signal);
      const known = this.#description;
      if (described === undefined || (known !== undefined && equals(NodeDescriptionSchema, known, described))) continue;
      this.#description = described;
      this.#deps.log.info({}, 'the description of this node has changed');
      if (this.#registered) this.#session?.abort(canceled('the session with the former description'));
    }
  }
}

/** Whether a connection failed because a certificate is not trusted (`details.reason`, set by the network). */
function isCertificateError(error: unknown): boolean {
  return isSwarmError(error) && error.details['reason'] === 'certificate';
}
