import { constants } from 'node:fs';
import { access, type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { Code, type Disk, type DiskEntry, type DiskFile, type DiskLock, SwarmError } from '../base/index.js';
import { lockDirectory } from './disk-lock.js';

/** Ends the name of the file that an atomic replacement writes before it is renamed. */
const REPLACEMENT_SUFFIX = '.tmp';

const CODES: Readonly<Record<string, Code>> = {
  ENOENT: Code.NOT_FOUND,
  ENOSPC: Code.RESOURCE_EXHAUSTED,
  EDQUOT: Code.RESOURCE_EXHAUSTED,
  EACCES: Code.PERMISSION_DENIED,
  EPERM: Code.PERMISSION_DENIED,
  EROFS: Code.PERMISSION_DENIED,
};

/** The machine's file system. */
export class NodeDisk implements Disk {
  async readFile(path: string): Promise<Uint8Array> {
    const { buffer, byteOffset, length } = await attempt('read', path, () => readFile(path));
    return new Uint8Array(buffer, byteOffset, length);
  }

  async writeFileAtomic(path: string, data: Uint8Array, mode: number): Promise<void> {
    const replacement = `${path}${REPLACEMENT_SUFFIX}`;
    await attempt('write', path, async () => {
      await rm(replacement, { force: true });
      const handle = await open(replacement, 'wx', mode);
      try {
        await handle.writeFile(data);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(replacement, path);
    });
    await this.syncDirectory(parentOf(path));
  }

  async open(path: string, options: { readonly create: boolean; readonly mode: number }): Promise<DiskFile> {
    const flags = constants.O_RDWR | (options.create ? constants.O_CREAT : 0);
    return new NodeFile(path, await attempt('open', path, () => open(path, flags, options.mode)));
  }

  async exists(path: string): Promise<boolean> {
    try {
      await attempt('look for', path, () => access(path));
      return true;
    } catch (error) {
      if (error instanceof SwarmError && error.code === Code.NOT_FOUND) return false;
      throw error;
    }
  }

  async list(path: string): Promise<readonly DiskEntry[]> {
    const entries = await attempt('list', path, () => readdir(path, { withFileTypes: true }));
    return entries
      .map((entry): DiskEntry => {
        if (entry.isFile()) return { name: entry.name, kind: 'file' };
        return { name: entry.name, kind: entry.isDirectory() ? 'directory' : 'other' };
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async makeDirectory(path: string, mode: number): Promise<void> {
    await attempt('make directory', path, () => mkdir(path, { recursive: true, mode }));
  }

  async rename(from: string, to: string): Promise<void> {
    await attempt('rename', from, () => rename(from, to));
  }

  async remove(path: string): Promise<void> {
    await attempt('remove', path, () => rm(path, { recursive: true, force: true }));
  }

  async syncDirectory(path: string): Promise<void> {
    await attempt('sync directory', path, async () => {
      const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    });
  }

  async lock(path: string): Promise<DiskLock> {
    return attempt('lock', path, async () => {
      await access(path);
      return lockDirectory(path);
    });
  }
}

class NodeFile implements DiskFile {
  constructor(
    readonly path: string,
    readonly handle: FileHandle,
  ) {}

  async size(): Promise<number> {
    return attempt('look at', this.path, async () => (await this.handle.stat()).size);
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    return attempt('read', this.path, async () => {
      const buffer = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await this.handle.read(buffer, filled, length - filled, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return buffer.subarray(0, filled);
    });
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    await attempt('write', this.path, async () => {
      let at = position;
      let rest = chunks.filter((chunk) => chunk.length > 0);
      while (rest.length > 0) {
        const { bytesWritten } = await this.handle.writev(rest, at);
        at += bytesWritten;
        rest = withoutFirstBytes(rest, bytesWritten);
      }
    });
  }

  async truncate(length: number): Promise<void> {
    await attempt('truncate', this.path, () => this.handle.truncate(length));
  }

  async sync(): Promise<void> {
    await attempt('sync', this.path, () => this.handle.datasync());
  }

  async close(): Promise<void> {
    await attempt('close', this.path, () => this.handle.close());
  }
}

/** What is left to write after the kernel took only part of it. */
function withoutFirstBytes(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = count;
  for (const chunk of chunks) {
    if (skip >= chunk.length) skip -= chunk.length;
    else {
      rest.push(skip === 0 ? chunk : chunk.subarray(skip));
      skip = 0;
    }
  }
  return rest;
}

async function attempt<T>(verb: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SwarmError) throw error;
    const { code: reason = '', message } = error as NodeJS.ErrnoException;
    const text = `could not ${verb} ${path}: ${message}`;
    throw new SwarmError(CODES[reason] ?? Code.INTERNAL, text, { details: { path, reason }, cause: error });
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')));
}
