import { create } from '@bufbuild/protobuf';

import {
  CertificateSchema,
  ClusterSchema,
  durationFromMs,
  EncryptionKeySchema,
  IssuanceStatus_State,
  ManagerStatusSchema,
  NodeRole,
  NodeSchema,
  type NodeSpec_Availability,
  NodeSpec_Membership,
  RaftMemberStatus_Reachability,
  type Cluster,
  type ManagerStatus,
  type Node,
  type RootCA,
} from '../api/index.js';
import type { WriteTransaction } from '../store/index.js';

/** Settings of a new cluster. Source: SwarmKit's manager and Appendix A of its constants. */
const DEFAULTS = {
  taskHistoryRetentionLimit: 5n,
  snapshotInterval: 10_000n,
  keepOldSnapshots: 0n,
  logEntriesForSlowFollowers: 500n,
  heartbeatTick: 1,
  electionTick: 10,
  heartbeatPeriodMs: 5_000,
  nodeCertExpiryMs: 2160 * 3_600_000,
} as const;

/** Name of the only cluster object. */
export const CLUSTER_NAME = 'default';

/** Subsystem of the key that unlocks managers. */
export const MANAGER_SUBSYSTEM = 'swarm-manager';

/** What only the first manager of a new cluster knows. */
export interface NewClusterFacts {
  readonly clusterId: string;
  readonly rootCa: RootCA;
  readonly defaultAddressPool: readonly string[];
  readonly subnetSize: number;
  readonly dataPathPort: number;
  /** Locks the managers at rest with this key. */
  readonly unlockKey: Uint8Array | undefined;
}

/** The cluster object of a new cluster. */
export function newCluster(facts: NewClusterFacts): Cluster {
  return create(ClusterSchema, {
    id: facts.clusterId,
    rootCa: facts.rootCa,
    defaultAddressPool: [...facts.defaultAddressPool],
    subnetSize: facts.subnetSize,
    VXLANUDPPort: facts.dataPathPort,
    unlockKeys:
      facts.unlockKey === undefined
        ? []
        : [create(EncryptionKeySchema, { subsystem: MANAGER_SUBSYSTEM, key: facts.unlockKey })],
    spec: {
      annotations: { name: CLUSTER_NAME },
      orchestration: { taskHistoryRetentionLimit: DEFAULTS.taskHistoryRetentionLimit },
      raft: {
        snapshotInterval: DEFAULTS.snapshotInterval,
        keepOldSnapshots: DEFAULTS.keepOldSnapshots,
        logEntriesForSlowFollowers: DEFAULTS.logEntriesForSlowFollowers,
        heartbeatTick: DEFAULTS.heartbeatTick,
        electionTick: DEFAULTS.electionTick,
      },
      dispatcher: { heartbeatPeriod: durationFromMs(DEFAULTS.heartbeatPeriodMs) },
      caConfig: { nodeCertExpiry: durationFromMs(DEFAULTS.nodeCertExpiryMs) },
      encryptionConfig: { autoLockManagers: facts.unlockKey !== undefined },
    },
  });
}

/** What a manager knows of its own node. */
export interface OwnNodeFacts {
  readonly nodeId: string;
  readonly certificatePem: string;
  readonly availability: NodeSpec_Availability;
  readonly raftId: bigint;
  readonly addr: string;
}

/** Writes this manager's own node: creates it in a new cluster, and brings its manager status up to date. */
export function ensureOwnNode(tx: WriteTransaction, facts: OwnNodeFacts): void {
  const managerStatus = create(ManagerStatusSchema, {
    raftId: facts.raftId,
    addr: facts.addr,
    leader: true,
    reachability: RaftMemberStatus_Reachability.REACHABLE,
  });
  const known = tx.get('node', facts.nodeId);
  if (known === undefined) tx.create('node', newManagerNode(facts, managerStatus));
  else if (!sameStatus(known.managerStatus, managerStatus)) tx.update('node', { ...known, managerStatus });
}

function newManagerNode(facts: OwnNodeFacts, managerStatus: ManagerStatus): Node {
  return create(NodeSchema, {
    id: facts.nodeId,
    role: NodeRole.MANAGER,
    spec: {
      desiredRole: NodeRole.MANAGER,
      membership: NodeSpec_Membership.ACCEPTED,
      availability: facts.availability,
    },
    certificate: create(CertificateSchema, {
      cn: facts.nodeId,
      role: NodeRole.MANAGER,
      certificate: new TextEncoder().encode(facts.certificatePem),
      status: { state: IssuanceStatus_State.ISSUED },
    }),
    managerStatus,
  });
}

function sameStatus(a: ManagerStatus | undefined, b: ManagerStatus): boolean {
  return a?.raftId === b.raftId && a.addr === b.addr && a.leader === b.leader && a.reachability === b.reachability;
}
