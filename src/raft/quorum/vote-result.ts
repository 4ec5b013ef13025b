/** What the votes so far decide. */
export type VoteResult = 'pending' | 'lost' | 'won';

/** Looks up the log position that a voter has acknowledged, if it has. */
export type AckedIndex = (id: bigint) => bigint | undefined;
