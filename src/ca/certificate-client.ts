import {
  CA,
  createClient,
  IssuanceStatus_State,
  NodeCA,
  NodeSpec_Availability,
  type Credentials as RpcCredentials,
  type NodeCertificateStatusResponse,
  type RpcChannel,
} from '../api/index.js';
import {
  Code,
  errorText,
  isSwarmError,
  LinkedController,
  sleep,
  SwarmError,
  type Clock,
  type Logger,
} from '../base/index.js';
import { backoffMs, type BackoffOptions } from './backoff.js';
import type { CaConnection, CaConnector } from './ca-connector.js';
import { isMadeFor, parseCertificates } from './certificate.js';
import { isFipsCluster } from './cluster-root.js';
import { sha256Hex } from './crypto.js';
import { createCsr } from './csr.js';
import { parseJoinToken } from './join-token.js';
import type { Kek, KeyFiles, KeyPair } from './key-files.js';
import { generateKey } from './keys.js';
import { RootCa, type CertificateDeps } from './root-ca.js';
import { MANAGER_ROLE } from './roles.js';
import { checkCredentials, SecurityConfig, type Credentials } from './security-config.js';
import { tlsProblem } from './tls-problem.js';

/** What asking for certificates needs. */
export interface CertificateClientDeps extends CertificateDeps {
  readonly connector: CaConnector;
  readonly keyFiles: KeyFiles;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How a new node asks to be let in. */
export interface JoinRequest {
  /** Empty: the root that the manager shows is trusted on first use, and only a cluster without tokens lets us in. */
  readonly token: string;
  readonly availability?: NodeSpec_Availability;
}

/** Tries of one step, for the case that the manager asked was just demoted. Source: SwarmKit. */
const TRIES_MAX = 5;

/** Between two tries. Source: SwarmKit. */
const TRY_PAUSE_MS = 2_000;

/** Of one call. Source: SwarmKit. */
const CALL_TIMEOUT_MS = 5_000;

/** Between two questions whether the certificate is ready. Source: SwarmKit. */
const STATUS_BACKOFF: BackoffOptions = { baseMs: 1_000, factorMs: 1_000, maxMs: 30_000 };

/** Gets the root and certificates from a cluster's managers, for a new node and for one that renews. */
export class CertificateClient {
  readonly #fips: boolean;
  readonly #deps: CertificateClientDeps;

  /** @param options.fips this node runs in FIPS mode, so that a cluster which demands it may be joined. */
  constructor(options: { readonly fips: boolean }, deps: CertificateClientDeps) {
    this.#fips = options.fips;
    this.#deps = { ...deps, log: deps.log.child({ module: 'tls' }) };
  }

  /**
   * Joins: gets the root where it is not known yet, then a certificate, and writes both to the files.
   * InvalidArgument for a bad token; FailedPrecondition when the root is not the one of the token, or the
   * cluster admits only nodes in FIPS mode; else the error of the last try.
   * @param known the root from the files, when an earlier attempt has come that far.
   */
  async join(request: JoinRequest, known: RootCa | undefined, signal: AbortSignal): Promise<SecurityConfig> {
    if (request.token !== '' && parseJoinToken(request.token).fips) this.#requireFips();
    const root = known ?? (await this.downloadRoot(request.token, signal));
    const credentials = await this.#obtain(root, { kind: 'root', rootPem: root.bundlePem }, request, signal);
    return new SecurityConfig(root, credentials);
  }

  /** Gets the root over an unverified connection, checks it by the token's digest, and writes it to its file. */
  async downloadRoot(token: string, signal: AbortSignal): Promise<RootCa> {
    const digest = token === '' ? undefined : parseJoinToken(token).rootDigest;
    const root = await this.#retry('root certificate', signal, () => this.#fetchRoot(digest, signal));
    await this.#deps.keyFiles.writeRoot(root.bundle);
    return root;
  }

  /** Renews with the present certificate as proof, writes the new one to the files and puts it to use. */
  async renew(security: SecurityConfig, signal: AbortSignal): Promise<Credentials> {
    const proof: RpcCredentials = { kind: 'mutual', identity: security };
    const credentials = await this.#obtain(security.rootCa, proof, { token: '' }, signal);
    security.update(credentials);
    return credentials;
  }

  async #fetchRoot(digest: string | undefined, signal: AbortSignal): Promise<RootCa> {
    const certificate = await this.#once({ kind: 'unverified' }, false, async (channel) => {
      const reply = await this.#call(signal, (options) => createClient(CA, channel).getRootCACertificate({}, options));
      return reply.certificate;
    });
    // The digest covers the whole bundle: a root smuggled in beside the real one changes it too.
    if (digest !== undefined && (await sha256Hex(this.#deps.crypto, certificate)) !== digest) {
      throw new SwarmError(Code.FAILED_PRECONDITION, `remote CA does not match fingerprint. Expected: ${digest}`, {
        details: REFUSED,
      });
    }
    return RootCa.load(this.#deps, { bundle: certificate }, this.#deps.clock.nowMs());
  }

  /** A new key, a certificate for it and, for managers, the key that encrypts it: all written together. */
  async #obtain(root: RootCa, proof: RpcCredentials, request: JoinRequest, signal: AbortSignal): Promise<Credentials> {
    const key = await generateKey(this.#deps.crypto);
    const csr = new TextEncoder().encode(await createCsr(this.#deps.crypto, key));
    const bytes = await this.#retry('node certificate', signal, (remoteOnly) =>
      this.#requestCertificate(proof, csr, request, remoteOnly, signal),
    );
    const certificatePem = new TextDecoder().decode(bytes);
    const chain = parseCertificates(certificatePem, 'the certificate from the CA');
    if (!isMadeFor(chain[0], key)) throw tlsProblem('mismatch', 'the certificate from the CA is for another key');
    const pair: KeyPair = { certificatePem, chain, key };
    const time = { nowMs: this.#deps.clock.nowMs(), allowExpired: false };
    const credentials = await checkCredentials(root, pair, time);
    if (isFipsCluster(credentials.peer.clusterId)) this.#requireFips();
    const kek = await this.#fetchKek(root, credentials, signal);
    await this.#deps.keyFiles.write(certificatePem, key, kek);
    return credentials;
  }

  async #requestCertificate(
    proof: RpcCredentials,
    csr: Uint8Array,
    { token, availability = NodeSpec_Availability.ACTIVE }: JoinRequest,
    remoteOnly: boolean,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const manager = new Reconnecting(this.#deps.connector, proof, remoteOnly);
    try {
      const { nodeId } = await this.#call(signal, (options) =>
        createClient(NodeCA, manager.channel).issueNodeCertificate({ csr, token, availability }, options),
      );
      // Ends with the certificate, with a refusal, or when the caller gives up: the CA may be without a leader for long.
      for (let failures = 1; ; failures++) {
        const answer = await this.#askStatus(manager, nodeId, signal);
        const certificate = answer === undefined ? undefined : issuedFor(answer, csr);
        if (certificate !== undefined) return certificate;
        await sleep(this.#deps.clock, backoffMs(failures, STATUS_BACKOFF, this.#deps.random), signal);
      }
    } catch (error) {
      manager.failed(error);
      throw error;
    } finally {
      manager.close();
    }
  }

  /** The status; undefined when the call failed in a way that another try may mend. */
  async #askStatus(
    manager: Reconnecting,
    nodeId: string,
    signal: AbortSignal,
  ): Promise<NodeCertificateStatusResponse | undefined> {
    try {
      return await this.#call(signal, (options) =>
        createClient(NodeCA, manager.channel).nodeCertificateStatus({ nodeId }, options),
      );
    } catch (error) {
      // NotFound: the node was removed in the meantime, so asking anew is the only way.
      if (signal.aborted || isSwarmError(error, Code.NOT_FOUND)) throw error;
      this.#deps.log.debug({ 'node.id': nodeId, error: errorText(error) }, 'the certificate is not ready yet');
      if (!isSwarmError(error, Code.DEADLINE_EXCEEDED)) manager.reconnect(error);
      return undefined;
    }
  }

  /** The key that encrypts a manager's key; none for workers, also where a demoted manager had one. */
  async #fetchKek(root: RootCa, credentials: Credentials, signal: AbortSignal): Promise<Kek> {
    if (credentials.peer.role !== MANAGER_ROLE) return { key: undefined, version: 0n };
    const proof: RpcCredentials = { kind: 'mutual', identity: new SecurityConfig(root, credentials) };
    return this.#retry('unlock key', signal, async (remoteOnly) => {
      try {
        const reply = await this.#once(proof, remoteOnly, (channel) =>
          this.#call(signal, (options) => createClient(CA, channel).getUnlockKey({}, options)),
        );
        const key = reply.unlockKey.length === 0 ? undefined : reply.unlockKey;
        return { key, version: reply.version?.index ?? 0n };
      } catch (error) {
        // Managers of before there were unlock keys.
        if (isSwarmError(error, Code.UNIMPLEMENTED)) return { key: undefined, version: 0n };
        throw error;
      }
    });
  }

  #requireFips(): void {
    if (this.#fips) return;
    throw new SwarmError(Code.FAILED_PRECONDITION, 'node is not FIPS-enabled but cluster requires FIPS');
  }

  async #retry<T>(what: string, signal: AbortSignal, attempt: (remoteOnly: boolean) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt(tries > 1);
      } catch (error) {
        if (signal.aborted || tries === TRIES_MAX || isRefusal(error)) throw error;
        this.#deps.log.warn({ error: errorText(error) }, `failed to get the ${what}, will retry`);
        await sleep(this.#deps.clock, TRY_PAUSE_MS, signal);
      }
    }
  }

  async #once<T>(
    credentials: RpcCredentials,
    remoteOnly: boolean,
    use: (channel: RpcChannel) => Promise<T>,
  ): Promise<T> {
    const manager = new Reconnecting(this.#deps.connector, credentials, remoteOnly);
    try {
      return await use(manager.channel);
    } catch (error) {
      manager.failed(error);
      throw error;
    } finally {
      manager.close();
    }
  }

  async #call<T>(
    signal: AbortSignal,
    call: (options: { signal: AbortSignal; timeoutMs: number }) => Promise<T>,
  ): Promise<T> {
    using deadline = new LinkedController(signal);
    const timer = this.#deps.clock.setTimer(CALL_TIMEOUT_MS, () =>
      deadline.abort(new SwarmError(Code.DEADLINE_EXCEEDED, `no answer within ${CALL_TIMEOUT_MS} ms`)),
    );
    try {
      return await call({ signal: deadline.signal, timeoutMs: CALL_TIMEOUT_MS });
    } finally {
      timer.cancel();
    }
  }
}

/** The certificate for this very request; undefined while there is none yet. */
function issuedFor({ status, certificate }: NodeCertificateStatusResponse, csr: Uint8Array): Uint8Array | undefined {
  // An answer about another request is about an earlier one: ours comes after it.
  if (certificate === undefined || Buffer.compare(certificate.csr, csr) !== 0) return undefined;
  switch (status?.state) {
    case IssuanceStatus_State.ISSUED:
    case IssuanceStatus_State.ROTATE:
      return certificate.certificate;
    case IssuanceStatus_State.FAILED:
      throw new SwarmError(Code.FAILED_PRECONDITION, `the CA refused to issue a certificate: ${status.err}`, {
        details: REFUSED,
      });
    default:
      return undefined;
  }
}

/** A connection to a manager, and another one where it fails. */
class Reconnecting {
  readonly #connector: CaConnector;
  readonly #credentials: RpcCredentials;
  #connection: CaConnection;
  #ok = true;

  constructor(connector: CaConnector, credentials: RpcCredentials, remoteOnly: boolean) {
    this.#connector = connector;
    this.#credentials = credentials;
    this.#connection = connector.connect(credentials, remoteOnly);
  }

  get channel(): RpcChannel {
    return this.#connection.channel;
  }

  /** A manager that answers, even with a refusal, is a good one. */
  failed(error: unknown): void {
    this.#ok = isSwarmError(error) && error.code !== Code.UNAVAILABLE && error.code !== Code.ABORTED;
  }

  /** The manager in this process may just have been demoted: the next one is a remote one. */
  reconnect(error: unknown): void {
    const next = this.#connector.connect(this.#credentials, true);
    this.failed(error);
    this.close();
    this.#connection = next;
    this.#ok = true;
  }

  close(): void {
    this.#connection.close(this.#ok);
  }
}

/** Marks errors for which asking again cannot help. */
const REFUSED = { refused: true };

function isRefusal(error: unknown): boolean {
  return isSwarmError(error) && (error.code === Code.INVALID_ARGUMENT || error.details['refused'] === true);
}
