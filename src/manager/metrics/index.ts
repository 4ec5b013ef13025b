export * from './collector.js';
export * from './reading.js';
