export * from './clock.js';
export * from './disk.js';
export * from './executor.js';
export * from './network.js';
export * from './random.js';
