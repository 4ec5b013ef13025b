import { ConfChangeType, type ConfChangeSingle, type RaftId } from '../types.js';
import { isJoint } from '../tracker/configuration.js';
import type { Tracker } from '../tracker/tracker.js';
import { brokenRule, Draft, type Membership } from './draft.js';

/** The new membership, or why there is none. */
export type ChangeResult = Membership | { readonly refused: string };

/** Computes new memberships from one; nothing that it is given changes. */
export class Changer {
  readonly #tracker: Tracker;
  readonly #base: Membership;
  readonly #lastIndex: bigint;

  /** `lastIndex` is where new members are probed first. */
  constructor(tracker: Tracker, lastIndex: bigint, base: Membership = tracker) {
    this.#tracker = tracker;
    this.#base = base;
    this.#lastIndex = lastIndex;
  }

  /** Changes at most one voter, and any number of learners, at once. */
  simple(changes: readonly ConfChangeSingle[]): ChangeResult {
    const draft = this.#draft();
    if (!(draft instanceof Draft)) return draft;
    if (isJoint(this.#base.configuration)) return { refused: "can't apply simple config change in joint config" };
    const refused = apply(draft, changes);
    if (refused !== undefined) return { refused };
    if (differences(this.#base.configuration.voters.incoming, draft.incoming) > 1) {
      return { refused: 'more than one voter changed without entering joint config' };
    }
    return checked(draft.finish(false));
  }

  /** Keeps the voters as the outgoing half and makes the changes to the incoming one (thesis, section 4.3). */
  enterJoint(autoLeave: boolean, changes: readonly ConfChangeSingle[]): ChangeResult {
    const draft = this.#draft();
    if (!(draft instanceof Draft)) return draft;
    if (isJoint(this.#base.configuration)) return { refused: 'config is already joint' };
    if (draft.incoming.size === 0) return { refused: "can't make a zero-voter config joint" };
    for (const id of draft.incoming) draft.outgoing.add(id);
    const refused = apply(draft, changes);
    return refused === undefined ? checked(draft.finish(autoLeave)) : { refused };
  }

  /** Forgets the outgoing half; who waited to become a learner does. */
  leaveJoint(): ChangeResult {
    const draft = this.#draft();
    if (!(draft instanceof Draft)) return draft;
    if (!isJoint(this.#base.configuration)) return { refused: "can't leave a non-joint config" };
    for (const id of draft.learnersNext) {
      draft.learners.add(id);
      const progress = draft.progress.get(id);
      if (progress !== undefined) progress.isLearner = true;
    }
    draft.learnersNext.clear();
    for (const id of draft.outgoing) {
      if (!draft.incoming.has(id) && !draft.learners.has(id)) draft.progress.delete(id);
    }
    draft.outgoing.clear();
    return checked(draft.finish(false));
  }

  #draft(): Draft | { readonly refused: string } {
    const refused = brokenRule(this.#base);
    return refused === undefined ? new Draft(this.#tracker, this.#base, this.#lastIndex) : { refused };
  }
}

function checked(membership: Membership): ChangeResult {
  const refused = brokenRule(membership);
  return refused === undefined ? membership : { refused };
}

/** Makes the changes; returns why that is not possible. */
function apply(draft: Draft, changes: readonly ConfChangeSingle[]): string | undefined {
  for (const { type, nodeId } of changes) {
    // An application that decides against a change sets its member to 0.
    if (nodeId !== 0n) applyOne(draft, type, nodeId);
  }
  return draft.incoming.size === 0 ? 'removed all voters' : undefined;
}

function applyOne(draft: Draft, type: ConfChangeType, id: RaftId): void {
  switch (type) {
    case ConfChangeType.ConfChangeAddNode:
      return draft.makeVoter(id);
    case ConfChangeType.ConfChangeAddLearnerNode:
      return draft.makeLearner(id);
    case ConfChangeType.ConfChangeRemoveNode:
      return draft.remove(id);
    case ConfChangeType.ConfChangeUpdateNode:
      return undefined;
  }
}

/** How many are in one of the sets only. */
function differences(left: ReadonlySet<RaftId>, right: ReadonlySet<RaftId>): number {
  const onlyLeft = [...left].filter((id) => !right.has(id)).length;
  return onlyLeft + [...right].filter((id) => !left.has(id)).length;
}
