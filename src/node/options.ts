import type { NodeSpec_Availability } from '../api/index.js';

/** What decides how a node starts. Checked once, at construction; InvalidArgument names the field. */
export interface NodeOptions {
  /** Directory of all state (0700). Made where it does not exist; refused when damaged, newer or in use. */
  readonly stateDir: string;
  /** Manager to join, `host:port`. Absent: take up the state found in `stateDir`, or create a new cluster. */
  readonly joinAddr?: string;
  /** Join token. Needed with `joinAddr` while there is no certificate yet. */
  readonly joinToken?: string;
  /** Start as the only manager from the state found, removing all other members. */
  readonly forceNewCluster?: boolean;
  /** Where the remote API listens while this node is a manager, `host:port`. */
  readonly listenRemoteApi: string;
  /** Address that other nodes dial for it. Absent: the address by which this host reaches others. */
  readonly advertiseRemoteApi?: string;
  /** Path of the local control socket. */
  readonly listenControlApi: string;
  /** Availability asked for when this node first joins. */
  readonly availability?: NodeSpec_Availability;
  /** Encrypt the keys of managers in a new cluster; the unlock key is then needed at every start. */
  readonly autoLockManagers?: boolean;
  /** Key (raw bytes) that unlocks the node's private key. */
  readonly unlockKey?: Uint8Array;
  /** Address pools of a new cluster, CIDR. Empty: 10.0.0.0/8. */
  readonly defaultAddressPool?: readonly string[];
  /** Prefix length of subnets taken from the pools; 0 = 24. */
  readonly subnetSize?: number;
  /** VXLAN port of a new cluster; 0 = 4789. */
  readonly dataPathPort?: number;
  /** Log entries between snapshots, and kept for slow followers; default 10,000 and 500. */
  readonly snapshotIntervalEntries?: number;
  readonly keepEntriesForSlowFollowers?: number;
}
