import { createReadStream } from 'node:fs';
import { connect } from 'node:net';

import { errorText } from '../../base/index.js';
import type { Terminal } from './terminal.js';
import { UsageError } from './usage-error.js';

/** What the operating system answers, in words a user can act on. */
const CAUSES: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ECONNREFUSED: 'nobody listens on it',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
  ENOTDIR: 'no such file',
  ENOTSOCK: 'it is not a socket',
};

/** This process's own terminal or pipes. */
export class ProcessTerminal implements Terminal {
  constructor() {
    // The reader of our output may leave before its end, as `head` does: there is nobody left to tell.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
    process.stderr.on('error', () => process.exit(1));
  }

  get columns(): number | undefined {
    return process.stdout.isTTY ? process.stdout.columns : undefined;
  }

  get errorColumns(): number | undefined {
    return process.stderr.isTTY ? process.stderr.columns : undefined;
  }

  get isInputTyped(): boolean {
    return process.stdin.isTTY;
  }

  write(data: string | Uint8Array): Promise<void> {
    return written(process.stdout, data);
  }

  writeError(data: string | Uint8Array): Promise<void> {
    return written(process.stderr, data);
  }

  readInput(bytesMax: number): Promise<Uint8Array> {
    return bounded(process.stdin, 'standard input', bytesMax);
  }

  readFile(path: string, bytesMax: number): Promise<Uint8Array> {
    return bounded(createReadStream(path), path, bytesMax);
  }
}

/** Why nothing answers on a socket; undefined where somebody listens. */
export function socketProblem(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once('error', (error) => resolve(causeOf(error)));
  });
}

function written(stream: NodeJS.WriteStream, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    stream.write(data, () => resolve());
  });
}

async function bounded(stream: AsyncIterable<Uint8Array>, name: string, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      bytes += chunk.length;
      if (bytes > bytesMax) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw new UsageError(`cannot read ${name}: ${causeOf(error)}`);
  }
  if (bytes > bytesMax) throw new UsageError(`${name} is longer than ${bytesMax} bytes`);
  return Buffer.concat(chunks);
}

function causeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return CAUSES[code] ?? errorText(error);
}
