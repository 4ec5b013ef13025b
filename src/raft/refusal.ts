/** Why a message or proposal was not taken. */
export type Refusal =
  | 'proposalDropped'
  | 'localMessage'
  | 'peerNotFound'
  /** Not something that a correct member sends: it could only break this one. */
  | 'malformedMessage';

/** The text that goes with each refusal; the first three are etcd/raft's own. */
export const REFUSAL_TEXT: Readonly<Record<Refusal, string>> = {
  proposalDropped: 'raft proposal dropped',
  localMessage: 'raft: cannot step raft local message',
  peerNotFound: 'raft: cannot step as peer not found',
  malformedMessage: 'raft: cannot step malformed message',
};
