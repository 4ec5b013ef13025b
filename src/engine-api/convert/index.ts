export { networkResourceToJson } from './network.js';
export * from './node.js';
export * from './secret.js';
export { serviceSpecFromJson, serviceToJson } from './service.js';
export { updateStateWord } from './update-status.js';
export * from './swarm.js';
export { taskToJson } from './task.js';
