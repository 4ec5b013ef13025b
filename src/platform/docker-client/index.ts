export * from './client.js';
export * from './json-stream.js';
export * from './log-frames.js';
export * from './types.js';
