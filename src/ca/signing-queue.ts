import { create } from '@bufbuild/protobuf';

import {
  IssuanceStatus_State,
  IssuanceStatusSchema,
  NodeSpec_Membership,
  type Certificate,
  type IssuanceStatus,
  type Node,
} from '../api/index.js';
import { Code, isSwarmError, toSwarmError, WakeUp, type Clock, type Logger } from '../base/index.js';
import type { Store } from '../store/index.js';
import { nodeValidityMs, type CertificateSigner } from './root-ca.js';
import { roleName } from './roles.js';

/** Certificates that are signed at the same time at the most: signing leaves the event loop. */
const CONCURRENCY_MAX = 8;

/** When to try again what failed for a reason that may pass. Source: SwarmKit. */
const RETRY_MS = 10_000;

/** What signing needs of the cluster. */
export interface SigningDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Whether the CA owes this node a certificate. */
function needsSigning(node: Node): boolean {
  switch (node.certificate?.status?.state) {
    case IssuanceStatus_State.RENEW:
      return true;
    case IssuanceStatus_State.PENDING:
      return node.spec?.membership === NodeSpec_Membership.ACCEPTED;
    default:
      return false;
  }
}

/**
 * Signs the requests of nodes that wait, each as soon as it may. What fails because of the request becomes
 * FAILED; what fails for another reason stays, and is tried again when the signer changes or after a while.
 */
export class SigningQueue {
  readonly #clusterId: string;
  readonly #deps: SigningDeps;
  readonly #waiting = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  /** Tried in vain; they wait for {@link #retryAtMs} or a new signer. */
  readonly #postponed = new Set<string>();
  readonly #wakeUp = new WakeUp();
  #retryAtMs: number | undefined;
  #signer: CertificateSigner | undefined;

  constructor(options: { readonly clusterId: string }, deps: SigningDeps) {
    this.#clusterId = options.clusterId;
    this.#deps = deps;
  }

  /** Signs with this from now on, and tries again what failed so far. */
  setSigner(signer: CertificateSigner): void {
    this.#signer = signer;
    this.#resume();
    this.#wakeUp.notify();
  }

  /** Looks at a node: it is signed if it needs it. Harmless to repeat. */
  offer(node: Node): void {
    if (!needsSigning(node)) return;
    this.#postponed.delete(node.id);
    this.#waiting.add(node.id);
    this.#wakeUp.notify();
  }

  /** Signs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        if (this.#retryAtMs !== undefined && this.#deps.clock.nowMs() >= this.#retryAtMs) this.#resume();
        this.#start();
        await this.#wakeUp.waitUntil(this.#deps.clock, this.#retryAtMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await Promise.all(this.#running.values());
    }
  }

  #start(): void {
    const signer = this.#signer;
    if (signer === undefined) return;
    for (const nodeId of this.#waiting) {
      if (this.#running.size >= CONCURRENCY_MAX) return;
      if (this.#running.has(nodeId)) continue;
      this.#waiting.delete(nodeId);
      this.#running.set(nodeId, this.#serve(nodeId, signer));
    }
  }

  async #serve(nodeId: string, signer: CertificateSigner): Promise<void> {
    try {
      await this.#signNode(nodeId, signer);
    } catch (error) {
      this.#deps.log.warn({ 'node.id': nodeId, error: toSwarmError(error).message }, 'failed to sign CSR, will retry');
      this.#postponed.add(nodeId);
      this.#retryAtMs ??= this.#deps.clock.nowMs() + RETRY_MS;
    } finally {
      this.#running.delete(nodeId);
      this.#wakeUp.notify();
    }
  }

  async #signNode(nodeId: string, signer: CertificateSigner): Promise<void> {
    const { node, cluster } = this.#deps.store.view((tx) => ({
      node: tx.get('node', nodeId),
      cluster: tx.get('cluster', this.#clusterId),
    }));
    const request = node?.certificate;
    if (node === undefined || cluster === undefined || request === undefined || !needsSigning(node)) return;
    const changes = await this.#outcome(nodeId, request, signer, nodeValidityMs(cluster));
    await this.#deps.store.update((tx) => {
      const now = tx.get('node', nodeId);
      // A newer request replaced the one that was signed: its own event brings it here.
      if (now?.certificate === undefined || !needsSigning(now) || !sameRequest(now.certificate, request)) return;
      tx.update('node', { ...now, certificate: { ...now.certificate, ...changes } });
    });
  }

  async #outcome(
    nodeId: string,
    request: Certificate,
    signer: CertificateSigner,
    validityMs: number,
  ): Promise<Pick<Certificate, 'status'> & Partial<Pick<Certificate, 'certificate'>>> {
    try {
      const subject = { nodeId: request.cn, role: roleName(request.role), clusterId: this.#clusterId };
      const nowMs = this.#deps.clock.nowMs();
      const certificate = await signer.sign({ csr: request.csr, subject, validityMs, nowMs });
      return { certificate: new TextEncoder().encode(certificate), status: issuance(IssuanceStatus_State.ISSUED, '') };
    } catch (error) {
      if (!isSwarmError(error, Code.INVALID_ARGUMENT)) throw error;
      this.#deps.log.warn({ 'node.id': nodeId, error: error.message }, 'refused a certificate request');
      return { status: issuance(IssuanceStatus_State.FAILED, error.message) };
    }
  }

  #resume(): void {
    for (const nodeId of this.#postponed) this.#waiting.add(nodeId);
    this.#postponed.clear();
    this.#retryAtMs = undefined;
  }
}

function issuance(state: IssuanceStatus_State, err: string): IssuanceStatus {
  return create(IssuanceStatusSchema, { state, err });
}

function sameRequest(a: Certificate, b: Certificate): boolean {
  return a.role === b.role && a.cn === b.cn && Buffer.compare(a.csr, b.csr) === 0;
}
