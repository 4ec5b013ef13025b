import { Code, isSwarmError, SwarmError } from '../base/index.js';

/** What can be wrong with the certificate files of a node. Callers decide by it, never by the text. */
export type TlsProblem =
  /** A file is not there: the node has not joined yet. */
  | 'missing'
  /** The key is encrypted, and the unlock key is absent or wrong. */
  | 'locked'
  /** The certificate is past its end. */
  | 'expired'
  /** The certificate begins in the future: a clock is wrong. */
  | 'not-yet-valid'
  /** A file cannot be understood. */
  | 'damaged'
  /** Key and certificate do not belong together. */
  | 'mismatch'
  /** The certificate does not come from the trusted root. */
  | 'foreign';

const CODES: Readonly<Record<TlsProblem, Code>> = {
  missing: Code.NOT_FOUND,
  locked: Code.FAILED_PRECONDITION,
  expired: Code.FAILED_PRECONDITION,
  'not-yet-valid': Code.FAILED_PRECONDITION,
  damaged: Code.DATA_LOSS,
  mismatch: Code.DATA_LOSS,
  foreign: Code.FAILED_PRECONDITION,
};

/** An error of one of these kinds. */
export function tlsProblem(problem: TlsProblem, message: string, cause?: unknown): SwarmError {
  return new SwarmError(CODES[problem], message, { details: { tlsProblem: problem }, cause });
}

/** The kind of a thrown value; undefined when it is none of these. */
export function tlsProblemOf(error: unknown): TlsProblem | undefined {
  const kind = isSwarmError(error) ? error.details['tlsProblem'] : undefined;
  return typeof kind === 'string' && kind in CODES ? (kind as TlsProblem) : undefined;
}
