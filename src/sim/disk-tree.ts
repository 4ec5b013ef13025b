import type { SeededRandom } from './random.js';

/** What a crash leaves of file contents and directory entries that were not synced. */
export type Unsynced =
  | { readonly kind: 'lost' }
  | { readonly kind: 'kept' }
  /** All directory entries, and of each file exactly the first `bytes` unsynced bytes, in the order written. */
  | { readonly kind: 'torn'; readonly bytes: number }
  /** Each write by itself is lost, kept or torn at any byte; each directory keeps its new entries or not. */
  | { readonly kind: 'random'; readonly random: SeededRandom };

type Change =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly length: number };

/** Bytes that grow. */
class Content {
  #buffer = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  read(from: number, to: number): Uint8Array {
    return this.#buffer.slice(from, Math.min(to, this.#length));
  }

  apply(change: Change): void {
    if (change.kind === 'truncate') {
      this.#reserve(change.length);
      if (change.length < this.#length) this.#buffer.fill(0, change.length, this.#length);
      this.#length = change.length;
      return;
    }
    const end = change.position + change.bytes.length;
    this.#reserve(end);
    this.#buffer.set(change.bytes, change.position);
    this.#length = Math.max(this.#length, end);
  }

  #reserve(length: number): void {
    if (length <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(length, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}

/** A file: what programs read, what a crash certainly leaves, and the changes between the two. */
export class SimFileNode {
  readonly kind = 'file';
  readonly #current = new Content();
  readonly #durable = new Content();
  #unsynced: Change[] = [];

  get length(): number {
    return this.#current.length;
  }

  read(from: number, to: number): Uint8Array {
    return this.#current.read(from, to);
  }

  write(position: number, bytes: Uint8Array): void {
    this.#change({ kind: 'write', position, bytes: bytes.slice() });
  }

  truncate(length: number): void {
    this.#change({ kind: 'truncate', length });
  }

  sync(): void {
    for (const change of this.#unsynced) this.#durable.apply(change);
    this.#unsynced = [];
  }

  /** What a failed sync does on Linux: the pages count as clean, so that no later sync writes them. */
  failSync(): void {
    this.#unsynced = [];
  }

  /** The file as the next boot finds it. */
  afterCrash(unsynced: Unsynced): SimFileNode {
    const node = new SimFileNode();
    node.write(0, this.#durable.read(0, this.#durable.length));
    for (const change of survivors(this.#unsynced, unsynced)) node.#change(change);
    node.sync();
    return node;
  }

  #change(change: Change): void {
    this.#current.apply(change);
    this.#unsynced.push(change);
  }
}

/** A directory: its entries now, and those that a crash certainly leaves. */
export class SimDirectoryNode {
  readonly kind = 'directory';
  readonly entries = new Map<string, SimNode>();
  #durableEntries: ReadonlyMap<string, SimNode> = new Map();

  sync(): void {
    this.#durableEntries = new Map(this.entries);
  }

  /** The directory as the next boot finds it. */
  afterCrash(unsynced: Unsynced): SimDirectoryNode {
    const lost = unsynced.kind === 'lost' || (unsynced.kind === 'random' && unsynced.random.float() < 0.5);
    const node = new SimDirectoryNode();
    const entries = lost ? this.#durableEntries : this.entries;
    for (const [name, child] of entries) node.entries.set(name, child.afterCrash(unsynced));
    node.sync();
    return node;
  }
}

/** What a name stands for. */
export type SimNode = SimFileNode | SimDirectoryNode;

function survivors(changes: readonly Change[], unsynced: Unsynced): readonly Change[] {
  switch (unsynced.kind) {
    case 'lost':
      return [];
    case 'kept':
      return changes;
    case 'torn':
      return firstBytes(changes, unsynced.bytes);
    case 'random':
      return changes.flatMap((change) => randomPart(change, unsynced.random));
  }
}

function firstBytes(changes: readonly Change[], bytes: number): readonly Change[] {
  const kept: Change[] = [];
  let rest = bytes;
  for (const change of changes) {
    if (change.kind === 'truncate') kept.push(change);
    else {
      if (rest > 0) kept.push({ ...change, bytes: change.bytes.subarray(0, rest) });
      rest -= change.bytes.length;
      if (rest < 0) break;
    }
  }
  return kept;
}

function randomPart(change: Change, random: SeededRandom): readonly Change[] {
  const fate = random.float();
  if (fate < 1 / 3) return [];
  if (fate < 2 / 3 || change.kind === 'truncate') return [change];
  return [{ ...change, bytes: change.bytes.subarray(0, Math.floor(random.float() * change.bytes.length)) }];
}
