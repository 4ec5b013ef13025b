export * from './by.js';
export { encodableService, encodableSnapshot, encodableTask } from './encode.js';
export { deepFreeze, sameMessage } from './freeze.js';
export * from './memory-store.js';
export * from './proposer.js';
export { SNAPSHOT_LISTS } from './replay.js';
export type { StoreErrorReason } from './store-error.js';
export * from './store.js';
export * from './tables.js';
