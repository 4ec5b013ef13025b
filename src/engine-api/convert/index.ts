export { networkResourceToJson } from './network.js';
export * from './node.js';
export * from './secret.js';
export { serviceSpecFromJson, serviceToJson, updateStateWord } from './service.js';
export * from './swarm.js';
export { taskToJson } from './task.js';
