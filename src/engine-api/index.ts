export * from './http/index.js';
export * from './cluster/index.js';
export * from './routes/index.js';
