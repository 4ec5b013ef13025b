import { Code, SwarmError } from '../base/index.js';
import type { Annotations, Meta } from '../api/index.js';
import type { By } from './by.js';
import type { Change } from './change.js';
import { deepFreeze } from './freeze.js';
import type { HeadTable } from './head-table.js';
import { UNIQUE_NAMES } from './indexes.js';
import type { WriteTransaction } from './store.js';
import { storeError } from './store-error.js';
import type { StoredObject } from './table.js';
import { TABLE_NAMES, type Objects, type TableName } from './tables.js';

const TABLES: ReadonlySet<string> = new Set(TABLE_NAMES);

/** The tables as write transactions see them. */
export type HeadTables = ReadonlyMap<TableName, HeadTable<StoredObject>>;

/** What a transaction writes into the meta of the objects it changes. */
export interface Stamp {
  /** Meta of a new object, and of a changed one but for its time of creation. */
  readonly meta: Meta;
  /** Whether an update must carry the version that is stored. */
  readonly checkSequence: boolean;
}

/** A transaction on the head tables that remembers its changes, to propose or to undo them. */
export class Transaction implements WriteTransaction {
  readonly changes: Change[] = [];
  #open = true;
  /** Of the last updated object: objects that were created together go on sharing it. */
  #updatedMeta: Meta | undefined;

  constructor(
    readonly tables: HeadTables,
    readonly stamp: Stamp | undefined,
  ) {}

  get<T extends TableName>(table: T, id: string): Objects[T] | undefined {
    return this.#table(table).get(id) as Objects[T] | undefined;
  }

  find<T extends TableName>(table: T, by: By): readonly Objects[T][] {
    return this.#table(table).find(by) as readonly Objects[T][];
  }

  count(table: TableName): number {
    return this.#table(table).size;
  }

  create<T extends TableName>(table: T, object: Objects[T]): void {
    if (object.id === '') throw storeError('missing-id', table);
    if (table === 'resource') this.#checkKind(object as Objects['resource']);
    this.#checkName(table, object);
    if (this.#table(table).get(object.id) !== undefined) throw storeError('exists', table, { id: object.id });
    const stamped = this.stamp === undefined ? object : { ...object, meta: this.stamp.meta };
    this.#change({ table, id: object.id, old: undefined, new: deepFreeze(stamped) });
  }

  update<T extends TableName>(table: T, object: Objects[T]): void {
    if (table === 'extension') throw storeError('immutable', table, { id: object.id });
    if (table === 'resource') this.#checkKind(object as Objects['resource']);
    this.#checkName(table, object);
    const old = this.#table(table).get(object.id);
    if (old === undefined) throw storeError('not-found', table, { id: object.id });
    this.#checkSequence(table, old, object);
    this.#change({ table, id: object.id, old, new: deepFreeze(this.#stamped(old, object)) });
  }

  remove(table: TableName, id: string): void {
    const old = this.#table(table).get(id);
    if (old === undefined) throw storeError('not-found', table, { id });
    if (table === 'extension') this.#checkUnused(old as Objects['extension']);
    this.#change({ table, id, old, new: undefined });
  }

  /** Takes back all changes from the `from`th on, the newest first. */
  undo(from = 0): void {
    for (const change of this.changes.splice(from).reverse()) this.#head(change.table).undo(change.id, change.old);
  }

  /** Ends the transaction: later calls are bugs. */
  close(): void {
    this.#open = false;
  }

  #table(table: TableName): HeadTable<StoredObject> {
    if (!this.#open) throw new SwarmError(Code.INTERNAL, 'a store transaction was used after its end');
    return this.#head(table);
  }

  #head(table: TableName): HeadTable<StoredObject> {
    return this.tables.get(table) as HeadTable<StoredObject>;
  }

  #change(change: Change): void {
    this.#table(change.table).stage(change.id, change.new);
    this.changes.push(change);
  }

  #stamped(old: StoredObject, object: StoredObject): StoredObject {
    if (this.stamp === undefined) return object;
    const createdAt = old.meta?.createdAt ?? object.meta?.createdAt;
    return { ...object, meta: createdAt === undefined ? this.stamp.meta : this.#metaSince(createdAt, this.stamp) };
  }

  #metaSince(createdAt: NonNullable<Meta['createdAt']>, { meta }: Stamp): Meta {
    if (this.#updatedMeta?.createdAt !== createdAt) this.#updatedMeta = deepFreeze({ ...meta, createdAt });
    return this.#updatedMeta;
  }

  #checkSequence(table: TableName, old: StoredObject, object: StoredObject): void {
    if (this.stamp?.checkSequence !== true) return;
    const stored = old.meta?.version?.index ?? 0n;
    if (stored !== (object.meta?.version?.index ?? 0n)) {
      throw storeError('out-of-sequence', table, { id: object.id, stored: String(stored) });
    }
  }

  #checkName(table: TableName, object: StoredObject): void {
    if (!UNIQUE_NAMES.has(table)) return;
    const name = annotationsOf(object)?.name ?? '';
    // Kinds of resources share the namespace of the tables, exactly as written.
    if (table === 'extension' && TABLES.has(name)) throw storeError('name-conflict', table, { name });
    const holders = this.#table(table).find({ kind: 'name', name });
    if (holders.some((holder) => holder.id !== object.id)) throw storeError('name-conflict', table, { name });
  }

  #checkKind(resource: Objects['resource']): void {
    if (this.find('extension', { kind: 'name', name: resource.kind }).length > 0) return;
    throw storeError('no-kind', 'resource', { kind: resource.kind });
  }

  #checkUnused(extension: Objects['extension']): void {
    const kind = extension.annotations?.name.toLowerCase();
    const used = this.find('resource', { kind: 'all' }).some((resource) => resource.kind.toLowerCase() === kind);
    if (used) throw storeError('in-use', 'extension', { id: extension.id });
  }
}

function annotationsOf(object: StoredObject): Annotations | undefined {
  return 'spec' in object && object.$typeName !== 'docker.swarmkit.v1.Task'
    ? object.spec?.annotations
    : (object as Objects['extension']).annotations;
}
