import { Code } from './code.js';
import { isSwarmError } from './swarm-error.js';

/** What a directory entry is. */
export interface DiskEntry {
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'other';
}

/**
 * An open file. Writes are ordered; they survive a crash only once {@link sync} has resolved. After a
 * failed write or sync nothing is known about the unsynced part: the owner must stop using the file.
 */
export interface DiskFile {
  /** Present length in bytes. */
  size(): Promise<number>;
  /** Up to `length` bytes from `position`; shorter only at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** Writes all chunks one after the other from `position`. */
  write(position: number, chunks: readonly Uint8Array[]): Promise<void>;
  truncate(length: number): Promise<void>;
  /** Makes what was written durable (fdatasync). */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** A held lock on a directory; released when the process dies. */
export interface DiskLock {
  release(): Promise<void>;
}

/**
 * The only way to files. Paths are absolute, separated by `/`. Missing files fail with NotFound, a full
 * disk with ResourceExhausted, missing rights with PermissionDenied, the rest with Internal.
 */
export interface Disk {
  readFile(path: string): Promise<Uint8Array>;
  /** Replaces the whole file so that after a crash it is the old one or the new one, and durable. */
  writeFileAtomic(path: string, data: Uint8Array, mode: number): Promise<void>;
  /** Opens for reading and writing; `create` makes it with `mode` where it does not exist. */
  open(path: string, options: { readonly create: boolean; readonly mode: number }): Promise<DiskFile>;
  exists(path: string): Promise<boolean>;
  /** Entries sorted by name. */
  list(path: string): Promise<readonly DiskEntry[]>;
  /** Makes the directory and its parents; no error where it exists. Not durable: see {@link makeDurableDirectory}. */
  makeDirectory(path: string, mode: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, or a directory with all that is in it; no error where it does not exist. */
  remove(path: string): Promise<void>;
  /** Makes created, renamed and removed names of this directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Locks the directory for this process, or fails with FailedPrecondition naming the holder. */
  lock(path: string): Promise<DiskLock>;
}

/** Makes the directory and its parents, so that a crash does not take back their names. */
export async function makeDurableDirectory(disk: Disk, path: string, mode: number): Promise<void> {
  const parent = path.slice(0, path.lastIndexOf('/')) || '/';
  const isThere = await disk.exists(path);
  if (!isThere) {
    if (parent !== '/') await makeDurableDirectory(disk, parent, mode);
    await disk.makeDirectory(path, mode);
  }
  try {
    // Also of one that is there: who made it may have been killed before it was durable.
    await disk.syncDirectory(parent);
  } catch (error) {
    // A parent that others own may be closed to this user.
    if (!isThere || !isSwarmError(error, Code.PERMISSION_DENIED)) throw error;
  }
}
