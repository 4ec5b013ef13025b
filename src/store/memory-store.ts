import { create } from '@bufbuild/protobuf';

import { Code, SwarmError, toSwarmError, type Clock } from '../base/index.js';
import {
  MetaSchema,
  StoreSnapshotSchema,
  timestampFromMs,
  VersionSchema,
  type StoreAction,
  type StoreSnapshot,
} from '../api/index.js';
import { BatchWriter, type BatchHost } from './batch-writer.js';
import type { By } from './by.js';
import { eventOf, type Change } from './change.js';
import { concatBytes, encodeChange } from './encode.js';
import { deepFreeze } from './freeze.js';
import { HeadTable } from './head-table.js';
import { INDEXES, type TableIndexes } from './indexes.js';
import type { Proposer } from './proposer.js';
import { Publisher } from './publisher.js';
import { applyAction, restoreChanges, SNAPSHOT_LISTS } from './replay.js';
import { Sharing } from './sharing.js';
import { storeError } from './store-error.js';
import {
  TRANSACTION_BYTES_MAX,
  TRANSACTION_CHANGES_MAX,
  type Batch,
  type ReadTransaction,
  type ReplicatedStore,
  type Subscription,
  type WatchOptions,
  type WriteTransaction,
} from './store.js';
import { Table, type StoredObject } from './table.js';
import { TABLE_NAMES, type Objects, type TableName } from './tables.js';
import { Transaction, type HeadTables, type Stamp } from './transaction.js';

/** What a {@link MemoryStore} can be told. */
export interface MemoryStoreOptions {
  /** Events that may wait at a subscriber that names no bound of its own. Default 1,000,000. */
  readonly subscriberQueueMax?: number;
}

/** What a {@link MemoryStore} rests on. */
export interface MemoryStoreDeps {
  readonly clock: Clock;
  /** Without one, transactions commit directly: no limits, no sequence checks, versions from a counter. */
  readonly proposer?: Proposer;
}

/** A transaction on its way through the log. */
interface Pending {
  readonly changes: readonly Change[];
  readonly resolve: () => void;
  readonly reject: (error: SwarmError) => void;
}

/** The store: plain maps of frozen objects, with pipelined transactions over them. */
export class MemoryStore implements ReplicatedStore {
  readonly #options: MemoryStoreOptions;
  readonly #clock: Clock;
  #proposer: Proposer | undefined;
  readonly #committed: ReadonlyMap<TableName, Table<StoredObject>>;
  readonly #head: HeadTables;
  readonly #reader: ReadTransaction;
  readonly #publisher = new Publisher();
  readonly #sharing: Sharing;
  /** In the order of the log. */
  readonly #pending: Pending[] = [];
  /** The batch that wrote last; it may hold changes that are newer than all pending ones. */
  #writer: BatchWriter | undefined;
  readonly #host: BatchHost;
  #running = false;
  #version = 0n;

  constructor(options: MemoryStoreOptions, deps: MemoryStoreDeps) {
    this.#options = options;
    this.#clock = deps.clock;
    this.#proposer = deps.proposer;
    this.#committed = new Map(TABLE_NAMES.map((name) => [name, new Table(name, indexesOf(name))]));
    this.#head = new Map([...this.#committed].map(([name, table]) => [name, new HeadTable(table, indexesOf(name))]));
    this.#reader = new CommittedReader(this.#committed);
    this.#sharing = new Sharing(this.#head);
    this.#host = this.#batchHost();
  }

  get version(): bigint {
    return this.#version;
  }

  /** Number of transactions that wait for the log. */
  get pendingCount(): number {
    return this.#pending.length;
  }

  /** Connects the store to the log, or takes it off. FailedPrecondition while transactions are pending. */
  setProposer(proposer: Proposer | undefined): void {
    this.#settleWriter();
    if (this.#pending.length > 0) {
      throw new SwarmError(Code.FAILED_PRECONDITION, 'the proposer cannot change while transactions are pending');
    }
    this.#proposer = proposer;
  }

  view<T>(read: (tx: ReadTransaction) => T): T {
    return read(this.#reader);
  }

  update<T>(change: (tx: WriteTransaction) => T): Promise<T> {
    try {
      this.#settleWriter();
      const transaction = new Transaction(this.#head, this.#stamp());
      const result = this.#run(transaction, change);
      transaction.close();
      const { changes } = transaction;
      if (changes.length === 0) return Promise.resolve(result);
      return this.#submit(changes, this.#encode(transaction)).then(() => result);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async batch(fill: (batch: Batch) => void | Promise<void>): Promise<number> {
    const writer = new BatchWriter(this.#host);
    try {
      const filling = fill(writer);
      // Without the await a batch that was filled at once is also proposed at once.
      if (filling !== undefined) await filling;
    } catch (error) {
      writer.fail(error);
    }
    writer.flush();
    return writer.finish();
  }

  watch(options: WatchOptions = {}): Subscription {
    const queueMax = options.queueMax ?? this.#options.subscriberQueueMax;
    return this.#publisher.subscribe(queueMax === undefined ? options : { ...options, queueMax });
  }

  viewAndWatch<T>(read: (tx: ReadTransaction) => T, options?: WatchOptions): readonly [T, Subscription] {
    return [this.view(read), this.watch(options)];
  }

  applyActions(actions: readonly StoreAction[], index: bigint): void {
    this.#assertNothingPending();
    const transaction = new Transaction(this.#head, undefined);
    this.#run(transaction, (tx) => {
      for (const action of actions) applyAction(tx, action, (table, object) => this.#sharing.share(table, object));
    });
    transaction.close();
    this.#commit(transaction.changes, index);
  }

  save(): StoreSnapshot {
    const lists = TABLE_NAMES.map((name) => [SNAPSHOT_LISTS[name], this.#committed.get(name)?.find({ kind: 'all' })]);
    return { ...create(StoreSnapshotSchema), ...(Object.fromEntries(lists) as Partial<StoreSnapshot>) };
  }

  restore(snapshot: StoreSnapshot, index: bigint): void {
    this.#assertNothingPending();
    const changes: Change[] = [];
    for (const name of TABLE_NAMES) {
      const table = this.#head.get(name) as HeadTable<StoredObject>;
      for (const change of restoreChanges(table.committed, snapshot, this.#sharing)) {
        table.commit(change.id, change.new);
        changes.push(change);
      }
    }
    this.#version = index;
    this.#publisher.publish(changes.map(eventOf), index);
  }

  #stamp(): Stamp {
    const index = this.#proposer === undefined ? this.#version + 1n : this.#proposer.headIndex();
    const now = timestampFromMs(this.#clock.nowMs());
    const version = create(VersionSchema, { index });
    const meta = deepFreeze(create(MetaSchema, { version, createdAt: now, updatedAt: now }));
    return { meta, checkSequence: this.#proposer !== undefined };
  }

  /** Runs the change; when it throws, what it did is undone. */
  #run<T>(transaction: Transaction, change: (tx: WriteTransaction) => T): T {
    if (this.#running) throw new SwarmError(Code.INTERNAL, 'a store transaction was started within another');
    const before = transaction.changes.length;
    this.#running = true;
    try {
      return change(transaction);
    } catch (error) {
      transaction.undo(before);
      throw error;
    } finally {
      this.#running = false;
    }
  }

  /** The encoded changes; undoes them and throws InvalidArgument where they are too many or too large. */
  #encode(transaction: Transaction): readonly Uint8Array[] | undefined {
    if (this.#proposer === undefined) return undefined;
    const { changes } = transaction;
    const encoded = changes.length > TRANSACTION_CHANGES_MAX ? [] : changes.map(encodeChange);
    const bytes = encoded.reduce((total, chunk) => total + chunk.length, 0);
    if (changes.length <= TRANSACTION_CHANGES_MAX && bytes <= TRANSACTION_BYTES_MAX) return encoded;
    const error = storeError('too-large', changes[0]?.table ?? 'task', { changes: changes.length, bytes });
    transaction.undo();
    throw error;
  }

  #submit(changes: readonly Change[], encoded: readonly Uint8Array[] | undefined): Promise<void> {
    const proposer = this.#proposer;
    if (proposer === undefined || encoded === undefined) {
      this.#commit(changes, this.#version + 1n);
      return Promise.resolve();
    }
    return new Promise<void>((resolve, reject) => {
      const pending: Pending = { changes, resolve, reject };
      this.#pending.push(pending);
      try {
        proposer.propose(concatBytes(encoded), {
          committed: (index) => this.#committedBy(pending, index),
          lost: (error) => this.#lost(pending, error),
        });
      } catch (error) {
        this.#lost(pending, toSwarmError(error));
      }
    });
  }

  #committedBy(pending: Pending, index: bigint): void {
    if (this.#pending[0] !== pending) {
      throw new SwarmError(Code.INTERNAL, 'a proposal was committed out of order, twice, or after it was lost');
    }
    this.#pending.shift();
    this.#commit(pending.changes, index);
    pending.resolve();
  }

  /** This proposal and all that followed, which may rest on it, are undone, the newest first. */
  #lost(pending: Pending, error: SwarmError): void {
    const from = this.#pending.indexOf(pending);
    if (from < 0) return;
    if (this.#writer?.hasOpenPiece === true) this.#writer.fail(error);
    const lost = this.#pending.splice(from);
    for (const each of lost.toReversed()) {
      for (const change of each.changes.toReversed()) this.#head.get(change.table)?.undo(change.id, change.old);
    }
    for (const each of lost) each.reject(error);
  }

  #commit(changes: readonly Change[], index: bigint): void {
    for (const change of changes) this.#head.get(change.table)?.commit(change.id, change.new);
    this.#version = index;
    this.#publisher.publish(changes.map(eventOf), index);
  }

  #batchHost(): BatchHost {
    const isReplicated = (): boolean => this.#proposer !== undefined;
    return {
      get replicated(): boolean {
        return isReplicated();
      },
      open: (writer) => {
        this.#settleWriter();
        this.#writer = writer;
        return new Transaction(this.#head, this.#stamp());
      },
      run: (transaction, change) => this.#run(transaction, change),
      submit: (changes, encoded) => this.#submit(changes, encoded),
    };
  }

  /** Proposes what another batch has gathered, so that the order of the log is the order of the changes. */
  #settleWriter(): void {
    if (this.#running) throw new SwarmError(Code.INTERNAL, 'a store transaction was started within another');
    this.#writer?.flush();
    this.#writer = undefined;
  }

  #assertNothingPending(): void {
    this.#settleWriter();
    if (this.#pending.length === 0) return;
    throw new SwarmError(Code.INTERNAL, 'the log applied a foreign entry while own proposals were pending');
  }
}

class CommittedReader implements ReadTransaction {
  readonly #tables: ReadonlyMap<TableName, Table<StoredObject>>;

  constructor(tables: ReadonlyMap<TableName, Table<StoredObject>>) {
    this.#tables = tables;
  }

  get<T extends TableName>(table: T, id: string): Objects[T] | undefined {
    return this.#tables.get(table)?.get(id) as Objects[T] | undefined;
  }

  find<T extends TableName>(table: T, by: By): readonly Objects[T][] {
    return this.#tables.get(table)?.find(by) as readonly Objects[T][];
  }

  count(table: TableName): number {
    return this.#tables.get(table)?.size ?? 0;
  }
}

function indexesOf(name: TableName): TableIndexes<StoredObject> {
  return INDEXES[name] as TableIndexes<StoredObject>;
}
