import { create } from '@bufbuild/protobuf';

import {
  bindService,
  CA,
  CertificateSchema,
  GetUnlockKeyResponseSchema,
  IssuanceStatus_State,
  NodeCA,
  NodeRole,
  NodeSchema,
  NodeSpec_Availability,
  NodeSpec_Membership,
  type BoundService,
  type CallContext,
  type Certificate,
  type Cluster,
  type GetUnlockKeyResponse,
  type IssueNodeCertificateRequest,
} from '../api/index.js';
import {
  canceled,
  Code,
  errorText,
  isSwarmError,
  LinkedController,
  newId,
  SwarmError,
  WakeUp,
  type Clock,
  type Component,
  type Logger,
} from '../base/index.js';
import { by, type Store, type Subscription } from '../store/index.js';
import { parseCsr } from './csr.js';
import { equalSecrets } from './join-token.js';
import { isRevoked } from './revocation.js';
import { RootCa, type CertificateDeps } from './root-ca.js';
import { MANAGER_ROLE } from './roles.js';
import { SigningQueue } from './signing-queue.js';

/** What the CA needs of its surroundings. */
export interface CaServerDeps extends CertificateDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

/** New ids that may already be taken before giving up. Source: SwarmKit. */
const ID_RETRIES_MAX = 3;

/** Calls that may wait for certificates at the same time. */
const WAITING_CALLS_MAX = 50_000;

/** What a CA is told. */
export interface CaServerOptions {
  readonly clusterId: string;
  /** Whether nodes may join as managers. Default true; false while there can be only one manager. */
  readonly admitsManagers?: boolean;
}

/** Decides who becomes a node, and signs certificates. Runs on the leader only. */
export class CaServer implements Component {
  readonly #clusterId: string;
  readonly #admitsManagers: boolean;
  readonly #deps: CaServerDeps;
  /** Calls that wait for a certificate, by node. */
  readonly #waiting = new Map<string, Set<WakeUp>>();
  #waitingCalls = 0;
  #running = false;

  constructor(options: CaServerOptions, deps: CaServerDeps) {
    this.#clusterId = options.clusterId;
    this.#admitsManagers = options.admitsManagers ?? true;
    this.#deps = { ...deps, log: deps.log.child({ module: 'ca' }) };
  }

  /** The CA and NodeCA services. */
  services(): readonly BoundService[] {
    return [
      bindService(CA, {
        getRootCACertificate: async () => ({ certificate: this.#readyCluster().rootCa.caCert }),
        getUnlockKey: async () => this.#unlockKey(),
      }),
      bindService(NodeCA, {
        issueNodeCertificate: (request, context) => this.#issue(request, context),
        nodeCertificateStatus: ({ nodeId }, { signal }) => this.#status(nodeId, signal),
      }),
    ];
  }

  async run(signal: AbortSignal): Promise<void> {
    using children = new LinkedController(signal);
    const queue = new SigningQueue({ clusterId: this.#clusterId }, this.#deps);
    const parts = [queue.run(children.signal), this.#serve(queue, children.signal)];
    const ended = parts.map((part) => part.finally(() => children.abort(canceled('the CA'))));
    await Promise.allSettled(ended);
    await Promise.all(ended);
  }

  async #serve(queue: SigningQueue, signal: AbortSignal): Promise<void> {
    this.#running = true;
    try {
      while (!signal.aborted) await this.#watch(queue, signal);
    } finally {
      this.#running = false;
      for (const nodeId of this.#waiting.keys()) this.#notify(nodeId);
    }
  }

  async #watch(queue: SigningQueue, signal: AbortSignal): Promise<void> {
    const [seen, subscription] = this.#deps.store.viewAndWatch(
      (tx) => ({ cluster: tx.get('cluster', this.#clusterId), nodes: tx.find('node', by.all()) }),
      { tables: ['cluster', 'node'], commits: false },
    );
    using events = subscription;
    await this.#useRoot(seen.cluster, undefined, queue);
    for (const node of seen.nodes) queue.offer(node);
    for (const nodeId of this.#waiting.keys()) this.#notify(nodeId);
    try {
      await this.#follow(events, seen.cluster, queue, signal);
    } catch (error) {
      // Cut off for being slow: nothing is lost by looking at everything again.
      if (!signal.aborted && !isSwarmError(error, Code.RESOURCE_EXHAUSTED)) throw error;
    }
  }

  async #follow(
    events: Subscription,
    first: Cluster | undefined,
    queue: SigningQueue,
    signal: AbortSignal,
  ): Promise<void> {
    let cluster = first;
    while (!signal.aborted) {
      let newest = cluster;
      for (const event of await events.next(signal)) {
        if (event.kind === 'commit') continue;
        if (event.table === 'cluster' && event.object.id === this.#clusterId) newest = event.object;
        if (event.table !== 'node') continue;
        if (event.kind !== 'remove') queue.offer(event.object);
        this.#notify(event.object.id);
      }
      if (newest !== cluster) await this.#useRoot(newest, cluster, queue);
      cluster = newest;
    }
  }

  async #useRoot(cluster: Cluster | undefined, before: Cluster | undefined, queue: SigningQueue): Promise<void> {
    const message = cluster?.rootCa;
    if (message === undefined || message === before?.rootCa || message.caCert.length === 0) return;
    try {
      queue.setSigner(await RootCa.fromApi(this.#deps, message, this.#deps.clock.nowMs()));
    } catch (error) {
      this.#deps.log.error(
        { 'cluster.id': this.#clusterId, error: errorText(error) },
        'invalid Root CA object in cluster',
      );
    }
  }

  #unlockKey(): GetUnlockKeyResponse {
    const { meta, spec, unlockKeys } = this.#readyCluster();
    const locked = spec?.encryptionConfig?.autoLockManagers ?? false;
    const key = locked ? unlockKeys.find(({ subsystem }) => subsystem === MANAGER_ROLE)?.key : undefined;
    return create(GetUnlockKeyResponseSchema, {
      unlockKey: key ?? new Uint8Array(),
      ...(meta?.version === undefined ? {} : { version: meta.version }),
    });
  }

  async #issue(request: IssueNodeCertificateRequest, { peer }: CallContext): Promise<IssueReply> {
    if (request.csr.length === 0) throw new SwarmError(Code.INVALID_ARGUMENT, 'InvalidArgument');
    this.#requireRunning();
    const cluster = this.#readyCluster();
    if (peer !== undefined && peer.clusterId === this.#clusterId && !isRevoked(cluster, peer.nodeId)) {
      await parseCsr(this.#deps.crypto, request.csr);
      return this.#renew(peer.nodeId, request.csr);
    }
    const role = roleOfToken(cluster, request.token);
    if (role === undefined) {
      throw new SwarmError(Code.INVALID_ARGUMENT, 'A valid join token is necessary to join this cluster');
    }
    if (role === NodeRole.MANAGER && !this.#admitsManagers) {
      throw new SwarmError(
        Code.UNIMPLEMENTED,
        'this cluster cannot have a second manager yet: join with the token for workers',
      );
    }
    if (NodeSpec_Availability[request.availability] === undefined) {
      throw new SwarmError(Code.INVALID_ARGUMENT, `availability: ${String(request.availability)} is not known`);
    }
    await parseCsr(this.#deps.crypto, request.csr);
    return this.#admit(request, role, cluster);
  }

  async #renew(nodeId: string, csr: Uint8Array): Promise<IssueReply> {
    const membership = await this.#deps.store.update((tx) => {
      const node = tx.get('node', nodeId);
      if (node === undefined) {
        throw new SwarmError(Code.NOT_FOUND, `node ${nodeId} not found when attempting to renew certificate`);
      }
      tx.update('node', {
        ...node,
        certificate: certificateRequest(nodeId, node.role, csr, IssuanceStatus_State.RENEW),
      });
      return node.spec?.membership ?? NodeSpec_Membership.PENDING;
    });
    return { nodeId, nodeMembership: membership };
  }

  async #admit(request: IssueNodeCertificateRequest, role: NodeRole, cluster: Cluster): Promise<IssueReply> {
    const nodeMembership = NodeSpec_Membership.ACCEPTED;
    for (let collisions = 0; ; collisions++) {
      const nodeId = newId(this.#deps.random);
      const node = create(NodeSchema, {
        id: nodeId,
        role,
        certificate: certificateRequest(nodeId, role, request.csr, IssuanceStatus_State.PENDING),
        spec: { desiredRole: role, membership: nodeMembership, availability: request.availability },
        VXLANUDPPort: cluster.VXLANUDPPort,
      });
      try {
        await this.#deps.store.update((tx) => tx.create('node', node));
        this.#deps.log.info({ 'node.id': nodeId, 'node.role': NodeRole[role] }, 'a new node was admitted');
        return { nodeId, nodeMembership };
      } catch (error) {
        if (!isSwarmError(error, Code.ALREADY_EXISTS) || collisions === ID_RETRIES_MAX) throw error;
      }
    }
  }

  async #status(nodeId: string, signal: AbortSignal): Promise<StatusReply> {
    if (nodeId === '') throw new SwarmError(Code.INVALID_ARGUMENT, 'InvalidArgument');
    using change = this.#waitFor(nodeId);
    for (;;) {
      this.#requireRunning();
      const node = this.#deps.store.view((tx) => tx.get('node', nodeId));
      if (node === undefined) throw new SwarmError(Code.NOT_FOUND, 'NotFound');
      const status = node.certificate?.status;
      if (node.certificate !== undefined && status !== undefined && isFinal(status.state)) {
        return { status, certificate: node.certificate };
      }
      await change.wakeUp.wait(signal);
    }
  }

  #waitFor(nodeId: string): Disposable & { readonly wakeUp: WakeUp } {
    if (this.#waitingCalls >= WAITING_CALLS_MAX) {
      throw new SwarmError(Code.RESOURCE_EXHAUSTED, 'too many nodes wait for their certificates');
    }
    this.#waitingCalls++;
    const wakeUp = new WakeUp();
    const calls = this.#waiting.get(nodeId) ?? new Set();
    this.#waiting.set(nodeId, calls.add(wakeUp));
    const dispose = (): void => {
      this.#waitingCalls--;
      calls.delete(wakeUp);
      if (calls.size === 0) this.#waiting.delete(nodeId);
    };
    return { wakeUp, [Symbol.dispose]: dispose };
  }

  #notify(nodeId: string): void {
    for (const wakeUp of this.#waiting.get(nodeId) ?? []) wakeUp.notify();
  }

  #requireRunning(): void {
    if (!this.#running) throw new SwarmError(Code.ABORTED, 'CA signer is stopped');
  }

  #readyCluster(): Cluster & { readonly rootCa: NonNullable<Cluster['rootCa']> } {
    const cluster = this.#deps.store.view((tx) => tx.get('cluster', this.#clusterId));
    const rootCa = cluster?.rootCa;
    if (cluster === undefined || rootCa === undefined || rootCa.caCert.length === 0) {
      throw new SwarmError(Code.ABORTED, 'CA signer is still starting');
    }
    return { ...cluster, rootCa };
  }
}

interface IssueReply {
  readonly nodeId: string;
  readonly nodeMembership: NodeSpec_Membership;
}

interface StatusReply {
  readonly status: NonNullable<Certificate['status']>;
  readonly certificate: Certificate;
}

/** A CA's answer is final for a request in these states; ROTATE asks for a new one but still holds a certificate. */
function isFinal(state: IssuanceStatus_State): boolean {
  return (
    state === IssuanceStatus_State.ISSUED ||
    state === IssuanceStatus_State.FAILED ||
    state === IssuanceStatus_State.ROTATE
  );
}

function roleOfToken(cluster: Cluster, token: string): NodeRole | undefined {
  const tokens = cluster.rootCa?.joinTokens;
  if (equalSecrets(tokens?.manager ?? '', token)) return NodeRole.MANAGER;
  if (equalSecrets(tokens?.worker ?? '', token)) return NodeRole.WORKER;
  return undefined;
}

function certificateRequest(cn: string, role: NodeRole, csr: Uint8Array, state: IssuanceStatus_State): Certificate {
  return create(CertificateSchema, { cn, role, csr, status: { state } });
}
