import type { By } from './by.js';
import { searchOf, type Index, type IndexName, type Search, type TableIndexes } from './indexes.js';
import { SortedIds } from './sorted-ids.js';
import { storeError } from './store-error.js';
import type { Objects, TableName } from './tables.js';

/** What every stored object has. */
export type StoredObject = Objects[TableName];

/** Below this share of the table a result is sorted; above it the table's own order is walked instead. */
const WALK_SHARE = 1 / 16;

/** Ids under one key: most keys have one, which then needs no set. */
type IdsOfKey = string | Set<string>;

/** Objects of one kind by id and by every index of the kind. */
export class Table<T extends StoredObject> {
  readonly #objects = new Map<string, T>();
  readonly #ids = new SortedIds();
  readonly #indexes: readonly (readonly [IndexName, Index<T>, Map<string, IdsOfKey>])[];
  readonly #byName: ReadonlyMap<IndexName, Map<string, IdsOfKey>>;

  constructor(
    readonly name: TableName,
    indexes: TableIndexes<T>,
  ) {
    const entries = Object.entries(indexes) as [IndexName, Index<T>][];
    this.#indexes = entries.map(([indexName, index]) => [indexName, index, new Map<string, IdsOfKey>()]);
    this.#byName = new Map(this.#indexes.map(([indexName, , keys]) => [indexName, keys]));
  }

  get size(): number {
    return this.#objects.size;
  }

  get(id: string): T | undefined {
    return this.#objects.get(id);
  }

  /** Stores the object in place of the one with its id. */
  put(object: T): void {
    const old = this.#objects.get(object.id);
    this.#objects.set(object.id, object);
    if (old === undefined) this.#ids.add(object.id);
    for (const [, index, keys] of this.#indexes) {
      if (old !== undefined && index.same(old, object)) continue;
      if (old !== undefined) removeKeys(keys, index.keys(old), old.id);
      addKeys(keys, index.keys(object), object.id);
    }
  }

  remove(id: string): void {
    const old = this.#objects.get(id);
    if (old === undefined) return;
    this.#objects.delete(id);
    this.#ids.remove(id);
    for (const [, index, keys] of this.#indexes) removeKeys(keys, index.keys(old), id);
  }

  clear(): void {
    this.#objects.clear();
    this.#ids.clear();
    for (const [, , keys] of this.#indexes) keys.clear();
  }

  /** The matching objects, each once, in the order of their ids. */
  find(by: By): readonly T[] {
    return this.#inOrder(this.#matching(by)).map((id) => this.#objects.get(id) as T);
  }

  #keysOf(index: IndexName): Map<string, IdsOfKey> {
    const keys = this.#byName.get(index);
    if (keys === undefined) throw storeError('invalid-finder', this.name, { finder: index });
    return keys;
  }

  /** The matching ids: a list in order, or a set in any order. */
  #matching(by: By): readonly string[] | ReadonlySet<string> {
    switch (by.kind) {
      case 'all':
        return this.#ids.all();
      case 'idPrefix':
        return this.#ids.startingWith(by.prefix);
      case 'or':
        return new Set(by.any.flatMap((each) => [...this.#matching(each)]));
      default:
        return this.#searched(searchOf(by));
    }
  }

  #searched(search: Search): readonly string[] | ReadonlySet<string> {
    const keys = this.#keysOf(search.index);
    if (!search.prefix) {
      const found = keys.get(search.key);
      return typeof found === 'string' ? [found] : (found ?? []);
    }
    const ids = new Set<string>();
    for (const [key, found] of keys) {
      if (!key.startsWith(search.key)) continue;
      if (typeof found === 'string') ids.add(found);
      else for (const id of found) ids.add(id);
    }
    return ids;
  }

  #inOrder(ids: readonly string[] | ReadonlySet<string>): readonly string[] {
    if (!(ids instanceof Set)) return ids as readonly string[];
    if (ids.size < this.size * WALK_SHARE) return [...(ids as ReadonlySet<string>)].sort();
    return this.#ids.all().filter((id) => ids.has(id));
  }
}

function addKeys(keys: Map<string, IdsOfKey>, added: readonly string[] | string | undefined, id: string): void {
  if (added === undefined) return;
  if (typeof added === 'string') addKey(keys, added, id);
  else for (const key of added) addKey(keys, key, id);
}

function addKey(keys: Map<string, IdsOfKey>, key: string, id: string): void {
  const found = keys.get(key);
  if (found === undefined || found === id) keys.set(key, id);
  else if (typeof found === 'string') keys.set(key, new Set([found, id]));
  else found.add(id);
}

function removeKeys(keys: Map<string, IdsOfKey>, removed: readonly string[] | string | undefined, id: string): void {
  if (removed === undefined) return;
  if (typeof removed === 'string') removeKey(keys, removed, id);
  else for (const key of removed) removeKey(keys, key, id);
}

function removeKey(keys: Map<string, IdsOfKey>, key: string, id: string): void {
  const found = keys.get(key);
  if (found === id) keys.delete(key);
  else if (found instanceof Set) {
    found.delete(id);
    if (found.size === 0) keys.delete(key);
  }
}
