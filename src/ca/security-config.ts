import { create } from '@bufbuild/protobuf';

import {
  NodeTLSInfoSchema,
  type NodeTLSInfo,
  type PeerIdentity,
  type TlsIdentity,
  type TlsIdentitySource,
} from '../api/index.js';
import { SwarmError } from '../base/index.js';
import { peerIdentityOf } from './certificate.js';
import type { Issuer } from './chain.js';
import type { KeyFiles, KeyPair } from './key-files.js';
import { keyPem } from './keys.js';
import { RootCa, type CertificateDeps } from './root-ca.js';
import { tlsProblem, tlsProblemOf } from './tls-problem.js';

/** A node's certificate and key, checked against the root that it trusts. */
export interface Credentials {
  readonly pair: KeyPair;
  readonly peer: PeerIdentity;
  readonly issuer: Issuer;
}

/** What a node shows and trusts in TLS: the present state and notice of every change. */
export class SecurityConfig implements TlsIdentitySource {
  readonly #listeners = new Set<() => void>();
  #root: RootCa;
  #credentials: Credentials;
  #identity: TlsIdentity;

  constructor(root: RootCa, credentials: Credentials) {
    this.#root = root;
    this.#credentials = credentials;
    this.#identity = identityOf(root, credentials);
  }

  current(): TlsIdentity {
    return this.#identity;
  }

  /** The trusted root. */
  get rootCa(): RootCa {
    return this.#root;
  }

  /** The present certificate and key. */
  get credentials(): Credentials {
    return this.#credentials;
  }

  /** Who this node is. */
  get peer(): PeerIdentity {
    return this.#credentials.peer;
  }

  /** What the node reports of its trust, so that a root rotation can see how far it has come. */
  get tlsInfo(): NodeTLSInfo {
    return create(NodeTLSInfoSchema, {
      trustRoot: this.#root.bundle,
      certIssuerSubject: this.#credentials.issuer.subject,
      certIssuerPublicKey: this.#credentials.issuer.publicKey,
    });
  }

  subscribe(listener: () => void): Disposable {
    // Wrapped, so that one function subscribed twice is called twice and disposed one by one.
    const entry = (): void => listener();
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }

  /** Uses a new certificate and key from now on. */
  update(credentials: Credentials): void {
    this.#change(this.#root, credentials);
  }

  /** Trusts a new root. Problem 'foreign' when the present certificate does not come from it. */
  async updateRoot(root: RootCa, nowMs: number): Promise<void> {
    const { certificatePem } = this.#credentials.pair;
    try {
      const issuer = await root.verify(certificatePem, nowMs, { allowExpired: true });
      this.#change(root, { ...this.#credentials, issuer });
    } catch (error) {
      if (tlsProblemOf(error) !== 'foreign') throw error;
      throw tlsProblem('foreign', 'new root CA does not match existing TLS credentials', error);
    }
  }

  #change(root: RootCa, credentials: Credentials): void {
    this.#root = root;
    this.#credentials = credentials;
    this.#identity = identityOf(root, credentials);
    for (const listener of this.#listeners) listener();
  }
}

/** What the certificate files hold, and what is missing of it. */
export type LoadedSecurity =
  | { readonly kind: 'loaded'; readonly security: SecurityConfig }
  /** The root is known, key and certificate are not there: they must be asked for. */
  | { readonly kind: 'no-certificate'; readonly root: RootCa }
  | { readonly kind: 'no-root' };

/**
 * Loads a node's identity from its files.
 * @param options.allowExpired as when a new cluster is forced, where a new certificate is made at once.
 * @throws problems 'locked', 'expired', 'not-yet-valid', 'damaged', 'mismatch', 'foreign', each with what to do.
 */
export async function loadSecurity(
  keyFiles: KeyFiles,
  deps: CertificateDeps,
  options: { readonly nowMs: number; readonly allowExpired: boolean },
): Promise<LoadedSecurity> {
  const bundle = await keyFiles.readRoot();
  if (bundle === undefined) return { kind: 'no-root' };
  const root = await loadRoot(bundle, deps, { nowMs: options.nowMs, target: keyFiles.target });
  let pair: KeyPair;
  try {
    pair = await keyFiles.read();
  } catch (error) {
    if (tlsProblemOf(error) === 'missing') return { kind: 'no-certificate', root };
    throw error;
  }
  try {
    return { kind: 'loaded', security: new SecurityConfig(root, await checkCredentials(root, pair, options)) };
  } catch (error) {
    throw withAdvice(keyFiles.target, error);
  }
}

/** Checks a pair against a root. Problems 'expired', 'not-yet-valid' and 'foreign'. */
export async function checkCredentials(
  root: RootCa,
  pair: KeyPair,
  { nowMs, allowExpired }: { readonly nowMs: number; readonly allowExpired: boolean },
): Promise<Credentials> {
  const issuer = await root.verify(pair.certificatePem, nowMs, { allowExpired });
  const peer = peerIdentityOf(pair.chain[0]);
  if (peer === undefined) {
    throw tlsProblem('foreign', `certificate (1 - ${pair.chain[0].commonName}) names no node, role and cluster`);
  }
  return { pair, peer, issuer };
}

async function loadRoot(
  bundle: Uint8Array,
  deps: CertificateDeps,
  { nowMs, target }: { readonly nowMs: number; readonly target: string },
): Promise<RootCa> {
  try {
    return await RootCa.load(deps, { bundle }, nowMs);
  } catch (error) {
    if (tlsProblemOf(error) !== undefined) throw withAdvice(target, error);
    const why = error instanceof SwarmError ? error.message : 'it cannot be read';
    throw tlsProblem(
      'damaged',
      `the root CA certificate is damaged (${why}): restore it, or leave the cluster and join again`,
      error,
    );
  }
}

function withAdvice(target: string, error: unknown): unknown {
  const problem = tlsProblemOf(error);
  if (problem === undefined || !(error instanceof SwarmError)) return error;
  const advice =
    problem === 'not-yet-valid' ? 'check the clock of this machine' : 'leave the cluster and join again to replace it';
  return tlsProblem(problem, `error while loading TLS certificate in ${target}: ${error.message}: ${advice}`, error);
}

function identityOf(root: RootCa, { pair, peer }: Credentials): TlsIdentity {
  return { certificatePem: pair.certificatePem, privateKeyPem: keyPem(pair.key), rootPem: root.bundlePem, peer };
}
