import { isUtf8 } from 'node:buffer';
import { renameSync } from 'node:fs';
import { appendFile, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { LogStream } from '../../api/index.js';
import { isMissing } from './files.js';

/** Size at which a log is set aside, in bytes; two such files are kept. */
const FILE_BYTES_MAX = 10 * 1024 * 1024;
/** Bytes read at a time. */
const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** A line of a task's output. */
export interface LogRecord {
  readonly timeMs: number;
  readonly stream: LogStream;
  /** Where it ends in the raw output; 0 with no data: the raw output was emptied. */
  readonly rawEnd: number;
  readonly data: Uint8Array;
}

/** A place in a log. Generations count the files since this object was made; -1 was there before. */
export interface LogCursor {
  readonly generation: number;
  readonly offset: number;
}

interface StoredRecord {
  readonly t: number;
  readonly s: LogStream;
  readonly e: number;
  readonly l?: string;
  readonly b?: string;
}

/** The kept output of one task: JSON lines in at most two files. One writer, any number of readers. */
export class TaskLog {
  #generation = 0;
  #size: number | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #current: string;
  readonly #previous: string;

  constructor(
    dir: string,
    readonly fileBytesMax = FILE_BYTES_MAX,
  ) {
    this.#current = join(dir, 'log');
    this.#previous = join(dir, 'log.1');
  }

  /** The oldest place that is kept. */
  get start(): LogCursor {
    return { generation: this.#generation - 1, offset: 0 };
  }

  /** Calls back after every change, until disposed. */
  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Tells readers to look again. */
  notify(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Adds records. One call at a time. */
  async append(records: readonly LogRecord[]): Promise<void> {
    if (records.length === 0) return;
    const text = records.map(encodeRecord).join('');
    const length = Buffer.byteLength(text);
    this.#size ??= await sizeOf(this.#current);
    if (this.#size > 0 && this.#size + length > this.fileBytesMax) {
      // Renamed and counted in one go: a reader that opened a file compares generations afterwards.
      renameSync(this.#current, this.#previous);
      this.#generation++;
      this.#size = 0;
    }
    await appendFile(this.#current, text, { mode: 0o600 });
    this.#size += length;
    this.notify();
  }

  /** The next records from a place, and where to go on; none at the end. */
  async read(from: LogCursor): Promise<{ readonly records: readonly LogRecord[]; readonly next: LogCursor }> {
    let cursor = from.generation < this.#generation - 1 ? this.start : from;
    for (;;) {
      const { generation } = cursor;
      const path = generation === this.#generation ? this.#current : this.#previous;
      const before = this.#generation;
      const chunk = await readChunk(path, cursor.offset);
      if (this.#generation !== before) {
        if (generation < this.#generation - 1) cursor = this.start;
        continue;
      }
      if (chunk.length > 0) {
        return { records: decodeRecords(chunk), next: { generation, offset: cursor.offset + chunk.length } };
      }
      if (generation >= this.#generation) return { records: [], next: cursor };
      cursor = { generation: generation + 1, offset: 0 };
    }
  }

  /** Where the last kept line of each stream ends in the raw output. */
  async rawPositions(): Promise<ReadonlyMap<LogStream, number>> {
    const positions = new Map<LogStream, number>();
    for (let cursor = this.start; ; ) {
      const { records, next } = await this.read(cursor);
      if (records.length === 0) return positions;
      for (const { stream, rawEnd } of records) positions.set(stream, rawEnd);
      cursor = next;
    }
  }

  async remove(): Promise<void> {
    await Promise.all([rm(this.#current, { force: true }), rm(this.#previous, { force: true })]);
    this.#size = undefined;
  }
}

function encodeRecord({ timeMs, stream, rawEnd, data }: LogRecord): string {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const text = isUtf8(buffer) ? { l: buffer.toString('utf8') } : { b: buffer.toString('base64') };
  return `${JSON.stringify({ t: timeMs, s: stream, e: rawEnd, ...text } satisfies StoredRecord)}\n`;
}

/** Lines that are no records (a machine that lost its power) are passed over. */
function decodeRecords(chunk: Buffer): readonly LogRecord[] {
  return chunk
    .toString('utf8')
    .split('\n')
    .flatMap((line) => {
      const stored = parse(line);
      if (stored === undefined) return [];
      const data = stored.b === undefined ? Buffer.from(stored.l ?? '', 'utf8') : Buffer.from(stored.b, 'base64');
      const stream = stored.s === LogStream.STDERR ? LogStream.STDERR : LogStream.STDOUT;
      return [{ timeMs: stored.t, stream, rawEnd: stored.e, data }];
    });
}

function parse(line: string): StoredRecord | undefined {
  if (line === '') return undefined;
  try {
    return JSON.parse(line) as StoredRecord;
  } catch {
    return undefined;
  }
}

/** Whole lines from an offset: at least one if there is one. */
async function readChunk(path: string, offset: number): Promise<Buffer> {
  try {
    await using file = await open(path, 'r');
    for (let size = CHUNK_BYTES; ; size *= 2) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(size), 0, size, offset);
      const end = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE) + 1;
      if (end > 0 || bytesRead < size) return buffer.subarray(0, end);
    }
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0);
    throw error;
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}
