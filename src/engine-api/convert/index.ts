export { encodeBase64, timeText } from './codec.js';
export { networkResourceToJson } from './network.js';
export * from './node.js';
export * from './secret.js';
export { serviceSpecFromJson, serviceSpecToJson, serviceToJson, updateStateWord } from './service.js';
export * from './swarm.js';
export { stateWord, taskToJson } from './task.js';
