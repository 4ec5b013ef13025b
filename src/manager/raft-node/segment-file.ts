import type { Disk, DiskFile } from '../../base/index.js';
import { encodeBatch, type NewRecord } from './record.js';
import { encodeHeader, HEADER_BYTES } from './segment.js';

/** Only the node's own user may read what the cluster's secrets are in. */
export const FILE_MODE = 0o600;

/** As {@link FILE_MODE}, for directories. */
export const DIRECTORY_MODE = 0o700;

/** Ends the names of files that are not complete yet; a start removes them. */
export const TEMPORARY_SUFFIX = '.tmp';

const SEGMENT_NAME = /^[0-9a-f]{16}\.wal$/;

/** One file of a log. */
export interface Segment {
  readonly path: string;
  readonly salt: number;
  readonly sequence: bigint;
  /** Index of the newest entry when the segment began. */
  readonly baseIndex: bigint;
}

/** The newest segment, and where the next batch goes. */
export interface Tail {
  readonly segment: Segment;
  readonly file: DiskFile;
  end: number;
  /** Bytes that the file already has; those from `end` on are zero. */
  allocated: number;
}

/** Path of a segment by its number. */
export function segmentPath(directory: string, sequence: bigint): string {
  return `${directory}/${sequence.toString(16).padStart(16, '0')}.wal`;
}

/** Numbers of the segments in a directory, ascending. */
export async function listSegments(disk: Disk, directory: string): Promise<readonly bigint[]> {
  const entries = await disk.list(directory);
  const names = entries.map((entry) => entry.name).filter((name) => SEGMENT_NAME.test(name));
  return names.map((name) => BigInt(`0x${name.slice(0, 16)}`));
}

/** Removes what a crash left of files that were being written. */
export async function removeTemporaryFiles(disk: Disk, directory: string): Promise<void> {
  for (const entry of await disk.list(directory)) {
    if (entry.name.endsWith(TEMPORARY_SUFFIX)) await disk.remove(`${directory}/${entry.name}`);
  }
}

/** What a new segment starts with. */
export interface SegmentStart {
  readonly sequence: bigint;
  readonly salt: number;
  readonly batch: bigint;
  readonly baseIndex: bigint;
  readonly records: readonly NewRecord[];
}

/** Makes a segment that, once its name is there, has a whole header and a whole first batch. */
export async function createSegment(disk: Disk, directory: string, start: SegmentStart): Promise<Tail> {
  const path = segmentPath(directory, start.sequence);
  const temporary = `${path}${TEMPORARY_SUFFIX}`;
  const header = encodeHeader('SWARMLOG', { salt: start.salt, sequence: start.sequence, firstBatch: start.batch });
  const batch = encodeBatch(start.records, start.batch, start.salt);
  await disk.remove(temporary);
  const file = await disk.open(temporary, { create: true, mode: FILE_MODE });
  try {
    await file.write(0, [header, batch]);
    await file.sync();
    await disk.rename(temporary, path);
    await disk.syncDirectory(directory);
  } catch (error) {
    await file.close();
    throw error;
  }
  const { sequence, salt, baseIndex } = start;
  const end = HEADER_BYTES + batch.length;
  return { segment: { path, salt, sequence, baseIndex }, file, end, allocated: end };
}
