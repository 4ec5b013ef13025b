export * from './container.js';
export * from './controller.js';
export * from './executor.js';
export * from './health.js';
export * from './log-selection.js';
export * from './log-throttle.js';
