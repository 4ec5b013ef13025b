/** Keys by time, earliest first; equal times in the order in which they were added. */
export class TimeHeap {
  readonly #items: { readonly atMs: number; readonly order: number; readonly key: string }[] = [];
  #added = 0;

  /** The earliest time. */
  get nextMs(): number | undefined {
    return this.#items[0]?.atMs;
  }

  add(atMs: number, key: string): void {
    const items = this.#items;
    items.push({ atMs, order: this.#added++, key });
    let at = items.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** Takes the earliest key if its time has come. */
  takeDue(nowMs: number): string | undefined {
    const items = this.#items;
    const first = items[0];
    if (first === undefined || first.atMs > nowMs) return undefined;
    const last = items.pop();
    if (last !== undefined && items.length > 0) {
      items[0] = last;
      this.#sink();
    }
    return first.key;
  }

  #sink(): void {
    let at = 0;
    for (;;) {
      let earliest = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#items.length && this.#before(child, earliest)) earliest = child;
      }
      if (earliest === at) return;
      this.#swap(at, earliest);
      at = earliest;
    }
  }

  #before(left: number, right: number): boolean {
    const a = this.#items[left];
    const b = this.#items[right];
    if (a === undefined || b === undefined) return false;
    return a.atMs !== b.atMs ? a.atMs < b.atMs : a.order < b.order;
  }

  #swap(left: number, right: number): void {
    const a = this.#items[left];
    const b = this.#items[right];
    if (a === undefined || b === undefined) return;
    this.#items[left] = b;
    this.#items[right] = a;
  }
}
