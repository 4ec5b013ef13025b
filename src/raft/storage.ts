import type { ConfState, Entry, HardState, Snapshot } from './types.js';

/** Why stable storage cannot say what stands at an index: replaced by a snapshot, or not there yet. */
export type LogGap = 'compacted' | 'unavailable';

/** Whether this is an answer rather than a gap. */
export function isGap(answer: unknown): answer is LogGap {
  return answer === 'compacted' || answer === 'unavailable';
}

/**
 * What the core reads of what has been made durable; every answer comes from memory. An implementation
 * that fails throws, and the member must stop.
 */
export interface RaftStorage {
  /** The hard state last saved, if any, and the configuration of the last snapshot. */
  initialState(): { readonly hardState: HardState | undefined; readonly confState: ConfState };
  /**
   * Entries from `lo` up to but without `hi`: as many as `bytesMax` holds, but one at least. The array
   * belongs to the caller.
   */
  entries(lo: bigint, hi: bigint, bytesMax: number): Entry[] | LogGap;
  /** The term of an entry between `firstIndex() - 1` and `lastIndex()`. */
  term(index: bigint): bigint | LogGap;
  /** At most one more than the commit index of the saved hard state: nothing else may be compacted. */
  firstIndex(): bigint;
  lastIndex(): bigint;
  /**
   * A snapshot for a member that lacks what is compacted, or undefined while none can be given: the core asks
   * again later. It must contain the newest applied configuration: a member that it does not name ignores it.
   */
  snapshot(): Snapshot | undefined;
}
