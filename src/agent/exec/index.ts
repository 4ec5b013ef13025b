export * from './controller.js';
export * from './executor.js';
