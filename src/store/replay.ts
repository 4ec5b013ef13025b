import { Code, SwarmError } from '../base/index.js';
import { StoreActionKind, type StoreAction, type StoreSnapshot } from '../api/index.js';
import type { Change } from './change.js';
import { deepFreeze, sameMessage } from './freeze.js';
import type { Sharing } from './sharing.js';
import type { WriteTransaction } from './store.js';
import type { StoredObject, Table } from './table.js';
import type { TableName } from './tables.js';

/** The list of a snapshot that holds each table. */
export const SNAPSHOT_LISTS = {
  cluster: 'clusters',
  extension: 'extensions',
  node: 'nodes',
  network: 'networks',
  service: 'services',
  secret: 'secrets',
  config: 'configs',
  volume: 'volumes',
  resource: 'resources',
  task: 'tasks',
} as const satisfies { readonly [T in TableName]: keyof StoreSnapshot };

/** Applies an action of the log; objects keep the meta with which they come. */
export function applyAction(
  tx: WriteTransaction,
  action: StoreAction,
  share: (table: TableName, object: StoredObject) => StoredObject,
): void {
  const { case: table, value } = action.target;
  if (table === undefined) throw new SwarmError(Code.INVALID_ARGUMENT, 'unrecognized action type');
  switch (action.action) {
    case StoreActionKind.STORE_ACTION_CREATE:
      return tx.create(table, share(table, value));
    case StoreActionKind.STORE_ACTION_UPDATE:
      return tx.update(table, share(table, value));
    case StoreActionKind.STORE_ACTION_REMOVE:
      return tx.remove(table, value.id);
    default:
      throw new SwarmError(Code.INVALID_ARGUMENT, `unknown store action ${action.action}`);
  }
}

/** What has to change in a table to hold what the snapshot holds: new and changed objects, then removals. */
export function* restoreChanges(
  table: Table<StoredObject>,
  snapshot: StoreSnapshot,
  sharing: Sharing,
): Generator<Change, void, undefined> {
  const list: readonly StoredObject[] = snapshot[SNAPSHOT_LISTS[table.name]];
  const gone = new Set(table.find({ kind: 'all' }).map((object) => object.id));
  for (const object of list) {
    gone.delete(object.id);
    const old = table.get(object.id);
    if (old !== undefined && sameMessage(old, object)) continue;
    yield { table: table.name, id: object.id, old, new: deepFreeze(sharing.share(table.name, object)) };
  }
  for (const id of gone) yield { table: table.name, id, old: table.get(id), new: undefined };
}
