/** What the user typed cannot be meant: nothing was sent, and the program ends with code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The refusal of a value: names where it was given, what it was and what is allowed. */
export function badValue(flag: string, given: string, allowed: string): UsageError {
  return new UsageError(`${flag}: ${JSON.stringify(given)} is not allowed; ${allowed}`);
}
