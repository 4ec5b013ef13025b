import { Code, SwarmError, toSwarmError } from '../../base/index.js';

/** Kinds of errors made in the engine layer, by HTTP status (engine-api section 1). */
export type ApiErrorKind =
  | 'not-found'
  | 'invalid-parameter'
  | 'conflict'
  | 'unauthorized'
  | 'unavailable'
  | 'forbidden'
  | 'not-modified'
  | 'not-implemented'
  | 'too-large'
  | 'system';

const KIND_STATUS: Readonly<Record<ApiErrorKind, number>> = {
  'not-found': 404,
  'invalid-parameter': 400,
  conflict: 409,
  unauthorized: 401,
  unavailable: 503,
  forbidden: 403,
  'not-modified': 304,
  'not-implemented': 501,
  'too-large': 413,
  system: 500,
};

/** HTTP status for each gRPC code (engine-api E-120). */
const CODE_STATUS: Readonly<Record<Code, number>> = {
  [Code.OK]: 200,
  [Code.CANCELED]: 500,
  [Code.UNKNOWN]: 500,
  [Code.INVALID_ARGUMENT]: 400,
  [Code.DEADLINE_EXCEEDED]: 500,
  [Code.NOT_FOUND]: 404,
  [Code.ALREADY_EXISTS]: 409,
  [Code.PERMISSION_DENIED]: 403,
  [Code.RESOURCE_EXHAUSTED]: 500,
  [Code.FAILED_PRECONDITION]: 400,
  [Code.ABORTED]: 500,
  [Code.OUT_OF_RANGE]: 400,
  [Code.UNIMPLEMENTED]: 501,
  [Code.INTERNAL]: 500,
  [Code.UNAVAILABLE]: 503,
  [Code.DATA_LOSS]: 500,
  [Code.UNAUTHENTICATED]: 401,
};

/** An error of the engine layer: its text goes to the client as it is. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly kind: ApiErrorKind,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }

  get status(): number {
    return KIND_STATUS[this.kind];
  }
}

/** Status and text of any thrown value. Errors of the control API keep the gRPC rendering (E-114). */
export function renderError(error: unknown): { readonly status: number; readonly message: string } {
  if (error instanceof ApiError) return { status: error.status, message: error.message };
  const swarmError = toSwarmError(error);
  if (error instanceof SwarmError) return { status: CODE_STATUS[swarmError.code], message: swarmError.rpcText };
  return { status: 500, message: swarmError.message };
}
