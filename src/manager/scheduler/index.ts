export { Scheduler, type NodeRefusal, type SchedulerDeps, type SchedulerOptions } from './scheduler.js';
