export { DEFAULT_PORT, joinHostPort, splitHostPort, type HostInterface } from './addresses.js';
export * from './local-node.js';
export { NODE_ERROR_KINDS, type LocalNodeState } from './node-runner.js';
