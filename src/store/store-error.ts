import { Code, SwarmError } from '../base/index.js';
import type { TableName } from './tables.js';

/** Why the store refused a change, in `details.reason`. The messages are SwarmKit's: some reach clients unchanged. */
type StoreErrorReason =
  | 'exists'
  | 'name-conflict'
  | 'not-found'
  | 'out-of-sequence'
  | 'no-kind'
  | 'immutable'
  | 'in-use'
  | 'invalid-finder'
  | 'too-large'
  | 'missing-id';

const TEXTS: { readonly [R in StoreErrorReason]: readonly [Code, string] } = {
  exists: [Code.ALREADY_EXISTS, 'object already exists'],
  'name-conflict': [Code.ALREADY_EXISTS, 'name conflicts with an existing object'],
  'not-found': [Code.NOT_FOUND, 'object does not exist'],
  'out-of-sequence': [Code.UNKNOWN, 'update out of sequence'],
  'no-kind': [Code.INVALID_ARGUMENT, 'object kind is unregistered'],
  immutable: [Code.INVALID_ARGUMENT, 'extensions are immutable'],
  'in-use': [Code.INVALID_ARGUMENT, 'cannot delete extension because objects of this type exist in the data store'],
  'invalid-finder': [Code.INVALID_ARGUMENT, 'invalid find argument type'],
  'too-large': [Code.INVALID_ARGUMENT, "raft: raft message is too large and can't be sent"],
  'missing-id': [Code.INVALID_ARGUMENT, 'object has no id'],
};

/** The store's refusal of a change or a search. */
export function storeError(
  reason: StoreErrorReason,
  table: TableName,
  details: Readonly<Record<string, string | number>> = {},
): SwarmError {
  const [code, text] = TEXTS[reason];
  return new SwarmError(code, text, { details: { reason, table, ...details } });
}
