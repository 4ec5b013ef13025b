export { LogBroker, type LogBrokerDependencies } from './log-broker.js';
export type { LogBrokerOptions } from './options.js';
