/** A promise of the algorithm or of its caller is broken; the member must stop rather than go on with it. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throws an {@link InvariantError} unless the condition holds. */
export function assertInvariant(condition: boolean, text: () => string): asserts condition {
  if (!condition) throw new InvariantError(text());
}
