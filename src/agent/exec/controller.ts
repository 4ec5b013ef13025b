import type { ContainerStatus, LogMessage, LogSubscriptionOptions, PortStatus, Task } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';

/**
 * Drives one task on this node. Called by one task manager, one operation at a time. Every operation
 * may be repeated after a restart of the agent and must then find out what is already there.
 */
export interface Controller {
  /** Takes over a changed task definition where that is possible (the desired state is not part of it). */
  update(task: Task, signal: AbortSignal): Promise<void>;
  /** Gets everything ready to start: image, container, files. Resolves if that was done before. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Starts, and resolves when the task counts as running (healthy, where it has a health check). */
  start(signal: AbortSignal): Promise<void>;
  /** Resolves when the task ended by itself with success; rejects with {@link ExitError} otherwise. */
  wait(signal: AbortSignal): Promise<void>;
  /** Stops with the task's signal and grace period. */
  shutdown(signal: AbortSignal): Promise<void>;
  /** Stops at once. */
  terminate(signal: AbortSignal): Promise<void>;
  /** Removes all traces from the node. Called after the task is terminal. */
  remove(signal: AbortSignal): Promise<void>;
  /** Frees what this object holds in memory. The task may go on running. */
  close(): Promise<void>;
  /** Container id, pid and exit code as far as known. */
  containerStatus?(signal: AbortSignal): Promise<ContainerStatus | undefined>;
  /** Host ports as bound. */
  portStatus?(signal: AbortSignal): Promise<PortStatus | undefined>;
  /** The task's output, in order; ends when the task has ended and all is read, or at once without follow. */
  logs?(options: LogSubscriptionOptions, signal: AbortSignal): AsyncIterable<ControllerLogMessage>;
}

/** A line of output, before the agent adds whose it is. */
export type ControllerLogMessage = Pick<LogMessage, 'timestamp' | 'stream' | 'attrs' | 'data'>;

/** Why a task ended: a non-zero exit, a signal, a failed health check. Fatal for the task. */
export class ExitError extends SwarmError {
  constructor(
    readonly exitCode: number,
    reason: string,
  ) {
    super(Code.ABORTED, `task: non-zero exit (${exitCode})${reason === '' ? '' : `: ${reason}`}`);
  }
}

/** A failure that may pass: the operation is tried again after a second instead of failing the task. */
export class TemporaryError extends SwarmError {
  constructor(message: string, cause?: unknown) {
    super(Code.UNAVAILABLE, message, { cause });
  }
}
