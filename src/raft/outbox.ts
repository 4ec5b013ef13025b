import { messageTypeName } from './describe/names.js';
import { assertInvariant } from './invariant-error.js';
import type { RaftState } from './raft-state.js';
import { message, MessageType, NONE, type Message, type RaftId } from './types.js';

const CAMPAIGN_TYPES: ReadonlySet<MessageType> = new Set([
  MessageType.MsgVote,
  MessageType.MsgVoteResp,
  MessageType.MsgPreVote,
  MessageType.MsgPreVoteResp,
]);

/** Thesis, section 3.8: votes and acknowledgements rest on state that must be stable first. */
const AFTER_APPEND_TYPES: ReadonlySet<MessageType> = new Set([
  MessageType.MsgAppResp,
  MessageType.MsgVoteResp,
  MessageType.MsgPreVoteResp,
]);

/**
 * Queues a message. Only those of a campaign name their term, which may differ from the member's own;
 * proposals and reads have none, so that they count as local wherever they are passed on to.
 */
export function send(
  raft: RaftState,
  type: MessageType,
  to: RaftId,
  fields: Partial<Omit<Message, 'type' | 'to'>> = {},
): void {
  const from = fields.from === undefined || fields.from === NONE ? raft.id : fields.from;
  const sent = message(type, { ...fields, to, from, term: termOf(raft, type, fields.term ?? 0n) });
  if (AFTER_APPEND_TYPES.has(type)) {
    raft.messagesAfterAppend.push(sent);
    return;
  }
  assertInvariant(to !== raft.id, () => `message should not be self-addressed when sending ${messageTypeName(type)}`);
  raft.messages.push(sent);
}

function termOf(raft: RaftState, type: MessageType, term: bigint): bigint {
  if (CAMPAIGN_TYPES.has(type)) {
    assertInvariant(term !== 0n, () => `term should be set when sending ${messageTypeName(type)}`);
    return term;
  }
  assertInvariant(term === 0n, () => `term should not be set when sending ${messageTypeName(type)} (was ${term})`);
  return type === MessageType.MsgProp || type === MessageType.MsgReadIndex ? 0n : raft.term;
}
