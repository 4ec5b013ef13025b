/** Messages of the protocol, and what rests on them alone. */
export * from './authorization.js';
export * from './constraint.js';
export * from './defaults.js';
export * from './forwarding.js';
export * from './generic-resources.js';
export * from './host-port.js';
export * from './image-reference.js';
export * from './ip.js';
export * from './local-channel.js';
export * from './messages.js';
export * from './network.js';
export * from './rpc.js';
export * from './service-table.js';
export * from './task-dirty.js';
export * from './task.js';
export * from './time.js';
