import { asV2, confChangeOf, isConfChangeEntry } from '../conf-change.js';
import { InvariantError } from '../invariant-error.js';
import { MemoryStorage } from '../memory-storage.js';
import type { RaftOptions } from '../options.js';
import type { RaftLogger } from '../raft-logger.js';
import { RawNode } from '../raw-node.js';
import { EMPTY_SNAPSHOT, isEmptyHardState, type Entry, type HardState, type Message, type Snapshot } from '../types.js';

/** Election timeouts that do not depend on chance: always the shortest. */
const NO_CHANCE = { bytes: (count: number): Uint8Array => new Uint8Array(count), float: () => 0 };

const TEXTS = {
  compacted: 'requested index is unavailable due to compaction',
  snapshotOutOfDate: 'requested index is older than the existing snapshot',
} as const;

/** Gives the state after the last applied entry as its snapshot. */
class HistoryStorage extends MemoryStorage {
  readonly history: Snapshot[];

  constructor(first: Snapshot) {
    super();
    this.history = [first];
  }

  override snapshot(): Snapshot {
    return this.history.at(-1) ?? EMPTY_SNAPSHOT;
  }
}

/** A member of the group: its node, its storage, and the work of its two local threads. */
export class DialogueMember {
  readonly options: RaftOptions;
  readonly node: RawNode;
  readonly storage: HistoryStorage;
  readonly appendWork: Message[] = [];
  readonly applyWork: Message[] = [];

  /** Begins at the snapshot; what is wrong with it is thrown. */
  constructor(options: RaftOptions, snapshot: Snapshot, logger: RaftLogger) {
    this.options = options;
    this.storage = new HistoryStorage(snapshot);
    if (snapshot !== EMPTY_SNAPSHOT) this.storage.applySnapshot(snapshot);
    this.node = new RawNode(options, { storage: this.storage, logger, random: NO_CHANCE });
  }

  /** Saves what must be durable; returns why it could not. */
  append(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
  ): string | undefined {
    if (hardState !== undefined && !isEmptyHardState(hardState)) this.storage.setHardState(hardState);
    if (snapshot === undefined || snapshot.metadata.index === 0n) {
      this.storage.append(entries);
      return undefined;
    }
    if (entries.length > 0) return "can't apply snapshot and entries at the same time";
    const refused = this.storage.applySnapshot(snapshot);
    return refused === undefined ? undefined : TEXTS[refused];
  }

  /** Applies entries to a state machine that strings all data together. */
  apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const last = this.storage.snapshot();
      let { confState } = last.metadata;
      let update = entry.Data;
      if (isConfChangeEntry(entry)) {
        const change = confChangeOf(entry);
        if (change === undefined) throw new InvariantError(`entry ${entry.Index} is damaged`);
        confState = this.node.applyConfChange(change);
        update = asV2(change).context;
      }
      const data = new Uint8Array([...last.data, ...update]);
      this.storage.history.push({ data, metadata: { index: entry.Index, term: entry.Term, confState } });
    }
  }

  /** Drops the log up to `index`; returns why it could not. */
  compact(index: bigint): string | undefined {
    const refused = this.storage.compact(index);
    return refused === undefined ? undefined : TEXTS[refused];
  }
}
