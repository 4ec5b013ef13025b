import { isLocalThread, MessageType, type Entry, type Message } from './types.js';

/** Whether a correct member could have sent this. What is not well formed could only break an invariant here. */
export function isWellFormed({ type, from, index, logTerm, term, entries }: Message): boolean {
  if (isLocalThread(from)) return true;
  switch (type) {
    case MessageType.MsgProp:
    case MessageType.MsgReadIndex:
      return entries.length > 0;
    case MessageType.MsgApp:
      return followsOn(entries, index, logTerm, term);
    default:
      return true;
  }
}

/** Indexes have no gap, terms never fall, and none is greater than the leader's. */
function followsOn(entries: readonly Entry[], index: bigint, logTerm: bigint, term: bigint): boolean {
  let lastIndex = index;
  let lastTerm = logTerm;
  for (const { Index, Term } of entries) {
    if (Index !== lastIndex + 1n || Term < lastTerm) return false;
    lastIndex = Index;
    lastTerm = Term;
  }
  return lastTerm <= term;
}
