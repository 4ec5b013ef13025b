export * from './options.js';
export * from './swarm-node.js';
export * from './node.js';
