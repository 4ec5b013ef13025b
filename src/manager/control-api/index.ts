export { controlService } from './control-service.js';
export type { ClusterSecurity, ControlDeps, ControlOptions, RaftMember, RaftMembershipView } from './deps.js';
