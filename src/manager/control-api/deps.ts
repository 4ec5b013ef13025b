import type {
  CallContext,
  Cluster,
  Control,
  Driver,
  RaftMemberStatus_Reachability,
  ServiceHandlers,
  TaskSpec,
} from '../../api/index.js';
import { Code, SwarmError, orAborted, type Clock, type Logger, type Random } from '../../base/index.js';
import type { Objects, ReadTransaction, Store, TableName, WriteTransaction } from '../../store/index.js';

/** What a user may set of the Control service. */
export interface ControlOptions {
  /** Time that a long list may hold the event loop at a stretch, in milliseconds; default 5, 0 = as short as can be. */
  readonly sliceMs?: number;
}

/** Key material, made by the CA. */
export interface ClusterSecurity {
  /** A fresh join token for the cluster's present root. */
  newJoinToken(cluster: Cluster): string;
  /** A fresh key that unlocks managers, raw. */
  newUnlockKey(): Uint8Array;
}

/** A member of the raft group. */
export interface RaftMember {
  readonly nodeId: string;
  readonly raftId: bigint;
  readonly addr: string;
  readonly leader: boolean;
  readonly reachability: RaftMemberStatus_Reachability;
}

/** What the raft group looks like from here. */
export interface RaftMembershipView {
  members(): readonly RaftMember[];
  /** Whether a quorum of reachable members remains without this one. */
  canRemoveMember(raftId: bigint): boolean;
  /** Whether nodes may become managers. Default true; false while there can be only one manager. */
  readonly admitsMembers?: boolean;
}

/** What the Control service works with. */
export interface ControlDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly security: ClusterSecurity;
  /** Absent where there is no raft group to ask; managers can then be neither demoted nor removed. */
  readonly raft?: RaftMembershipView;
  /** What is wrong with the templates of a container spec, or undefined. Absent: templates are not checked. */
  readonly checkTemplate?: (spec: TaskSpec) => string | undefined;
  /** Whether a secret driver can be reached. Absent: none can. */
  readonly secretDriverExists?: (driver: Driver) => boolean;
}

/** The dependencies together with the options in effect. */
export interface ControlContext extends ControlDeps {
  readonly sliceMs: number;
}

/** The handlers of some of Control's methods. */
export type Handlers<K extends keyof ServiceHandlers<typeof Control>> = Required<
  Pick<ServiceHandlers<typeof Control>, K>
>;

/** Runs a transaction; gives up waiting for its commit when the caller goes away. */
export function commit<T>(control: ControlContext, call: CallContext, change: (tx: WriteTransaction) => T): Promise<T> {
  return orAborted(control.store.update(change), call.signal);
}

/** An object that this transaction has just written, as the store keeps it. */
export function written<T extends TableName>(tx: ReadTransaction, table: T, id: string): Objects[T] {
  const object = tx.get(table, id);
  if (object === undefined) throw new SwarmError(Code.INTERNAL, `${table} ${id} is gone right after it was written`);
  return object;
}
