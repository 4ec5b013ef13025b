import type { StoreAction, StoreSnapshot } from '../api/index.js';
import type { By } from './by.js';
import type { Objects, TableName } from './tables.js';

/** Changes in one transaction at the most. Source: SwarmKit. */
export const TRANSACTION_CHANGES_MAX = 200;

/** Encoded bytes of one transaction at the most. Source: SwarmKit. */
export const TRANSACTION_BYTES_MAX = 1.5 * 2 ** 20;

/** Reads. Every object is frozen and shared: never mutate, make new ones with what changed. */
export interface ReadTransaction {
  get<T extends TableName>(table: T, id: string): Objects[T] | undefined;
  /** The matching objects, each once, in the order of their ids. Throws InvalidArgument for a finder the table lacks. */
  find<T extends TableName>(table: T, by: By): readonly Objects[T][];
  /** Number of objects in a table. */
  count(table: TableName): number;
}

/** Reads and writes. A later write of the same transaction sees the earlier ones. */
export interface WriteTransaction extends ReadTransaction {
  /** AlreadyExists when the id or the name is taken. */
  create<T extends TableName>(table: T, object: Objects[T]): void;
  /**
   * Replaces the object with the same id. NotFound when there is none, AlreadyExists when the new name is
   * taken; Unknown "update out of sequence" when `object.meta.version` is not the stored one.
   */
  update<T extends TableName>(table: T, object: Objects[T]): void;
  /** NotFound when there is none. */
  remove(table: TableName, id: string): void;
}

/** One change of one object, after commit. */
export type ObjectEvent = {
  readonly [T in TableName]:
    | { readonly kind: 'create'; readonly table: T; readonly object: Objects[T] }
    | { readonly kind: 'update'; readonly table: T; readonly object: Objects[T]; readonly oldObject: Objects[T] }
    | { readonly kind: 'remove'; readonly table: T; readonly object: Objects[T] };
}[TableName];

/** The changes of a transaction in order, then one commit with its log index. */
export type StoreEvent = ObjectEvent | { readonly kind: 'commit'; readonly version: bigint };

/** Which events a subscriber wants. */
export interface WatchOptions {
  /** Only object events of these tables (default: all). Commit events always come, unless `commits` is false. */
  readonly tables?: readonly TableName[];
  readonly commits?: boolean;
  /** Evaluated at the publisher; must be cheap and pure. */
  readonly filter?: (event: ObjectEvent) => boolean;
  /** Events that may wait before the subscriber is cut off (ResourceExhausted). Default 1,000,000. */
  readonly queueMax?: number;
}

/** A stream of events with a bounded queue. */
export interface Subscription extends Disposable {
  /**
   * All events that wait, in order, at least one; waits for the next otherwise.
   * Rejects with ResourceExhausted once cut off, with the signal's reason when aborted.
   */
  next(signal: AbortSignal): Promise<readonly StoreEvent[]>;
  /** The events that wait, without waiting; possibly none. */
  take(): readonly StoreEvent[];
}

/** A batch: many small transactions gathered into as few log entries as the limits allow. */
export interface Batch {
  /** Applies `change` atomically. When it throws, its own changes are undone and the error passes on. */
  update<T>(change: (tx: WriteTransaction) => T): T;
}

/**
 * The cluster's state in memory. Readers see what is committed; write transactions also see what waits
 * for the quorum before them. Losing leadership undoes what was not committed.
 */
export interface Store {
  /** Reads one consistent committed state; `read` must be synchronous. */
  view<T>(read: (tx: ReadTransaction) => T): T;
  /**
   * Runs `change` (synchronously, at once), proposes its changes and resolves when they are committed.
   * Rejects with what `change` threw (nothing changed), InvalidArgument when over the limits, or
   * with the proposer's error when the proposal was lost. No changes, no proposal: resolves at once.
   */
  update<T>(change: (tx: WriteTransaction) => T): Promise<T>;
  /**
   * Runs `fill`, which may await between updates to leave the event loop free. Splits by itself at the
   * limits; not atomic. Resolves with the number of changes when all pieces are committed; rejects
   * with the first error (pieces before it stay).
   */
  batch(fill: (batch: Batch) => void | Promise<void>): Promise<number>;
  watch(options?: WatchOptions): Subscription;
  /** Reads and subscribes with no gap and no overlap between the two. */
  viewAndWatch<T>(read: (tx: ReadTransaction) => T, options?: WatchOptions): readonly [T, Subscription];
  /** Index of the newest transaction in the committed state. */
  readonly version: bigint;
}

/** What the log does to a store: replay, snapshots, and the switch between follower and leader. */
export interface ReplicatedStore extends Store {
  /** Applies a committed transaction that this process did not propose. */
  applyActions(actions: readonly StoreAction[], index: bigint): void;
  /** The committed state. Cheap: shares the objects. */
  save(): StoreSnapshot;
  /** Replaces everything, emitting the difference as events and one commit. */
  restore(snapshot: StoreSnapshot, index: bigint): void;
}
