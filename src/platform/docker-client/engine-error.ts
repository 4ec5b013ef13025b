import { Code, SwarmError } from '../../base/index.js';

const CODES: ReadonlyMap<number, Code> = new Map([
  [400, Code.INVALID_ARGUMENT],
  [401, Code.UNAUTHENTICATED],
  [403, Code.PERMISSION_DENIED],
  [404, Code.NOT_FOUND],
  [406, Code.INVALID_ARGUMENT],
  [409, Code.ALREADY_EXISTS],
  [501, Code.UNIMPLEMENTED],
  [503, Code.UNAVAILABLE],
]);

/** What the engine answered, as an error with its own text; the HTTP status is in the details. */
export function engineError(status: number, body: string): SwarmError {
  return new SwarmError(CODES.get(status) ?? Code.UNKNOWN, messageOf(body) || `the engine answered ${status}`, {
    details: { status },
  });
}

/** The engine could not be talked to. */
export function unreachable(address: string, cause: unknown): SwarmError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new SwarmError(Code.UNAVAILABLE, `cannot reach the Docker Engine at ${address}: ${text}`, { cause });
}

function messageOf(body: string): string {
  try {
    const { message } = JSON.parse(body) as { readonly message?: unknown };
    return typeof message === 'string' ? message : '';
  } catch {
    return body.trim().slice(0, 1000);
  }
}
