import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { Code, LinkedController, canceled, isSwarmError } from '../../base/index.js';
import { parseEngineAddress } from './address.js';
import { DockerClient } from './client.js';
import { jsonMessages } from './json-stream.js';
import { logFrames, parseLogLine, rawLines } from './log-frames.js';

const NEVER = new AbortController().signal;

async function* pieces(data: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer, void, undefined> {
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    yield data.subarray(from, Math.min(cut, data.length));
    from = Math.min(cut, data.length);
  }
  yield data.subarray(from);
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

function frame(stream: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

describe('the address of an engine', () => {
  it('is a socket or a port', () => {
    expect(parseEngineAddress('unix:///run/docker.sock')).toEqual({ kind: 'unix', path: '/run/docker.sock' });
    expect(parseEngineAddress('/run/docker.sock')).toEqual({ kind: 'unix', path: '/run/docker.sock' });
    expect(parseEngineAddress('tcp://10.0.0.1:1234')).toEqual({ kind: 'tcp', host: '10.0.0.1', port: 1234 });
    expect(parseEngineAddress('tcp://[::1]')).toEqual({ kind: 'tcp', host: '::1', port: 2375 });
  });

  it.each(['', 'docker.sock', 'ssh://host', 'tcp://', 'tcp://a:b'])('is not %j', (text) => {
    expect(() => parseEngineAddress(text)).toThrow('invalid engine address');
  });
});

describe('streams of the engine', () => {
  it('of frames come whole, however they were cut', async () => {
    const data = Buffer.concat([frame(1, 'out\n'), frame(2, 'err\n'), frame(1, '')]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(data.length)), async (cuts) => {
        const frames = await all(logFrames(pieces(data, cuts)));
        expect(frames.map(({ stream, data: text }) => [stream, text.toString()])).toEqual([
          ['stdout', 'out\n'],
          ['stderr', 'err\n'],
          ['stdout', ''],
        ]);
      }),
    );
  });

  it('tell the errors of the engine and refuse what is no frame', async () => {
    await expect(all(logFrames(pieces(frame(3, 'error from daemon\n'), [])))).rejects.toThrow('error from daemon');
    await expect(all(logFrames(pieces(Buffer.alloc(16, 0xff), [])))).rejects.toThrow('malformed');
  });

  it('of a terminal are lines', async () => {
    const lines = await all(rawLines(pieces(Buffer.from('a\r\nb\nc'), [1, 4])));
    expect(lines.map(({ data }) => data.toString())).toEqual(['a\r\n', 'b\n', 'c']);
  });

  it('of JSON are messages, however they were cut', async () => {
    const data = Buffer.from('{"a":1}\r\n\n{"a":"ü"}\n{"a":3}');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(data.length)), async (cuts) => {
        expect(await all(jsonMessages(pieces(data, cuts)))).toEqual([{ a: 1 }, { a: 'ü' }, { a: 3 }]);
      }),
    );
  });
});

describe('a line of a log', () => {
  it('has a time to the nanosecond and attributes', () => {
    const line = parseLogLine(Buffer.from('2024-05-06T07:08:09.123456789Z a=1,b%20c=x%3Dy the text\n'));
    expect(line).toEqual({
      seconds: BigInt(Date.UTC(2024, 4, 6, 7, 8, 9) / 1000),
      nanos: 123_456_789,
      attributes: [
        ['a', '1'],
        ['b c', 'x=y'],
      ],
      data: Buffer.from('the text\n'),
    });
  });

  it('without attributes has an empty place for them', () => {
    const { attributes, data } = parseLogLine(Buffer.from('2024-05-06T07:08:09Z  two words\n'));
    expect({ attributes, data: data.toString() }).toEqual({ attributes: [], data: 'two words\n' });
  });

  it('that has no time is all text', () => {
    expect(parseLogLine(Buffer.from('no time here\n')).data.toString()).toBe('no time here\n');
    expect(parseLogLine(Buffer.from('nospace')).data.toString()).toBe('nospace');
  });
});

describe('the client', () => {
  let dir: string;
  let server: Server;
  let client: DockerClient;
  let seen: string[];
  let answer: (request: IncomingMessage, response: ServerResponse, body: string) => void;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'swarmkit-client-'));
    seen = [];
    answer = (_, response) => response.end('{}');
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen.push(`${request.method} ${request.url}`);
        if (request.url === '/_ping') response.setHeader('Api-Version', '1.41').end('OK');
        else answer(request, response, Buffer.concat(chunks).toString());
      });
    });
    const socket = join(dir, 'engine.sock');
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    client = new DockerClient(`unix://${socket}`);
  });
  afterEach(() => {
    client.close();
    server.close();
    server.closeAllConnections();
    rmSync(dir, { recursive: true, force: true });
  });

  it('asks once for the version and then uses the older one of both', async () => {
    await client.json({ method: 'GET', path: '/info' }, NEVER);
    await client.json({ method: 'GET', path: '/x', query: { a: 'b c', left: undefined, n: 1 } }, NEVER);
    expect(seen).toEqual(['GET /_ping', 'GET /v1.41/info', 'GET /v1.41/x?a=b+c&n=1']);
  });

  it('sends JSON and reads JSON; an empty answer is undefined', async () => {
    answer = (request, response, body) => response.end(`{"type":"${request.headers['content-type']}","got":${body}}`);
    const request = { method: 'POST', path: '/x', body: { a: 1 } } as const;
    expect(await client.json(request, NEVER)).toEqual({ type: 'application/json', got: { a: 1 } });
    answer = (_, response) => response.writeHead(204).end();
    expect(await client.json(request, NEVER)).toBeUndefined();
  });

  it.each([
    [400, Code.INVALID_ARGUMENT],
    [403, Code.PERMISSION_DENIED],
    [404, Code.NOT_FOUND],
    [409, Code.ALREADY_EXISTS],
    [500, Code.UNKNOWN],
    [503, Code.UNAVAILABLE],
  ])('gives the text of an answer with status %i', async (status, code) => {
    answer = (_, response) => response.writeHead(status).end('{"message":"what the engine says"}');
    const error = await client.json({ method: 'GET', path: '/x' }, NEVER).catch((reason: unknown) => reason);
    expect(isSwarmError(error, code)).toBe(true);
    expect(error).toMatchObject({ message: 'what the engine says', details: { status } });
  });

  it('ends a stream when its reader stops or gives up', async () => {
    let closed = 0;
    answer = (_, response) => {
      response.write('{"n":1}\n');
      response.on('close', () => closed++);
    };
    for await (const message of jsonMessages(client.stream({ method: 'GET', path: '/events' }, NEVER))) {
      expect(message).toEqual({ n: 1 });
      break;
    }
    const abort = new LinkedController(NEVER);
    const reading = (async () => {
      for await (const _ of client.stream({ method: 'GET', path: '/events' }, abort.signal))
        abort.abort(canceled('the reader'));
    })();
    await expect(reading).rejects.toThrow('the reader was stopped');
    await expect.poll(() => closed).toBe(2);
  });

  it('says that nobody answers', async () => {
    const away = new DockerClient(`unix://${dir}/nobody.sock`);
    const error = await away.json({ method: 'GET', path: '/x' }, NEVER).catch((reason: unknown) => reason);
    expect(isSwarmError(error, Code.UNAVAILABLE)).toBe(true);
    expect(String(error)).toContain(`cannot reach the Docker Engine at unix://${dir}/nobody.sock`);
    away.close();
  });
});
