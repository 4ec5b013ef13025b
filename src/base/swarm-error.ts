import { Code, codeName } from './code.js';

/** Structured facts about an error: plain values only, never secrets. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean>>;

/** An error that a caller may see: a gRPC code, a message one can act on, details and a cause. */
export class SwarmError extends Error {
  override readonly name = 'SwarmError';

  constructor(
    readonly code: Code,
    message: string,
    options: { readonly details?: ErrorDetails; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.details = options.details ?? {};
  }

  readonly details: ErrorDetails;

  /** The text that Go's gRPC gives such an error, as Docker clients see it (engine-api E-114). */
  get rpcText(): string {
    return `rpc error: code = ${codeName(this.code)} desc = ${this.message}`;
  }
}

/** Whether a thrown value is a SwarmError, optionally with this code. */
export function isSwarmError(error: unknown, code?: Code): error is SwarmError {
  return error instanceof SwarmError && (code === undefined || error.code === code);
}

/** Any thrown value as a SwarmError; what is not one becomes Unknown and keeps its text. */
export function toSwarmError(error: unknown): SwarmError {
  if (error instanceof SwarmError) return error;
  return new SwarmError(Code.UNKNOWN, errorText(error), { cause: error });
}

/** The message of any thrown value. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
