import { readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Code, SwarmError, type DiskLock } from '../base/index.js';

const LOCK_FILE = 'lock';
const HOLDER_FILE = 'lock.holder';

/** Source: sqlite3.h. */
const SQLITE_BUSY = 5;

/**
 * Locks a directory for this process by the exclusive lock of an empty SQLite file in it.
 *
 * Node has no flock of its own, and this is a kernel lock (fcntl on the file): it goes away with the
 * process however that dies, so nothing stale is left behind and no process id has to be judged, and it
 * holds between containers that share the directory, where a pid file or an abstract socket would not.
 * SQLite keeps it from being lost when the same process opens the file twice. The file stays empty; the
 * holder's process id stands beside it, for the message only.
 */
export function lockDirectory(path: string): DiskLock {
  const database = new DatabaseSync(`${path}/${LOCK_FILE}`);
  try {
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error;
    throw new SwarmError(
      Code.FAILED_PRECONDITION,
      `${path} is in use by another process${holderText(path)}: stop it first, or choose another directory`,
      { details: { path } },
    );
  }
  writeFileSync(`${path}/${HOLDER_FILE}`, `${process.pid}\n`, { mode: 0o600 });
  return {
    release: () => {
      if (database.isOpen) database.close();
      return Promise.resolve();
    },
  };
}

function holderText(path: string): string {
  try {
    const text = readFileSync(`${path}/${HOLDER_FILE}`, 'utf8').trim();
    return /^\d+$/.test(text) ? ` (process ${text})` : '';
  } catch {
    return '';
  }
}
