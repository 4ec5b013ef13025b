export * from './http/index.js';
export * from './cluster/index.js';
