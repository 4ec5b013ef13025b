import type {
  Endpoint_VirtualIP,
  Network,
  NetworkAttachment,
  NetworkAttachmentConfig,
  Service,
  Task,
} from '../../api/index.js';

/** What was asked for, or why it cannot be had yet. */
export type Allocation<T> =
  | { readonly kind: 'allocated'; readonly value: T }
  | { readonly kind: 'waiting'; readonly reason: string };

/** A network that a task or service asks for, as declared and as it exists. */
export interface WantedNetwork {
  readonly config: NetworkAttachmentConfig;
  readonly network: Network;
}

/**
 * Gives out the addresses of networks. Synchronous: state in memory, taken over from the store at start.
 * Asking again for what was given gives the same.
 */
export interface NetworkProvider {
  /** Takes over what stored objects hold. Called once, before anything is given out. */
  restore(objects: { readonly services: readonly Service[]; readonly tasks: readonly Task[] }): void;
  /** Virtual addresses of the service on the networks it is attached to. */
  allocateService(service: Service, networks: readonly WantedNetwork[]): Allocation<readonly Endpoint_VirtualIP[]>;
  /** Frees what the service holds. Returns whether that was anything. */
  releaseService(serviceId: string): boolean;
  /** The task's attachments. */
  allocateTask(task: Task, networks: readonly WantedNetwork[]): Allocation<readonly NetworkAttachment[]>;
  /** Frees what the task holds. Returns whether that was anything. */
  releaseTask(taskId: string): boolean;
}

/** Provides nothing: whatever names a network waits. */
export const NO_NETWORKS: NetworkProvider = {
  restore: () => undefined,
  allocateService: (_service, networks) => provideNothing(networks),
  releaseService: () => false,
  allocateTask: (_task, networks) => provideNothing(networks),
  releaseTask: () => false,
};

function provideNothing(networks: readonly WantedNetwork[]): Allocation<readonly never[]> {
  const [first] = networks;
  if (first === undefined) return { kind: 'allocated', value: [] };
  const name = first.network.spec?.annotations?.name ?? first.network.id;
  return { kind: 'waiting', reason: `this manager cannot provide network ${name}` };
}
