import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';

import { fromBinary, toBinary } from '@bufbuild/protobuf';

import { storedForm, type AgentDatabase, type DatabaseWrite, type StoredTask } from '../agent/index.js';
import { TaskSchema, TaskStatusSchema } from '../api/index.js';
import { Code, SwarmError, errorText } from '../base/index.js';

/** Version of the tables. A newer one is refused: it may mean something else. */
const FORMAT_VERSION = 1;
/** Rows decoded between two yields to the event loop: about 10 ms. */
const ROWS_PER_SLICE = 256;
/** SQLite's code for a full disk. */
const SQLITE_FULL = 13;

/**
 * The agent's database in one SQLite file (0600). A commit is one transaction in the write-ahead log: a
 * killed process loses nothing, and a machine that loses its power may lose the last moments, in which
 * its tasks ended as well; the file stays whole in any case.
 */
export class SqliteAgentDatabase implements AgentDatabase {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #statements: Readonly<Record<DatabaseWrite['kind'], StatementSync>>;

  /** Opens or creates. FailedPrecondition for a newer format, DataLoss for a damaged file. */
  constructor(path: string) {
    this.#path = path;
    this.#database = this.#open();
    this.#statements = {
      task: this.#database.prepare(
        'INSERT INTO tasks (id, data, assigned) VALUES (?, ?, 1) ' +
          'ON CONFLICT (id) DO UPDATE SET data = excluded.data, assigned = 1',
      ),
      status: this.#database.prepare('UPDATE tasks SET status = ? WHERE id = ?'),
      unassign: this.#database.prepare('UPDATE tasks SET assigned = 0 WHERE id = ?'),
      delete: this.#database.prepare('DELETE FROM tasks WHERE id = ?'),
    };
  }

  async load(): Promise<readonly StoredTask[]> {
    const rows = this.#database.prepare('SELECT id, data, status, assigned FROM tasks ORDER BY id').all();
    const tasks: StoredTask[] = [];
    for (const row of rows) {
      if (tasks.length % ROWS_PER_SLICE === ROWS_PER_SLICE - 1) await setImmediate();
      tasks.push(this.#decode(row));
    }
    return tasks;
  }

  async commit(writes: readonly DatabaseWrite[]): Promise<void> {
    try {
      this.#database.exec('BEGIN');
      for (const write of writes) this.#apply(write);
      this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      const code = sqliteCode(error) === SQLITE_FULL ? Code.RESOURCE_EXHAUSTED : Code.INTERNAL;
      throw new SwarmError(code, `cannot write the task database ${this.#path}: ${errorText(error)}`, { cause: error });
    }
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }

  #open(): DatabaseSync {
    let database: DatabaseSync | undefined;
    try {
      // SQLite gives its other files the mode of the first one.
      closeSync(openSync(this.#path, 'a', 0o600));
      database = new DatabaseSync(this.#path);
      this.#prepare(database);
      return database;
    } catch (error) {
      database?.close();
      throw this.#openError(error);
    }
  }

  #prepare(database: DatabaseSync): void {
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
    if (version > FORMAT_VERSION) {
      throw new SwarmError(
        Code.FAILED_PRECONDITION,
        `the task database ${this.#path} has format ${version}, this program knows up to ${FORMAT_VERSION}: ` +
          'start it with the newer program that wrote it',
      );
    }
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
    database.exec(
      'CREATE TABLE IF NOT EXISTS tasks ' +
        '(id TEXT PRIMARY KEY, data BLOB NOT NULL, status BLOB, assigned INTEGER NOT NULL) WITHOUT ROWID; ' +
        `PRAGMA user_version = ${FORMAT_VERSION}`,
    );
    const check = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
    if (check !== 'ok') throw this.#damaged(String(check));
  }

  #openError(error: unknown): SwarmError {
    if (error instanceof SwarmError) return error;
    return sqliteCode(error) === undefined
      ? new SwarmError(Code.INTERNAL, `cannot open the task database ${this.#path}: ${errorText(error)}`, {
          cause: error,
        })
      : this.#damaged(errorText(error), error);
  }

  #damaged(what: string, cause?: unknown): SwarmError {
    return new SwarmError(
      Code.DATA_LOSS,
      `the task database ${this.#path} is damaged (${what}): move it away, the managers assign the tasks of this node again`,
      { cause },
    );
  }

  #decode(row: Record<string, unknown>): StoredTask {
    const { id, data, status, assigned } = row;
    try {
      return {
        task: fromBinary(TaskSchema, data as Uint8Array),
        status: status === null ? undefined : fromBinary(TaskStatusSchema, status as Uint8Array),
        assigned: assigned !== 0,
      };
    } catch (error) {
      throw this.#damaged(`task ${String(id)}: ${errorText(error)}`, error);
    }
  }

  #apply(write: DatabaseWrite): void {
    const statement = this.#statements[write.kind];
    switch (write.kind) {
      case 'task':
        statement.run(write.task.id, toBinary(TaskSchema, storedForm(write.task)));
        return;
      case 'status':
        statement.run(toBinary(TaskStatusSchema, write.status), write.taskId);
        return;
      case 'unassign':
      case 'delete':
        statement.run(write.taskId);
    }
  }
}

/** SQLite's own number of an error; undefined for errors from elsewhere. */
function sqliteCode(error: unknown): number | undefined {
  const code = (error as { readonly errcode?: unknown }).errcode;
  return typeof code === 'number' ? code : undefined;
}
