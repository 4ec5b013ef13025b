import { open, rm, truncate } from 'node:fs/promises';

import { LogStream } from '../../api/index.js';
import { isMissing } from './files.js';
import type { TaskPaths } from './paths.js';
import type { LogRecord, TaskLog } from './task-log.js';

/** Bytes read from a stream in one go. */
const CHUNK_BYTES = 256 * 1024;
/** Longer lines are cut in pieces. Source: the Docker Engine's log copier. */
const LINE_BYTES_MAX = 16 * 1024;
/** Raw output that has been read is thrown away once it is as long as this. */
const RAW_BYTES_MAX = 8 * 1024 * 1024;
/** A task that writes faster than can be read loses what is older than this much. */
const BACKLOG_BYTES_MAX = 64 * 1024 * 1024;
const NEWLINE = 0x0a;

interface RawStream {
  readonly stream: LogStream;
  readonly path: string;
  position: number;
}

/** Moves what a task has written to its raw output files into its log. */
export class TaskOutput {
  #streams: readonly RawStream[] | undefined;

  constructor(
    readonly paths: TaskPaths,
    readonly log: TaskLog,
  ) {}

  /**
   * Reads once from each stream; whether there may be more. `ended`: nothing will be added, so that an
   * unfinished line counts as well.
   */
  async read(nowMs: number, ended: boolean): Promise<boolean> {
    this.#streams ??= await this.#open();
    let more = false;
    for (const raw of this.#streams) more = (await this.#readStream(raw, nowMs, ended)) || more;
    return more;
  }

  /** Removes the raw files; the log stays. */
  async discard(): Promise<void> {
    await Promise.all([rm(this.paths.stdout, { force: true }), rm(this.paths.stderr, { force: true })]);
  }

  async #open(): Promise<readonly RawStream[]> {
    const positions = await this.log.rawPositions();
    return [
      { stream: LogStream.STDOUT, path: this.paths.stdout, position: positions.get(LogStream.STDOUT) ?? 0 },
      { stream: LogStream.STDERR, path: this.paths.stderr, position: positions.get(LogStream.STDERR) ?? 0 },
    ];
  }

  async #readStream(raw: RawStream, nowMs: number, ended: boolean): Promise<boolean> {
    const { chunk, size } = await readFrom(raw);
    const { records, consumed } = splitLines(chunk, raw, nowMs, ended && raw.position + chunk.length >= size);
    await this.log.append(records);
    raw.position += consumed;
    if (raw.position >= RAW_BYTES_MAX && raw.position === size) await this.#empty(raw, nowMs);
    return consumed > 0 && raw.position < size;
  }

  /** What is written between reading and this is lost: the price of a file that nobody has to reopen. */
  async #empty(raw: RawStream, nowMs: number): Promise<void> {
    await truncate(raw.path, 0);
    raw.position = 0;
    await this.log.append([{ timeMs: nowMs, stream: raw.stream, rawEnd: 0, data: new Uint8Array() }]);
  }
}

async function readFrom(raw: RawStream): Promise<{ readonly chunk: Buffer; readonly size: number }> {
  try {
    await using file = await open(raw.path, 'r');
    const { size } = await file.stat();
    if (size < raw.position) raw.position = 0;
    if (size - raw.position > BACKLOG_BYTES_MAX) raw.position = size - RAW_BYTES_MAX;
    if (size === raw.position) return { chunk: Buffer.alloc(0), size };
    const length = Math.min(CHUNK_BYTES, size - raw.position);
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, raw.position);
    return { chunk: buffer.subarray(0, bytesRead), size };
  } catch (error) {
    if (isMissing(error)) return { chunk: Buffer.alloc(0), size: 0 };
    throw error;
  }
}

/** Whole lines with their line ends; too long ones in pieces; with `flush` also an unfinished last one. */
export function splitLines(
  chunk: Uint8Array,
  { stream, position }: Pick<RawStream, 'stream' | 'position'>,
  timeMs: number,
  flush: boolean,
): { readonly records: readonly LogRecord[]; readonly consumed: number } {
  const records: LogRecord[] = [];
  let consumed = 0;
  while (consumed < chunk.length) {
    const newline = chunk.indexOf(NEWLINE, consumed);
    let end = newline === -1 ? chunk.length : newline + 1;
    if (end - consumed > LINE_BYTES_MAX) end = consumed + LINE_BYTES_MAX;
    else if (newline === -1 && !flush) break;
    records.push({ timeMs, stream, rawEnd: position + end, data: chunk.subarray(consumed, end) });
    consumed = end;
  }
  return { records, consumed };
}
