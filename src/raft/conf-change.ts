import {
  ConfChangeTransition,
  EntryType,
  NO_BYTES,
  unplacedEntry,
  type ConfChange,
  type ConfChangeV2,
  type Entry,
} from './types.js';
import { decodeConfChange, decodeConfChangeV2, encodeConfChange, encodeConfChangeV2 } from './conf-change-codec.js';

/** A configuration change in either form. */
export type AnyConfChange = ConfChange | ConfChangeV2;

/** The change in the second form. */
export function asV2(change: AnyConfChange): ConfChangeV2 {
  if ('changes' in change) return change;
  return {
    transition: ConfChangeTransition.ConfChangeTransitionAuto,
    changes: [{ type: change.type, nodeId: change.nodeId }],
    context: change.context,
  };
}

/** Whether the change leaves a joint configuration. */
export function leavesJoint({ transition, changes }: ConfChangeV2): boolean {
  return transition === ConfChangeTransition.ConfChangeTransitionAuto && changes.length === 0;
}

/** Whether the change goes through a joint configuration, and if so whether that one is left automatically. */
export function entersJoint({ transition, changes }: ConfChangeV2): { readonly autoLeave: boolean } | undefined {
  if (transition === ConfChangeTransition.ConfChangeTransitionAuto && changes.length <= 1) return undefined;
  return { autoLeave: transition !== ConfChangeTransition.ConfChangeTransitionJointExplicit };
}

/**
 * The entry that proposes a change. Without a change its data is empty, which leaves a joint
 * configuration and is never refused for its size.
 */
export function confChangeEntry(change: AnyConfChange | undefined): Entry {
  if (change === undefined) return unplacedEntry(NO_BYTES, EntryType.EntryConfChangeV2);
  if ('changes' in change) return unplacedEntry(encodeConfChangeV2(change), EntryType.EntryConfChangeV2);
  return unplacedEntry(encodeConfChange(change), EntryType.EntryConfChange);
}

/** Whether the entry changes the configuration. */
export function isConfChangeEntry({ Type }: Entry): boolean {
  return Type === EntryType.EntryConfChange || Type === EntryType.EntryConfChangeV2;
}

/** The change in an entry for which {@link isConfChangeEntry} holds; undefined when its data is damaged. */
export function confChangeOf({ Type, Data }: Entry): AnyConfChange | undefined {
  return Type === EntryType.EntryConfChange ? decodeConfChange(Data) : decodeConfChangeV2(Data);
}
