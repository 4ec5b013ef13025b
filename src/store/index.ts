export * from './by.js';
export * from './proposer.js';
export * from './store.js';
export * from './tables.js';
