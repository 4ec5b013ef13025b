import type { Clock, Disk, Logger, Random } from '../../base/index.js';
import { Code, isSwarmError } from '../../base/index.js';
import type { EntryCipher } from './cipher.js';
import type { RaftNodeOptions } from './options.js';
import { damaged } from './segment.js';
import { listSegments, removeTemporaryFiles, segmentPath } from './segment-file.js';
import { SegmentLog } from './segment-log.js';
import { listSnapshots, readSnapshot, type SnapshotContents, type SnapshotName } from './snapshot-file.js';

/** What a member's log and snapshots need. */
export interface LogDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly cipher: EntryCipher;
}

/** Where the parts of a member's state are. */
export interface StateDirectories {
  readonly raft: string;
  readonly wal: string;
  readonly snapshots: string;
}

/** The directories below a node's state directory. */
export function stateDirectories(stateDir: string): StateDirectories {
  return { raft: `${stateDir}/raft`, wal: `${stateDir}/raft/wal`, snapshots: `${stateDir}/raft/snap` };
}

/** A member's state as it was left: a log that continues the snapshot. */
export interface LoadedState {
  readonly log: SegmentLog;
  readonly snapshot: { readonly name: SnapshotName; readonly contents: SnapshotContents } | undefined;
}

/**
 * Loads the newest good snapshot and the log.
 * @returns undefined where this member has never had a log.
 * @throws SwarmError DataLoss when the two do not make a whole.
 */
export async function loadState(
  options: RaftNodeOptions,
  deps: LogDeps,
  signal: AbortSignal,
): Promise<LoadedState | undefined> {
  const { wal, snapshots } = stateDirectories(options.stateDir);
  const names = await listSnapshots(deps.disk, snapshots);
  if (names.length > 0 && (await listSegments(deps.disk, wal)).length === 0) {
    throw damaged(segmentPath(wal, 1n), 0, 'the log is missing, though there are snapshots of it');
  }
  const log = await SegmentLog.open(logOptions(options), deps);
  if (log === undefined) return undefined;
  try {
    const snapshot = await readNewest(names, log, deps, signal);
    await removeTemporaryFiles(deps.disk, snapshots);
    await connect(log, snapshot?.name, wal);
    return { log, snapshot };
  } catch (error) {
    await log.close();
    throw error;
  }
}

/** The options of the segment log. */
export function logOptions(options: RaftNodeOptions): Parameters<typeof SegmentLog.open>[0] {
  const { segmentBytesMax, growthBytes } = options;
  return {
    directory: stateDirectories(options.stateDir).wal,
    ...(segmentBytesMax === undefined ? {} : { segmentBytesMax }),
    ...(growthBytes === undefined ? {} : { growthBytes }),
  };
}

/** A damaged snapshot does no harm while an older one is there and the log goes back that far. */
async function readNewest(
  names: readonly SnapshotName[],
  log: SegmentLog,
  deps: LogDeps,
  signal: AbortSignal,
): Promise<LoadedState['snapshot']> {
  let firstError: unknown;
  for (const name of names) {
    if (name.index + 1n < log.firstIndex) break;
    try {
      return { name, contents: await readSnapshot(name.path, deps, signal) };
    } catch (error) {
      if (!isSwarmError(error, Code.DATA_LOSS)) throw error;
      firstError ??= error;
      deps.log.warn({ error: error.message }, 'a snapshot is damaged; trying an older one');
    }
  }
  if (log.firstIndex === 1n && firstError === undefined) return undefined;
  throw (
    firstError ??
    damaged(
      names[0]?.path ?? 'the snapshot',
      0,
      `no snapshot reaches to entry ${log.firstIndex - 1n}, where the log begins`,
    )
  );
}

/** Makes the log continue the snapshot, and checks that what was committed is there. */
async function connect(log: SegmentLog, snapshot: SnapshotName | undefined, directory: string): Promise<void> {
  if (snapshot !== undefined && log.lastIndex < snapshot.index) {
    // A snapshot from another member was saved, and the crash came before the log followed.
    const commit = log.hardState.commit > snapshot.index ? log.hardState.commit : snapshot.index;
    await log.reset(snapshot.index, snapshot.term, { ...log.hardState, commit });
  }
  if (log.hardState.commit > log.lastIndex) {
    const { commit } = log.hardState;
    throw damaged(directory, 0, `entries ${log.lastIndex + 1n} to ${commit} were committed and are missing`);
  }
}
