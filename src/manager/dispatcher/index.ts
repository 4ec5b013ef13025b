export { Dispatcher, type DispatcherDependencies } from './dispatcher.js';
export type { DispatcherOptions } from './options.js';
export type { ManagersSource } from './session-facts.js';
