export * from './backoff.js';
export * from './ca-connector.js';
export * from './ca-server.js';
export {
  isMadeFor,
  parseCertificate,
  parseCertificates,
  peerIdentityOf,
  type Certificate as ParsedCertificate,
} from './certificate.js';
export * from './certificate-client.js';
export type { Issuer } from './chain.js';
export * from './cluster-root.js';
export * from './crypto.js';
export * from './csr.js';
export * from './join-token.js';
export * from './key-files.js';
export * from './keys.js';
export * from './revocation.js';
export * from './roles.js';
export * from './root-ca.js';
export * from './security-config.js';
export * from './signing-queue.js';
export * from './tls-problem.js';
export * from './tls-renewer.js';
export * from './unlock-key.js';
