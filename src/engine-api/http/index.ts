export * from './api-error.js';
export * from './json.js';
export { checkJsonSyntax } from './json-syntax.js';
export * from './message.js';
export * from './query.js';
export * from './router.js';
