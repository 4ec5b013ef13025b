import type { Component } from '../../base/index.js';
import { ConstraintEnforcer } from './constraint-enforcer.js';
import type { OrchestratorDeps } from './deps.js';
import { GlobalOrchestrator } from './global-orchestrator.js';
import { ReplicatedOrchestrator } from './replicated-orchestrator.js';
import { TaskReaper } from './task-reaper.js';
import { VolumeEnforcer } from './volume-enforcer.js';

export { ConstraintEnforcer, GlobalOrchestrator, ReplicatedOrchestrator, TaskReaper, VolumeEnforcer };
export type { OrchestratorDeps };

/** Everything that turns services into tasks, for the leader to run. Each part runs on its own. */
export function createOrchestrators(deps: OrchestratorDeps): readonly Component[] {
  return [
    new ReplicatedOrchestrator(deps),
    new GlobalOrchestrator(deps),
    new TaskReaper(deps),
    new ConstraintEnforcer(deps),
    new VolumeEnforcer(deps),
  ];
}
