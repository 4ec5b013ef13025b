export * from './agent.js';
export { MemoryAgentDatabase, storedForm } from './database.js';
export type { AgentDatabase, DatabaseWrite, StoredTask } from './database.js';
export * from './remotes.js';
export type { ManagerConnection } from './session.js';
export * from './task-state-machine.js';
export * from './exec/index.js';
export * from './template/index.js';
