import { create } from '@bufbuild/protobuf';
import { raftpb, type StoreSnapshot } from '../../api/index.js';
import { errorText } from '../../base/index.js';
import type { LogDeps } from './load-state.js';
import { type Membership, toClusterSnapshot, voters } from './membership.js';
import type { SnapshotPolicy } from './options.js';
import type { SegmentLog } from './segment-log.js';
import { listSnapshots, writeSnapshot } from './snapshot-file.js';

/** The applied state at one moment. */
export interface AppliedState {
  readonly index: bigint;
  readonly term: bigint;
  readonly membership: Membership;
  readonly store: StoreSnapshot;
}

/** Writes one snapshot at a time, beside the work of the log, and makes room afterwards. */
export class Snapshotter {
  #index: bigint;
  #attemptedIndex: bigint;
  #running: Promise<void> | undefined;

  /** @param index what the newest snapshot stands for; 0 where there is none. */
  constructor(
    readonly options: { readonly directory: string; readonly index: bigint },
    readonly deps: LogDeps & { readonly segments: SegmentLog },
  ) {
    this.#index = options.index;
    this.#attemptedIndex = options.index;
  }

  /** Index of the newest snapshot. */
  get index(): bigint {
    return this.#index;
  }

  /** Whether enough was applied for the next snapshot. One that failed is tried again an interval later. */
  isDue(appliedIndex: bigint, policy: SnapshotPolicy): boolean {
    if (policy.intervalEntries === 0n || this.#running !== undefined) return false;
    return appliedIndex - this.#attemptedIndex >= policy.intervalEntries;
  }

  /** Starts writing; call only when {@link isDue}. A failure is logged: the log itself is whole without it. */
  start(state: AppliedState, policy: SnapshotPolicy, signal: AbortSignal): void {
    this.#attemptedIndex = state.index;
    this.#running = this.#save(state, policy, signal)
      .catch((error: unknown) => {
        if (signal.aborted) return;
        this.deps.log.error(
          { 'raft.index': state.index.toString(), error: errorText(error) },
          'could not make a snapshot',
        );
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Resolves when no snapshot is being written. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #save(state: AppliedState, policy: SnapshotPolicy, signal: AbortSignal): Promise<void> {
    const { clock, disk, log, segments } = this.deps;
    const startedMs = clock.monotonicMs();
    const confState = create(raftpb.ConfStateSchema, { voters: voters(state.membership) });
    const metadata = create(raftpb.SnapshotMetadataSchema, { index: state.index, term: state.term, confState });
    const contents = { metadata, membership: toClusterSnapshot(state.membership), store: state.store };
    await writeSnapshot(this.options.directory, contents, this.deps, signal);
    this.#index = state.index;
    const fields = { 'raft.index': state.index.toString(), duration_ms: clock.monotonicMs() - startedMs };
    log.info(fields, 'snapshot made');
    if (state.index > policy.keptEntries) await segments.compact(state.index - policy.keptEntries);
    const older = (await listSnapshots(disk, this.options.directory)).filter((name) => name.index < state.index);
    for (const { path } of older.slice(Number(policy.keptSnapshots))) await disk.remove(path);
    await disk.syncDirectory(this.options.directory);
  }
}
