/**
 * The ids of a table in order, kept lazily: changes are noted and merged when somebody asks, so that a
 * burst of writes costs one merge and not one sort per write.
 */
export class SortedIds {
  #sorted: string[] = [];
  #added = new Set<string>();
  #removed = new Set<string>();

  add(id: string): void {
    if (!this.#removed.delete(id)) this.#added.add(id);
  }

  remove(id: string): void {
    if (!this.#added.delete(id)) this.#removed.add(id);
  }

  clear(): void {
    this.#sorted = [];
    this.#added.clear();
    this.#removed.clear();
  }

  /** All ids in order. The list is replaced, never changed, by later writes. */
  all(): readonly string[] {
    if (this.#added.size > 0 || this.#removed.size > 0) {
      this.#sorted = merge(this.#sorted, [...this.#added].sort(), this.#removed);
      this.#added.clear();
      this.#removed.clear();
    }
    return this.#sorted;
  }

  /** The ids that begin with `prefix`, in order. */
  startingWith(prefix: string): readonly string[] {
    const ids = this.all();
    const from = firstNotBefore(ids, prefix);
    let to = from;
    while (to < ids.length && ids[to]?.startsWith(prefix) === true) to += 1;
    return ids.slice(from, to);
  }
}

function merge(sorted: readonly string[], added: readonly string[], removed: ReadonlySet<string>): string[] {
  const merged: string[] = [];
  let next = 0;
  for (const id of sorted) {
    if (removed.size > 0 && removed.has(id)) continue;
    for (let other = added[next]; other !== undefined && other < id; other = added[next]) {
      merged.push(other);
      next += 1;
    }
    merged.push(id);
  }
  for (; next < added.length; next += 1) merged.push(added[next] as string);
  return merged;
}

function firstNotBefore(ids: readonly string[], wanted: string): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ids[middle] as string) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
