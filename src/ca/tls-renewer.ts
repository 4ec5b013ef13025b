import { IssuanceStatus_State, NodeRole, type Node, type PeerRole } from '../api/index.js';
import {
  canceled,
  randomInt,
  sleep,
  toSwarmError,
  WakeUp,
  type Clock,
  type Component,
  type Logger,
  type Random,
  type SwarmError,
} from '../base/index.js';
import { backoffMs, type BackoffOptions } from './backoff.js';
import type { Credentials, SecurityConfig } from './security-config.js';
import type { KeyFiles } from './key-files.js';
import { nodeRole, roleName } from './roles.js';

/** How a renewal ended. */
export type CertificateUpdate =
  | { readonly kind: 'renewed'; readonly role: NodeRole }
  | { readonly kind: 'failed'; readonly error: SwarmError };

/** When a certificate begins and ends. */
export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** What renewing needs. */
export interface TlsRenewerDeps {
  readonly security: SecurityConfig;
  readonly keyFiles: Pick<KeyFiles, 'read' | 'target'>;
  readonly client: { renew(security: SecurityConfig, signal: AbortSignal): Promise<Credentials> };
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Told of every renewal, also of those that failed. A change of role is seen here. */
  readonly onUpdate: (update: CertificateUpdate) => void;
}

const MINUTE_MS = 60_000;

/** The share of its life after which a certificate is renewed, from and to. Source: SwarmKit. */
const WINDOW_BEGIN = 0.5;
const WINDOW_END = 0.8;

/** Source: SwarmKit. */
const BACKOFF: BackoffOptions = { baseMs: 5_000, factorMs: 5_000, maxMs: 3_600_000 };

/** When to look again at a certificate that cannot be read. Source: SwarmKit. */
const UNREADABLE_RETRY_MS = 5 * MINUTE_MS;

/** Lets the CA take in a change of role before it is asked. Source: SwarmKit. */
const FORCED_PAUSE_MS = 500;

/** What the next renewal depends on besides the certificate. */
export interface RenewalState {
  readonly nowMs: number;
  /** Somebody asked, and it has not succeeded yet. */
  readonly forced: boolean;
  /** In a row. */
  readonly failures: number;
  /** This process has renewed before: not again within a minute, whatever strange clocks make of the dates. */
  readonly renewed: boolean;
}

/**
 * How long to wait before the next renewal: not at all once expired or asked for, else until a random whole
 * minute in the window, so that nodes that joined together do not renew together; longer after failures.
 */
export function renewalDelayMs(validity: Validity | undefined, state: RenewalState, random: Random): number {
  if (validity === undefined) return UNREADABLE_RETRY_MS;
  const pauseMs = backoffMs(state.failures, BACKOFF, random);
  if (state.forced || validity.notAfterMs < state.nowMs) return pauseMs;
  const minutes = (validity.notAfterMs - validity.notBeforeMs) / MINUTE_MS;
  const least = Math.trunc(minutes * WINDOW_BEGIN);
  const most = Math.trunc(minutes * WINDOW_END);
  const chosen = least + (most - least < 1 ? 0 : randomInt(random, most - least));
  const delayMs = validity.notBeforeMs + chosen * MINUTE_MS - state.nowMs;
  return Math.max(delayMs, pauseMs, state.renewed ? MINUTE_MS : 0);
}

/** Keeps a node's certificate valid, and gets a new one at once when the role changes or the CA asks for it. */
export class TlsRenewer implements Component {
  readonly #deps: TlsRenewerDeps;
  readonly #wakeUp = new WakeUp();
  #requested = false;
  #expectedRole: PeerRole | undefined;
  #desiredRole: PeerRole;

  constructor(deps: TlsRenewerDeps) {
    this.#deps = { ...deps, log: deps.log.child({ module: 'tls' }) };
    this.#desiredRole = deps.security.peer.role;
  }

  /** From now on a renewal only counts if the certificate has this role. */
  setExpectedRole(role: PeerRole): void {
    this.#expectedRole = role;
  }

  /** Renews (nearly) at once, and again until it succeeds. */
  renewNow(): void {
    this.#requested = true;
    this.#wakeUp.notify();
  }

  /** Looks at the node as the managers see it: a new desired role or the state ROTATE asks for a new certificate. */
  observe(node: Node): void {
    const desired = roleName(node.spec?.desiredRole ?? NodeRole.WORKER);
    // On the change only: the role itself follows later, and renewing again and again would not hasten it.
    const changed = desired !== this.#desiredRole;
    this.#desiredRole = desired;
    if (changed) this.setExpectedRole(desired);
    if (changed || node.certificate?.status?.state === IssuanceStatus_State.ROTATE) this.renewNow();
  }

  async run(signal: AbortSignal): Promise<void> {
    let [forced, failures, renewed] = [false, 0, false];
    try {
      while (!signal.aborted) {
        const validity = await this.#readValidity();
        const state = { nowMs: this.#deps.clock.nowMs(), forced, failures, renewed };
        if (await this.#wait(renewalDelayMs(validity, state, this.#deps.random), signal)) {
          forced = true;
          await sleep(this.#deps.clock, FORCED_PAUSE_MS, signal);
        }
        if (await this.#renew(signal)) [forced, failures, renewed] = [false, 0, true];
        else failures++;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #readValidity(): Promise<Validity | undefined> {
    try {
      const { chain } = await this.#deps.keyFiles.read();
      return chain[0];
    } catch (error) {
      const cause = toSwarmError(error);
      this.#deps.log.error(
        { path: this.#deps.keyFiles.target, error: cause.message },
        'failed to read the expiration of the TLS certificate',
      );
      this.#deps.onUpdate({ kind: 'failed', error: cause });
      return undefined;
    }
  }

  /** Waits, and returns whether a renewal was asked for meanwhile. */
  async #wait(delayMs: number, signal: AbortSignal): Promise<boolean> {
    if (delayMs > 0 && !this.#requested) {
      const due = new AbortController();
      const timer = this.#deps.clock.setTimer(delayMs, () => {
        due.abort();
        this.#wakeUp.notify();
      });
      try {
        while (!due.signal.aborted && !this.#requested) await this.#wakeUp.wait(signal);
      } finally {
        timer.cancel();
      }
    }
    const requested = this.#requested;
    this.#requested = false;
    return requested;
  }

  async #renew(signal: AbortSignal): Promise<boolean> {
    try {
      const { peer } = await this.#deps.client.renew(this.#deps.security, signal);
      if (this.#expectedRole !== undefined && peer.role !== this.#expectedRole) {
        this.#deps.log.debug({ 'node.role': peer.role }, 'the new certificate does not have the expected role yet');
        return false;
      }
      this.#deps.onUpdate({ kind: 'renewed', role: nodeRole(peer.role) });
      return true;
    } catch (error) {
      if (signal.aborted) throw canceled('the renewal');
      const cause = toSwarmError(error);
      this.#deps.log.error(
        { 'node.id': this.#deps.security.peer.nodeId, error: cause.message },
        'failed to renew the certificate',
      );
      this.#deps.onUpdate({ kind: 'failed', error: cause });
      return false;
    }
  }
}
