export type { HostInterface } from './addresses.js';
export * from './local-node.js';
export type { InitRequest, JoinRequest } from './start-request.js';
export type { LocalNodeState } from './node-runner.js';
export { TEXTS } from './texts.js';
