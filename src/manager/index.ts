export * from './manager.js';
export type { Aead } from './raft-node/index.js';
