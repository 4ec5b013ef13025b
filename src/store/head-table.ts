import type { By } from './by.js';
import type { TableIndexes } from './indexes.js';
import { Table, type StoredObject } from './table.js';

/** State of an id that differs from the committed one; no object stands for removed. */
interface Staged<T> {
  readonly object: T | undefined;
  /** Changes of this id that are neither committed nor undone. */
  readonly changes: number;
}

/**
 * What write transactions see of one table: the committed objects, and over them those of the
 * transactions that wait for the quorum. Only the difference is held, so a quiet store costs nothing twice.
 */
export class HeadTable<T extends StoredObject> {
  readonly #staged = new Map<string, Staged<T>>();
  /** The staged objects again, to find them; most transactions search nothing, so it follows only when asked. */
  readonly #objects: Table<T>;
  readonly #unindexed = new Set<string>();
  #sizeDifference = 0;

  constructor(
    readonly committed: Table<T>,
    indexes: TableIndexes<T>,
  ) {
    this.#objects = new Table(committed.name, indexes);
  }

  get size(): number {
    return this.committed.size + this.#sizeDifference;
  }

  /** Number of ids that wait for a commit. */
  get stagedCount(): number {
    return this.#staged.size;
  }

  get(id: string): T | undefined {
    const staged = this.#staged.get(id);
    return staged === undefined ? this.committed.get(id) : staged.object;
  }

  /** Changes the state of an id, to be followed by {@link commit} or {@link undo}; undefined removes it. */
  stage(id: string, object: T | undefined): void {
    this.#set(id, object, (this.#staged.get(id)?.changes ?? 0) + 1);
  }

  /** Takes back the newest change of an id: it is `object` again. */
  undo(id: string, object: T | undefined): void {
    this.#set(id, object, (this.#staged.get(id)?.changes ?? 0) - 1);
  }

  /** Makes the oldest change of an id, or one that was never staged, its committed state. */
  commit(id: string, object: T | undefined): void {
    const sizeBefore = this.size;
    if (object === undefined) this.committed.remove(id);
    else this.committed.put(object);
    const staged = this.#staged.get(id);
    if (staged === undefined) return;
    this.#sizeDifference = sizeBefore - this.committed.size;
    if (staged.changes > 1) this.#staged.set(id, { ...staged, changes: staged.changes - 1 });
    else this.#forget(id);
  }

  /** The matching objects, each once, in the order of their ids. */
  find(by: By): readonly T[] {
    const committed = this.committed.find(by);
    if (this.#staged.size === 0) return committed;
    const unchanged = committed.filter((object) => !this.#staged.has(object.id));
    const staged = this.#indexed().find(by);
    if (staged.length === 0) return unchanged;
    return [...unchanged, ...staged].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  #set(id: string, object: T | undefined, changes: number): void {
    this.#sizeDifference += Number(object !== undefined) - Number(this.get(id) !== undefined);
    if (changes <= 0) {
      this.#forget(id);
      return;
    }
    this.#staged.set(id, { object, changes });
    this.#unindexed.add(id);
  }

  #indexed(): Table<T> {
    for (const id of this.#unindexed) {
      const object = this.#staged.get(id)?.object;
      if (object === undefined) this.#objects.remove(id);
      else this.#objects.put(object);
    }
    this.#unindexed.clear();
    return this.#objects;
  }

  #forget(id: string): void {
    this.#staged.delete(id);
    this.#unindexed.delete(id);
    this.#objects.remove(id);
  }
}
