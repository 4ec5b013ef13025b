export * from './cipher.js';
export * from './options.js';
export * from './raft-node.js';
