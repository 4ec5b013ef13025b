import { msFromDuration, type Cluster, type PeerIdentity, type RootCA } from '../api/index.js';
import { Code, SwarmError, type Random } from '../base/index.js';
import { isMadeFor, parseCertificates, sameBytes, type Certificate } from './certificate.js';
import { checkTime, issuerOf, verifyChain, type Issuer } from './chain.js';
import { sha256Hex, x509, type WebCrypto } from './crypto.js';
import { parseCsr } from './csr.js';
import { generateKey, keyPem, parsePrivateKey, signingAlgorithm, type PrivateKey } from './keys.js';
import { CA_ROLE, MANAGER_ROLE } from './roles.js';

/** What making and checking certificates needs. */
export interface CertificateDeps {
  readonly crypto: WebCrypto;
  readonly random: Random;
}

/** Signs certificates of nodes: a local key, and later an external CA. */
export interface CertificateSigner {
  /**
   * A certificate for the key of the request, with the intermediates that lead to the trusted root, in PEM.
   * InvalidArgument when the request is bad; everything else may succeed another time.
   */
  sign(request: SigningRequest): Promise<string>;
}

/** What a certificate shall say. */
export interface SigningRequest {
  /** In PEM. Only its key counts. */
  readonly csr: Uint8Array;
  readonly subject: PeerIdentity;
  readonly validityMs: number;
  readonly nowMs: number;
}

/** The PEM parts of a {@link RootCa}. */
export interface RootMaterial {
  /** The bundle of trusted roots, exact to the byte: its digest is in the join tokens. */
  readonly bundle: Uint8Array;
  readonly signing?: { readonly certificate: Uint8Array; readonly key: Uint8Array };
  /** Follow every issued leaf; the first has subject and key of the signing certificate. Used by a root rotation. */
  readonly intermediates?: Uint8Array;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** 20 years of 365 days. Source: SwarmKit. */
const ROOT_VALIDITY_MS = 630_720_000_000;

/** One intermediate: the cross-signed root of a rotation. */
const ROOT_PATH_LENGTH = 1;

/** Validity of node certificates where the cluster says nothing. Source: SwarmKit. */
export const NODE_VALIDITY_DEFAULT_MS = 2160 * HOUR_MS;

/** Shortest validity that a cluster may set. Source: SwarmKit. */
const NODE_VALIDITY_MIN_MS = HOUR_MS;

/** Certificates begin this much earlier, for clocks that are late. Source: SwarmKit. */
const BACKDATE_MS = HOUR_MS;

/** The longest serial number that RFC 5280 allows, in bytes. */
const SERIAL_BYTES = 20;

/** How long new certificates of a cluster's nodes are valid; values below the minimum count as unset. */
export function nodeValidityMs(cluster: Cluster): number {
  const set = msFromDuration(cluster.spec?.caConfig?.nodeCertExpiry);
  return set === undefined || set < NODE_VALIDITY_MIN_MS ? NODE_VALIDITY_DEFAULT_MS : set;
}

/** Subject and key of the first root in a bundle, by which clients see how far a rotation has come. */
export function rootIssuer(bundle: Uint8Array): Issuer {
  return issuerOf(parseCertificates(bundle, 'the root CA bundle')[0]);
}

/** The cluster's root of trust, with the key that signs where this process has it. */
export class RootCa implements CertificateSigner {
  readonly bundle: Uint8Array;
  readonly bundlePem: string;
  /** Hex SHA-256 of the bundle. */
  readonly digest: string;
  readonly #deps: CertificateDeps;
  readonly #roots: readonly Certificate[];
  readonly #signer: { readonly certificate: Certificate; readonly key: PrivateKey } | undefined;
  readonly #intermediatesPem: string;

  private constructor(
    deps: CertificateDeps,
    bundle: Uint8Array,
    parts: {
      readonly digest: string;
      readonly roots: readonly Certificate[];
      readonly signer: { readonly certificate: Certificate; readonly key: PrivateKey } | undefined;
      readonly intermediates: readonly Certificate[];
    },
  ) {
    this.#deps = deps;
    this.bundle = bundle;
    this.bundlePem = new TextDecoder().decode(bundle);
    this.digest = parts.digest;
    this.#roots = parts.roots;
    this.#signer = parts.signer;
    this.#intermediatesPem = parts.intermediates.map(({ pem }) => pem).join('');
  }

  /** Checks everything and loads it. InvalidArgument for what cannot work, problem 'expired' for a root past its end. */
  static async load(deps: CertificateDeps, material: RootMaterial, nowMs: number): Promise<RootCa> {
    const { crypto } = deps;
    const roots = parseCertificates(material.bundle, 'the root CA bundle');
    for (const root of roots) await checkRoot(crypto, root, nowMs);
    const time = { nowMs, allowExpired: false };
    const intermediates =
      material.intermediates === undefined ? [] : parseCertificates(material.intermediates, 'the intermediate chain');
    if (intermediates[0] !== undefined)
      await verifyChain(crypto, roots, [intermediates[0], ...intermediates.slice(1)], time);
    const signer = material.signing === undefined ? undefined : await loadSigner(crypto, material.signing);
    if (signer !== undefined) {
      await verifyChain(crypto, roots, [signer.certificate], time);
      checkFirstIntermediate(signer.certificate, intermediates[0]);
    }
    return new RootCa(deps, material.bundle, {
      digest: await sha256Hex(crypto, material.bundle),
      roots,
      signer,
      intermediates,
    });
  }

  /** Loads what a cluster object holds: during a root rotation the new key signs, through its cross-signed certificate. */
  static async fromApi(deps: CertificateDeps, message: RootCA, nowMs: number): Promise<RootCa> {
    const rotation = message.rootRotation;
    const certificate = rotation === undefined ? message.caCert : rotation.crossSignedCaCert;
    const key = rotation === undefined ? message.caKey : rotation.caKey;
    const material: RootMaterial = {
      bundle: message.caCert,
      ...(key.length > 0 ? { signing: { certificate, key } } : {}),
      ...(rotation === undefined ? {} : { intermediates: rotation.crossSignedCaCert }),
    };
    return RootCa.load(deps, material, nowMs);
  }

  /** A new root with a new key. */
  static async create(
    deps: CertificateDeps,
    nowMs: number,
  ): Promise<{ readonly root: RootCa; readonly keyPem: string }> {
    const key = await generateKey(deps.crypto);
    const notBeforeMs = toMinute(nowMs) - BACKDATE_MS;
    const certificate = await x509.X509CertificateGenerator.create(
      {
        serialNumber: serialNumber(deps.random),
        subject: nameOf([['CN', CA_ROLE]]),
        issuer: nameOf([['CN', CA_ROLE]]),
        notBefore: new Date(notBeforeMs),
        notAfter: new Date(notBeforeMs + ROOT_VALIDITY_MS),
        publicKey: key.publicKey,
        signingKey: key.signingKey,
        signingAlgorithm: signingAlgorithm(key.kind),
        extensions: [
          new x509.BasicConstraintsExtension(true, ROOT_PATH_LENGTH, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
          await x509.SubjectKeyIdentifierExtension.create(key.publicKey, false, deps.crypto),
        ],
      },
      deps.crypto,
    );
    const bundle = new TextEncoder().encode(`${certificate.toString('pem').trimEnd()}\n`);
    const privateKeyPem = keyPem(key);
    const signing = { certificate: bundle, key: new TextEncoder().encode(privateKeyPem) };
    return { root: await RootCa.load(deps, { bundle, signing }, nowMs), keyPem: privateKeyPem };
  }

  /** Whether the key is here. */
  get canSign(): boolean {
    return this.#signer !== undefined;
  }

  /** Verifies a node certificate in PEM with what follows it, and says who signed it; see {@link verifyChain}. */
  verify(certificatePem: string | Uint8Array, nowMs: number, options = { allowExpired: false }): Promise<Issuer> {
    const chain = parseCertificates(certificatePem, 'the node certificate');
    return verifyChain(this.#deps.crypto, this.#roots, chain, { nowMs, ...options });
  }

  /** Who signs here; undefined without the key. */
  get issuer(): Issuer | undefined {
    return this.#signer === undefined ? undefined : issuerOf(this.#signer.certificate);
  }

  async sign({ csr, subject, validityMs, nowMs }: SigningRequest): Promise<string> {
    const signer = this.#signer;
    if (signer === undefined) throw new SwarmError(Code.FAILED_PRECONDITION, 'no valid signer found');
    const { spki } = await parseCsr(this.#deps.crypto, csr);
    const notBeforeMs = toMinute(nowMs) - BACKDATE_MS;
    const leaf = await x509.X509CertificateGenerator.create(
      {
        serialNumber: serialNumber(this.#deps.random),
        subject: nameOf([
          ['O', subject.clusterId],
          ['OU', subject.role],
          ['CN', subject.nodeId],
        ]),
        issuer: new x509.Name(Uint8Array.from(signer.certificate.subject)),
        notBefore: new Date(notBeforeMs),
        notAfter: new Date(notBeforeMs + validityMs + BACKDATE_MS),
        publicKey: new x509.PublicKey(Uint8Array.from(spki)),
        signingKey: signer.key.signingKey,
        signingAlgorithm: signingAlgorithm(signer.key.kind),
        extensions: await leafExtensions(this.#deps.crypto, spki, subject, signer.certificate),
      },
      this.#deps.crypto,
    );
    return `${leaf.toString('pem').trimEnd()}\n${this.#intermediatesPem}`;
  }
}

async function checkRoot(crypto: WebCrypto, root: Certificate, nowMs: number): Promise<void> {
  const name = JSON.stringify(root.commonName);
  checkTime(root, 1, { nowMs, allowExpired: false });
  if (!root.isCa) throw invalid(`the root CA bundle: ${name} is not a CA`);
  const selfSigned =
    sameBytes(root.issuer, root.subject) && (await root.parsed.verify({ signatureOnly: true }, crypto));
  if (!selfSigned) throw invalid(`the root CA bundle: ${name} is not signed by itself`);
}

async function loadSigner(
  crypto: WebCrypto,
  { certificate, key }: { readonly certificate: Uint8Array; readonly key: Uint8Array },
): Promise<{ readonly certificate: Certificate; readonly key: PrivateKey }> {
  const [first] = parseCertificates(certificate, 'the signing CA certificate');
  const parsedKey = await parsePrivateKey(crypto, key, 'the signing CA key');
  if (!isMadeFor(first, parsedKey))
    throw invalid('certificate key mismatch: the CA key does not belong to its certificate');
  return { certificate: first, key: parsedKey };
}

function checkFirstIntermediate(signing: Certificate, first: Certificate | undefined): void {
  if (first === undefined) return;
  if (!sameBytes(first.subject, signing.subject) || !sameBytes(first.spki, signing.spki)) {
    throw invalid(
      'invalid intermediate chain - the first intermediate must have the same subject and public key as the signing cert',
    );
  }
}

async function leafExtensions(
  crypto: WebCrypto,
  spki: Uint8Array,
  subject: PeerIdentity,
  issuer: Certificate,
): Promise<x509.Extension[]> {
  const names = [subject.role, subject.nodeId, ...(subject.role === MANAGER_ROLE ? [CA_ROLE] : [])];
  const identifier = issuer.parsed.getExtension(x509.SubjectKeyIdentifierExtension);
  return [
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth], false),
    new x509.BasicConstraintsExtension(false, undefined, true),
    await x509.SubjectKeyIdentifierExtension.create(new x509.PublicKey(Uint8Array.from(spki)), false, crypto),
    // Both roots of a rotation have the same name: only key identifiers tell them apart.
    identifier === null
      ? await x509.AuthorityKeyIdentifierExtension.create(issuer.parsed.publicKey, false, crypto)
      : new x509.AuthorityKeyIdentifierExtension(identifier.keyId, false),
    new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value }))),
  ];
}

function nameOf(fields: readonly (readonly [type: string, value: string])[]): x509.Name {
  return new x509.Name(
    fields.map(([type, value]) => ({
      [type]: [x509.Name.isPrintableString(value) ? { printableString: value } : { utf8String: value }],
    })),
  );
}

/** 159 random bits, of which the first is set so that the width never varies. */
function serialNumber(random: Random): string {
  const bytes = random.bytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

function toMinute(ms: number): number {
  return Math.round(ms / MINUTE_MS) * MINUTE_MS;
}

function invalid(message: string): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, message);
}
