import { Code, isSwarmError, makeDurableDirectory, type Disk, type Random } from '../base/index.js';
import { isMadeFor, parseCertificates, type Certificate } from './certificate.js';
import type { WebCrypto } from './crypto.js';
import { decryptKey, encryptKey, invalidUnlockKey } from './encrypted-key.js';
import { keyPem, parsePrivateKey, type PrivateKey } from './keys.js';
import { encodePem, parseOnePem, type PemBlock } from './pem.js';
import { tlsProblem, tlsProblemOf } from './tls-problem.js';

/** The key-encrypting key of a manager: absent while the cluster is not locked. */
export interface Kek {
  readonly key: Uint8Array | undefined;
  /** Version of the cluster object that set it: only a newer one may replace it. */
  readonly version: bigint;
}

/** Facts that live in the headers of the key file, such as the keys of the raft log. */
export type KeyHeaders = ReadonlyMap<string, string>;

/** Re-encrypts headers for a new key-encrypting key. The owner of the headers provides it. */
export type RewrapHeaders = (headers: KeyHeaders, from: Kek, to: Kek) => KeyHeaders;

/** What the files hold, checked against each other. */
export interface KeyPair {
  /** Leaf first, then intermediates. */
  readonly certificatePem: string;
  readonly chain: readonly [Certificate, ...Certificate[]];
  readonly key: PrivateKey;
}

const ROOT_CERTIFICATE = 'swarm-root-ca.crt';
const NODE_CERTIFICATE = 'swarm-node.crt';
const NODE_KEY = 'swarm-node.key';

/** Written before the key and renamed after it, so that a pair that fits is on disk at every moment. */
const NEXT_CERTIFICATE = '.swarm-node.crt';

const DIRECTORY_MODE = 0o700;
const CERTIFICATE_MODE = 0o644;
const KEY_MODE = 0o600;

const KEK_VERSION = 'kek-version';

/** Of the old PEM encryption, which stock wrote before PKCS#8: never facts of ours. */
const ENCRYPTION_HEADERS: ReadonlySet<string> = new Set(['proc-type', 'dek-info']);

/**
 * The `certificates` directory of a node; nobody else may write there. Writes come one after the other,
 * and none can leave a key without its certificate, an old key-encrypting key or lost headers.
 */
export class KeyFiles {
  readonly #directory: string;
  readonly #deps: { readonly disk: Disk; readonly crypto: WebCrypto; readonly random: Random };
  #kek: Kek;
  #rewrap: RewrapHeaders = (headers) => headers;
  #last: Promise<unknown> = Promise.resolve();

  /** @param options.unlockKey what the user gave to read an encrypted key. */
  constructor(
    options: { readonly directory: string; readonly unlockKey?: Uint8Array },
    deps: { readonly disk: Disk; readonly crypto: WebCrypto; readonly random: Random },
  ) {
    this.#directory = options.directory;
    this.#deps = deps;
    this.#kek = { key: options.unlockKey, version: 0n };
  }

  /** The key-encrypting key in use. */
  get kek(): Kek {
    return this.#kek;
  }

  /** Where the certificate is, for messages. */
  get target(): string {
    return this.#path(NODE_CERTIFICATE);
  }

  /** Who re-encrypts the headers whenever the key-encrypting key changes. */
  setRewrap(rewrap: RewrapHeaders): void {
    this.#rewrap = rewrap;
  }

  /** The trusted root bundle, exact to the byte; undefined when there is none. */
  readRoot(): Promise<Uint8Array | undefined> {
    return this.#readOptional(ROOT_CERTIFICATE);
  }

  /** Replaces the trusted root bundle. */
  writeRoot(bundle: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      await this.#makeDirectory();
      await this.#deps.disk.writeFileAtomic(this.#path(ROOT_CERTIFICATE), bundle, CERTIFICATE_MODE);
    });
  }

  /** Key and certificate. Problems 'missing', 'locked', 'damaged' and 'mismatch'; time and root are not judged here. */
  read(): Promise<KeyPair> {
    return this.#inTurn(async () => {
      const block = await this.#readKeyBlock();
      const version = block.headers.get(KEK_VERSION);
      if (version !== undefined && /^\d{1,20}$/.test(version)) this.#kek = { ...this.#kek, version: BigInt(version) };
      const plain = await this.#decrypt(block);
      const key = await this.#asDamage(NODE_KEY, () =>
        parsePrivateKey(this.#deps.crypto, encodePem(plain), 'the node key'),
      );
      return this.#matchingCertificate(key);
    });
  }

  /** Replaces key and certificate together. @param kek also replaces the key-encrypting key; undefined keeps it. */
  write(certificatePem: string, key: PrivateKey, kek?: Kek): Promise<void> {
    return this.#inTurn(async () => {
      const { disk } = this.#deps;
      const next = kek ?? this.#kek;
      const headers = await this.#headersFor(next);
      await this.#makeDirectory();
      const certificate = new TextEncoder().encode(certificatePem);
      await disk.writeFileAtomic(this.#path(NEXT_CERTIFICATE), certificate, CERTIFICATE_MODE);
      await this.#writeKey(key.pkcs8, next, headers);
      await this.#adoptNextCertificate();
    });
  }

  /** The headers of the key file, without those that this class keeps itself. */
  headers(): Promise<KeyHeaders> {
    return this.#inTurn(async () => ownHeaders(await this.#readKeyBlock()));
  }

  /** Replaces the headers with what `change` makes of them; the key stays as it is, encrypted or not. */
  updateHeaders(change: (headers: KeyHeaders) => KeyHeaders): Promise<void> {
    return this.#inTurn(async () => {
      const block = await this.#readKeyBlock();
      const kept = [...block.headers].filter(([name]) => !isFact(name));
      const facts = [...change(ownHeaders(block))].filter(([name]) => isFact(name));
      await this.#writeBlock({ ...block, headers: new Map([...facts, ...kept]) });
    });
  }

  /**
   * Encrypts key and headers anew. Does nothing and returns false unless `next` is newer and differs.
   * FailedPrecondition when it has the present version but another key.
   */
  rotateKek(next: Kek): Promise<boolean> {
    return this.#inTurn(async () => {
      if (!replaces(this.#kek, next)) return false;
      const block = await this.#readKeyBlock();
      const plain = await this.#decrypt(block);
      await this.#writeKey(plain.der, next, this.#rewrap(ownHeaders(block), this.#kek, next), plain.type);
      return true;
    });
  }

  /** Removes key and certificate, as on leaving a cluster or before joining anew; the root too. */
  clear(): Promise<void> {
    return this.#inTurn(async () => {
      for (const name of [NODE_KEY, NODE_CERTIFICATE, NEXT_CERTIFICATE, ROOT_CERTIFICATE]) {
        await this.#deps.disk.remove(this.#path(name));
      }
      this.#kek = { key: undefined, version: 0n };
    });
  }

  async #matchingCertificate(key: PrivateKey): Promise<KeyPair> {
    const present = await this.#readOptional(NODE_CERTIFICATE);
    const pair = present === undefined ? undefined : await this.#pairOf(present, key, NODE_CERTIFICATE);
    if (pair !== undefined && isMadeFor(pair.chain[0], key)) return pair;
    // A crash between writing the key and renaming its certificate leaves the latter under the other name.
    const next = await this.#readOptional(NEXT_CERTIFICATE);
    const nextPair = next === undefined ? undefined : await this.#pairOf(next, key, NEXT_CERTIFICATE);
    if (nextPair !== undefined && isMadeFor(nextPair.chain[0], key)) {
      await this.#adoptNextCertificate();
      return nextPair;
    }
    if (present === undefined) throw tlsProblem('missing', `there is no node certificate in ${this.target}`);
    throw tlsProblem(
      'mismatch',
      `${this.target} and ${NODE_KEY} do not belong together: restore both from the same moment, or leave the cluster and join again`,
    );
  }

  async #pairOf(bytes: Uint8Array, key: PrivateKey, name: string): Promise<KeyPair> {
    const chain = await this.#asDamage(name, () => Promise.resolve(parseCertificates(bytes, 'the node certificate')));
    return { certificatePem: new TextDecoder().decode(bytes), chain, key };
  }

  async #readKeyBlock(): Promise<PemBlock> {
    const bytes = await this.#readOptional(NODE_KEY);
    if (bytes === undefined) throw tlsProblem('missing', `there is no node key in ${this.#path(NODE_KEY)}`);
    return this.#asDamage(NODE_KEY, () => Promise.resolve(parseOnePem(bytes, 'the node key')));
  }

  async #decrypt(block: PemBlock): Promise<PemBlock> {
    if (block.headers.has('DEK-Info')) {
      throw tlsProblem('damaged', `${this.#path(NODE_KEY)} is encrypted in the old PEM form, which is not supported`);
    }
    if (block.type !== 'ENCRYPTED PRIVATE KEY') return block;
    if (this.#kek.key === undefined) throw invalidUnlockKey();
    return { ...block, type: 'PRIVATE KEY', der: await decryptKey(this.#deps.crypto, block.der, this.#kek.key) };
  }

  /** The headers of the present file, if there is one, for the next key-encrypting key. */
  async #headersFor(next: Kek): Promise<KeyHeaders> {
    try {
      const headers = ownHeaders(await this.#readKeyBlock());
      return sameKey(this.#kek.key, next.key) ? headers : this.#rewrap(headers, this.#kek, next);
    } catch (error) {
      if (tlsProblemOf(error) === 'missing') return new Map();
      throw error;
    }
  }

  async #writeKey(der: Uint8Array, kek: Kek, headers: KeyHeaders, type = 'PRIVATE KEY'): Promise<void> {
    const all = new Map([...headers, [KEK_VERSION, String(kek.version)] as const]);
    const block: PemBlock =
      kek.key === undefined
        ? { type, der, headers: all }
        : { type: 'ENCRYPTED PRIVATE KEY', der: await this.#encrypt(der, kek.key, type), headers: all };
    await this.#writeBlock(block);
    this.#kek = kek;
  }

  async #encrypt(der: Uint8Array, kek: Uint8Array, type: string): Promise<Uint8Array> {
    if (type === 'PRIVATE KEY') return encryptKey(this.#deps, der, kek);
    const key = await parsePrivateKey(this.#deps.crypto, encodePem({ type, der, headers: new Map() }), 'the node key');
    return encryptKey(this.#deps, parseOnePem(keyPem(key), 'the node key').der, kek);
  }

  #writeBlock(block: PemBlock): Promise<void> {
    return this.#deps.disk.writeFileAtomic(this.#path(NODE_KEY), new TextEncoder().encode(encodePem(block)), KEY_MODE);
  }

  async #adoptNextCertificate(): Promise<void> {
    await this.#deps.disk.rename(this.#path(NEXT_CERTIFICATE), this.#path(NODE_CERTIFICATE));
    await this.#deps.disk.syncDirectory(this.#directory);
  }

  async #readOptional(name: string): Promise<Uint8Array | undefined> {
    try {
      return await this.#deps.disk.readFile(this.#path(name));
    } catch (error) {
      if (isSwarmError(error, Code.NOT_FOUND)) return undefined;
      throw error;
    }
  }

  async #asDamage<T>(name: string, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (!isSwarmError(error, Code.INVALID_ARGUMENT)) throw error;
      throw tlsProblem(
        'damaged',
        `${this.#path(name)} is damaged (${error.message}): restore it from a backup, or leave the cluster and join again`,
        error,
      );
    }
  }

  #makeDirectory(): Promise<void> {
    return makeDurableDirectory(this.#deps.disk, this.#directory, DIRECTORY_MODE);
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

function ownHeaders(block: PemBlock): KeyHeaders {
  return new Map([...block.headers].filter(([name]) => isFact(name)));
}

function isFact(name: string): boolean {
  return name !== KEK_VERSION && !ENCRYPTION_HEADERS.has(name.toLowerCase());
}

/** Whether `next` is to replace `present`; throws where two keys claim one version. */
function replaces(present: Kek, next: Kek): boolean {
  const same = sameKey(present.key, next.key);
  if (present.version === next.version && !same) {
    throw tlsProblem('locked', 'candidate KEK has the same version as the current KEK, but a different KEK value');
  }
  return !same && next.version > present.version;
}

function sameKey(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}
