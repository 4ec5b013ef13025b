/**
 * A deadline for each of many ids, where most are pushed back long before they pass: pushing back is one
 * map write, and the map is searched only when the earliest deadline known at the last search is reached.
 */
export class Deadlines {
  readonly #atMs = new Map<string, number>();
  /** Never later than the earliest deadline. */
  #earliestMs = Number.POSITIVE_INFINITY;

  get size(): number {
    return this.#atMs.size;
  }

  has(id: string): boolean {
    return this.#atMs.has(id);
  }

  /** Sets or moves the deadline of `id`. */
  set(id: string, atMs: number): void {
    this.#atMs.set(id, atMs);
    this.#earliestMs = Math.min(this.#earliestMs, atMs);
  }

  /** Takes the deadline back. False when there was none. */
  delete(id: string): boolean {
    return this.#atMs.delete(id);
  }

  /** When to call {@link takeDue} next: no later than the earliest deadline. Undefined when there is none. */
  get wakeAtMs(): number | undefined {
    return this.#atMs.size === 0 ? undefined : this.#earliestMs;
  }

  /** Removes and returns the ids whose deadline has come, in the order in which they were first set. */
  takeDue(nowMs: number): readonly string[] {
    if (nowMs < this.#earliestMs) return [];
    const due: string[] = [];
    this.#earliestMs = Number.POSITIVE_INFINITY;
    for (const [id, atMs] of this.#atMs) {
      if (atMs <= nowMs) due.push(id);
      else this.#earliestMs = Math.min(this.#earliestMs, atMs);
    }
    for (const id of due) this.#atMs.delete(id);
    return due;
  }
}
