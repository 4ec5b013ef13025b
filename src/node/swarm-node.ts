import type { Cluster, PeerRole, RpcChannel, WeightedPeer } from '../api/index.js';
import type { Component } from '../base/index.js';
import type { Store } from '../store/index.js';

/** What is known of this node at a moment. */
export interface NodeView {
  /** Empty until the node has a certificate. */
  readonly nodeId: string;
  readonly clusterId: string;
  /** From the certificate; undefined until there is one. */
  readonly role: PeerRole | undefined;
  /** Managers last heard of, this node included when it is one. */
  readonly managers: readonly WeightedPeer[];
  /** Whether the agent has had a session since the start. */
  readonly agentReady: boolean;
  /** Whether the local manager answers control calls. */
  readonly controlReady: boolean;
  /** Where the remote API listens, while this node is a manager: really bound and as advertised. */
  readonly listenAddr: string;
  readonly advertiseAddr: string;
}

/** One machine's part in a swarm: an agent, and a manager while it has that role. */
export interface SwarmNode extends Component {
  /** Resolves once the agent has registered and, for a manager, the control API answers. Rejects when the start fails. */
  readonly ready: Promise<void>;
  view(): NodeView;
  /** Calls back after every change of {@link view}. */
  subscribe(listener: () => void): Disposable;
  /** Calls to the local manager, acting as this node: Control, Logs, Watch, CA. Undefined unless it is one and ready. */
  control(): RpcChannel | undefined;
  /** The local manager's store, for events and reads that need no call. */
  store(): Store | undefined;
  /** The cluster object as the local manager knows it, keys included; undefined elsewhere. */
  cluster(): Cluster | undefined;
}
