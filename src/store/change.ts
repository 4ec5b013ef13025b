import type { StoredObject } from './table.js';
import type { ObjectEvent } from './store.js';
import type { TableName } from './tables.js';

/** One change of one object within a transaction; `old` and `new` are never both absent. */
export interface Change {
  readonly table: TableName;
  readonly id: string;
  readonly old: StoredObject | undefined;
  readonly new: StoredObject | undefined;
}

/** The event that tells of a change. */
export function eventOf(change: Change): ObjectEvent {
  const { table, old, new: object } = change;
  if (object === undefined) return { kind: 'remove', table, object: old } as ObjectEvent;
  if (old === undefined) return { kind: 'create', table, object } as ObjectEvent;
  return { kind: 'update', table, object, oldObject: old } as ObjectEvent;
}
