import { Code, SwarmError } from '../../base/index.js';

/** Bytes before each frame: stream, three zeros, length (big endian). Source: Docker Engine API, attach. */
const HEADER_BYTES = 8;
/** A line of a log is at most 16 KiB with its attributes before it; anything far beyond is no log. */
const FRAME_BYTES_MAX = 16 * 1024 * 1024;

/** A frame of multiplexed output. */
export interface Frame {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
}

/** The frames of a multiplexed stream; those of a stream of the engine's own (its errors) fail. */
export async function* logFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<Frame, void, undefined> {
  let buffer: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    buffer = buffer.length === 0 ? chunk : Buffer.concat([buffer, chunk]);
    while (buffer.length >= HEADER_BYTES) {
      const length = buffer.readUInt32BE(4);
      if (length > FRAME_BYTES_MAX) throw new SwarmError(Code.DATA_LOSS, 'the log stream of the engine is malformed');
      if (buffer.length < HEADER_BYTES + length) break;
      const data = buffer.subarray(HEADER_BYTES, HEADER_BYTES + length);
      if (buffer[0] === 3) throw new SwarmError(Code.UNKNOWN, data.toString('utf8').trim());
      yield { stream: buffer[0] === 2 ? 'stderr' : 'stdout', data };
      buffer = buffer.subarray(HEADER_BYTES + length);
    }
  }
}

/** Lines with their line ends, of the raw stream that a container with a terminal has. */
export async function* rawLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Frame, void, undefined> {
  let buffer: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    buffer = Buffer.concat([buffer, chunk]);
    for (let at = buffer.indexOf(0x0a); at !== -1; at = buffer.indexOf(0x0a)) {
      yield { stream: 'stdout', data: buffer.subarray(0, at + 1) };
      buffer = buffer.subarray(at + 1);
    }
  }
  if (buffer.length > 0) yield { stream: 'stdout', data: buffer };
}

/** A line of a log taken apart: `time attributes text`, as `timestamps` and `details` ask for. */
export interface LogLine {
  /** Seconds since the epoch and nanoseconds. */
  readonly seconds: bigint;
  readonly nanos: number;
  readonly attributes: readonly (readonly [string, string])[];
  readonly data: Buffer;
}

const SPACE = 0x20;

/** Takes a line apart; one without a time has been there without one. */
export function parseLogLine(line: Buffer): LogLine {
  const afterTime = line.indexOf(SPACE);
  const time = parseTime(line.subarray(0, Math.max(0, afterTime)).toString('latin1'));
  if (time === undefined) return { seconds: 0n, nanos: 0, attributes: [], data: line };
  const afterAttributes = line.indexOf(SPACE, afterTime + 1);
  if (afterAttributes === -1) return { ...time, attributes: [], data: line.subarray(afterTime + 1) };
  const text = line.subarray(afterTime + 1, afterAttributes).toString('utf8');
  return { ...time, attributes: parseAttributes(text), data: line.subarray(afterAttributes + 1) };
}

function parseTime(text: string): Pick<LogLine, 'seconds' | 'nanos'> | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return undefined;
  const [, time, fraction = '', zone] = match;
  return { seconds: BigInt(Date.parse(`${time}${zone}`)) / 1000n, nanos: Number(fraction.padEnd(9, '0')) };
}

function parseAttributes(text: string): readonly (readonly [string, string])[] {
  if (text === '') return [];
  return text.split(',').map((pair) => {
    const [key = '', value = ''] = pair.split('=', 2).map(decoded);
    return [key, value] as const;
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
