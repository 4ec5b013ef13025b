export * from './agent-database.js';
export * from './cipher.js';
export * from './clock.js';
export * from './disk.js';
export * from './logger.js';
export * from './random.js';
