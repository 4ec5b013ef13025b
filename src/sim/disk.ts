import { Code, type Disk, type DiskEntry, type DiskFile, type DiskLock, SwarmError } from '../base/index.js';
import { SimDirectoryNode, SimFileNode, type SimNode, type Unsynced } from './disk-tree.js';

export type { Unsynced } from './disk-tree.js';

/** One call that reaches the disk; an atomic replacement is several. */
export interface DiskOperation {
  readonly kind:
    | 'read'
    | 'open'
    | 'write'
    | 'truncate'
    | 'sync'
    | 'rename'
    | 'remove'
    | 'makeDirectory'
    | 'syncDirectory';
  readonly path: string;
}

/** What an injected failure stands for. */
export type DiskFailure = 'ENOSPC' | 'EIO';

/** The state that all open files of one disk share. */
interface DiskState {
  root: SimDirectoryNode;
  readonly locks: Set<string>;
  crashed: boolean;
}

/**
 * A disk in memory that can crash. {@link crash} returns the disk as the next boot finds it; this one
 * then fails everything, as the process that used it is dead.
 */
export class SimDisk implements Disk {
  readonly #state: DiskState = { root: new SimDirectoryNode(), locks: new Set(), crashed: false };
  readonly #failures: { readonly kind: DiskOperation['kind']; readonly failure: DiskFailure }[] = [];

  /**
   * Called before every operation: to count them, to hold one back with a promise (one that never resolves
   * is a process killed at that point), or to fail it by throwing. A write that fails has written half.
   */
  intercept: ((operation: DiskOperation) => void | Promise<void>) | undefined;

  /** Makes the next operation of this kind fail once. May be called several times. */
  failNext(kind: DiskOperation['kind'], failure: DiskFailure): void {
    this.#failures.push({ kind, failure });
  }

  /** Ends this disk's life and returns what is found after the crash. */
  crash(unsynced: Unsynced = { kind: 'lost' }): SimDisk {
    this.#state.crashed = true;
    const next = new SimDisk();
    next.#state.root = this.#state.root.afterCrash(unsynced);
    return next;
  }

  async readFile(path: string): Promise<Uint8Array> {
    await this.begin({ kind: 'read', path });
    const node = this.#fileAt(path);
    return node.read(0, node.length);
  }

  async writeFileAtomic(path: string, data: Uint8Array, mode: number): Promise<void> {
    const replacement = `${path}.tmp`;
    await this.remove(replacement);
    const file = await this.open(replacement, { create: true, mode });
    try {
      await file.write(0, [data]);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.rename(replacement, path);
    await this.syncDirectory(splitPath(path).parent);
  }

  async open(path: string, options: { readonly create: boolean; readonly mode: number }): Promise<DiskFile> {
    await this.begin({ kind: 'open', path });
    const node = this.#find(path);
    if (node === undefined && options.create) {
      const created = new SimFileNode();
      this.#parentOf(path).entries.set(splitPath(path).name, created);
      return new SimFile(this, path, created);
    }
    return new SimFile(this, path, this.#fileAt(path));
  }

  async exists(path: string): Promise<boolean> {
    await this.begin({ kind: 'read', path });
    return this.#find(path) !== undefined;
  }

  async list(path: string): Promise<readonly DiskEntry[]> {
    await this.begin({ kind: 'read', path });
    return [...this.#directoryAt(path).entries]
      .map(([name, node]): DiskEntry => ({ name, kind: node.kind }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async makeDirectory(path: string, _mode: number): Promise<void> {
    await this.begin({ kind: 'makeDirectory', path });
    let directory = this.#state.root;
    for (const name of namesOf(path)) {
      const child: SimNode = directory.entries.get(name) ?? new SimDirectoryNode();
      if (child.kind === 'file') throw wrongKind(path, 'a file is in the way of the directory');
      directory.entries.set(name, child);
      directory = child;
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await this.begin({ kind: 'rename', path: from });
    const node = this.#find(from);
    if (node === undefined) throw notFound(from);
    const target = this.#parentOf(to);
    this.#parentOf(from).entries.delete(splitPath(from).name);
    target.entries.set(splitPath(to).name, node);
  }

  async remove(path: string): Promise<void> {
    await this.begin({ kind: 'remove', path });
    const { parent, name } = splitPath(path);
    const directory = this.#find(parent);
    if (directory?.kind === 'directory') directory.entries.delete(name);
  }

  async syncDirectory(path: string): Promise<void> {
    await this.begin({ kind: 'syncDirectory', path });
    this.#directoryAt(path).sync();
  }

  async lock(path: string): Promise<DiskLock> {
    await this.begin({ kind: 'open', path });
    this.#directoryAt(path);
    const { locks } = this.#state;
    if (locks.has(path)) {
      const text = `${path} is in use by another process: stop it first, or choose another directory`;
      throw new SwarmError(Code.FAILED_PRECONDITION, text, { details: { path } });
    }
    locks.add(path);
    return {
      release: () => {
        locks.delete(path);
        return Promise.resolve();
      },
    };
  }

  /** Passes an operation through interception and injected failures. For the files of this disk. */
  async begin(operation: DiskOperation): Promise<void> {
    this.#assertAlive(operation);
    await this.intercept?.(operation);
    this.#assertAlive(operation);
    const at = this.#failures.findIndex((failure) => failure.kind === operation.kind);
    if (at < 0) return;
    const [injected] = this.#failures.splice(at, 1);
    throw failed(operation, injected?.failure ?? 'EIO');
  }

  #assertAlive(operation: DiskOperation): void {
    if (this.#state.crashed) throw failed(operation, 'the machine has crashed');
  }

  #find(path: string): SimNode | undefined {
    let node: SimNode | undefined = this.#state.root;
    for (const name of namesOf(path)) node = node?.kind === 'directory' ? node.entries.get(name) : undefined;
    return node;
  }

  #fileAt(path: string): SimFileNode {
    const node = this.#find(path);
    if (node === undefined) throw notFound(path);
    if (node.kind === 'directory') throw wrongKind(path, 'it is a directory');
    return node;
  }

  #directoryAt(path: string): SimDirectoryNode {
    const node = this.#find(path);
    if (node === undefined) throw notFound(path);
    if (node.kind === 'file') throw wrongKind(path, 'it is not a directory');
    return node;
  }

  #parentOf(path: string): SimDirectoryNode {
    return this.#directoryAt(splitPath(path).parent);
  }
}

class SimFile implements DiskFile {
  #closed = false;

  constructor(
    readonly disk: SimDisk,
    readonly path: string,
    readonly node: SimFileNode,
  ) {}

  async size(): Promise<number> {
    await this.#begin('read');
    return this.node.length;
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    await this.#begin('read');
    return this.node.read(position, position + length);
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    const bytes = Buffer.concat(chunks);
    try {
      await this.#begin('write');
    } catch (error) {
      this.node.write(position, bytes.subarray(0, bytes.length >> 1));
      throw error;
    }
    this.node.write(position, bytes);
  }

  async truncate(length: number): Promise<void> {
    await this.#begin('truncate');
    this.node.truncate(length);
  }

  async sync(): Promise<void> {
    try {
      await this.#begin('sync');
    } catch (error) {
      this.node.failSync();
      throw error;
    }
    this.node.sync();
  }

  async close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  async #begin(kind: DiskOperation['kind']): Promise<void> {
    if (this.#closed) throw wrongKind(this.path, 'the file is closed');
    await this.disk.begin({ kind, path: this.path });
  }
}

function namesOf(path: string): readonly string[] {
  return path.split('/').filter((name) => name !== '');
}

function splitPath(path: string): { readonly parent: string; readonly name: string } {
  const names = namesOf(path);
  return { parent: `/${names.slice(0, -1).join('/')}`, name: names.at(-1) ?? '' };
}

function notFound(path: string): SwarmError {
  return new SwarmError(Code.NOT_FOUND, `could not find ${path}`, { details: { path } });
}

function wrongKind(path: string, why: string): SwarmError {
  return new SwarmError(Code.INTERNAL, `could not use ${path}: ${why}`, { details: { path } });
}

function failed(operation: DiskOperation, reason: string): SwarmError {
  const code = reason === 'ENOSPC' ? Code.RESOURCE_EXHAUSTED : Code.INTERNAL;
  const text = `could not ${operation.kind} ${operation.path}: ${reason}`;
  return new SwarmError(code, text, { details: { path: operation.path, reason } });
}
