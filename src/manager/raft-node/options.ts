import { Code, SwarmError } from '../../base/index.js';

/** Entries applied since the last snapshot that make a new one. Source: SwarmKit. */
const SNAPSHOT_INTERVAL_ENTRIES = 10_000;

/** Entries that stay in the log after a snapshot, for followers that are behind. Source: SwarmKit. */
const KEPT_ENTRIES = 500;

/** How one member keeps its log. */
export interface RaftNodeOptions {
  /** The node's state directory (absolute); the log lives in `raft` below it. */
  readonly stateDir: string;
  /** Id of the node in the cluster. A log that belongs to another node is refused. */
  readonly nodeId: string;
  /** Address at which other managers reach this one (`host:port`); recorded in the membership. */
  readonly addr: string;
  /** Until the cluster object says otherwise: entries between snapshots, 0 = never. Default 10,000. */
  readonly snapshotIntervalEntries?: number;
  /** Until the cluster object says otherwise: entries kept for slow followers. Default 500. */
  readonly keptEntries?: number;
  /** Until the cluster object says otherwise: snapshots kept beside the newest. Default 0. */
  readonly keptSnapshots?: number;
  /** Bytes after which a segment of the log is ended. Default 16 MiB. */
  readonly segmentBytesMax?: number;
  /** Zeros written ahead in a segment. Default 1 MiB. */
  readonly growthBytes?: number;
}

/** When snapshots are made and what stays beside them. */
export interface SnapshotPolicy {
  readonly intervalEntries: bigint;
  readonly keptEntries: bigint;
  readonly keptSnapshots: bigint;
}

/** The policy that the options give. @throws SwarmError InvalidArgument naming the option. */
export function checkOptions(options: RaftNodeOptions): SnapshotPolicy {
  if (!options.stateDir.startsWith('/')) throw invalid('stateDir', 'an absolute path');
  if (options.nodeId === '') throw invalid('nodeId', 'not empty');
  return {
    intervalEntries: checkCount(
      'snapshotIntervalEntries',
      options.snapshotIntervalEntries ?? SNAPSHOT_INTERVAL_ENTRIES,
    ),
    keptEntries: checkCount('keptEntries', options.keptEntries ?? KEPT_ENTRIES),
    keptSnapshots: checkCount('keptSnapshots', options.keptSnapshots ?? 0),
  };
}

function checkCount(name: string, value: number): bigint {
  if (!Number.isSafeInteger(value) || value < 0) throw invalid(name, 'a whole number, 0 or more');
  return BigInt(value);
}

function invalid(name: string, allowed: string): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, `${name}: must be ${allowed}`);
}
