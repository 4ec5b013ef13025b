import { Code, SwarmError } from '../../base/index.js';

/** The text for a request that lacks what it must have. Source: SwarmKit. */
const INVALID_ARGUMENT = 'invalid argument';

/** A refusal because of what the request says. */
export function invalidArgument(message: string = INVALID_ARGUMENT): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, message);
}

/** A refusal because of the state of the cluster. */
export function failedPrecondition(message: string): SwarmError {
  return new SwarmError(Code.FAILED_PRECONDITION, message);
}

/** A refusal of something that is not supported. */
export function unimplemented(message: string): SwarmError {
  return new SwarmError(Code.UNIMPLEMENTED, message);
}

/** A name that is taken. */
export function alreadyExists(message: string): SwarmError {
  return new SwarmError(Code.ALREADY_EXISTS, message);
}

/** An object that is not there. */
export function notFound(message: string): SwarmError {
  return new SwarmError(Code.NOT_FOUND, message);
}

/** The noun as it stands before a list of that many names. */
export function counted(singular: string, count: number): string {
  return count === 1 ? singular : `${singular}s`;
}
