import type { Config, EncryptionKey, Node, NodeDescription, Secret, Task, VolumeAssignment } from '../../api/index.js';
import type { Controller } from './controller.js';

/** A config as a task sees it. `sensitive`: made from a secret by its template, so it must stay off disk. */
export type DependencyConfig = Config & { readonly sensitive?: boolean };

/** What a task may read of the dependencies that were assigned to this node. */
export interface Dependencies {
  /** Undefined when the task does not reference it or it has not been assigned. */
  secret(secretId: string): Secret | undefined;
  /** Payloads with templates come expanded; throws InvalidArgument where that fails. So does `secret`. */
  config(configId: string): DependencyConfig | undefined;
  volume(volumeId: string): VolumeAssignment | undefined;
}

/** Runs tasks on this node: as processes, as containers of a Docker Engine, or simulated. */
export interface Executor {
  /** What this node is and has: hostname, platform, resources, plugins. Polled every 20 s. */
  describe(signal: AbortSignal): Promise<NodeDescription>;
  /** The node object as the manager sees it (attachments and so on), whenever it changes. */
  configure(node: Node, signal: AbortSignal): Promise<void>;
  /** A controller for a task. `dependencies` is restricted to what the task references. */
  controller(task: Task, dependencies: Dependencies): Controller;
  setNetworkBootstrapKeys(keys: readonly EncryptionKey[], signal: AbortSignal): Promise<void>;
  /** Frees what the executor holds. Tasks that should outlive the agent go on running. */
  close(): Promise<void>;
}
