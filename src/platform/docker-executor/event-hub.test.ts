import { createServer, type Server, type ServerResponse } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { SILENT_LOGGER, WakeUp } from '../../base/index.js';
import { SystemClock } from '../clock.js';
import { DockerClient } from '../docker-client/index.js';
import { EventHub } from './event-hub.js';

const NEVER = new AbortController().signal;

let dir: string;
let server: Server;
let hub: EventHub;
let streams: ServerResponse[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'swarmkit-events-'));
  streams = [];
  server = createServer((request, response) => {
    if (request.url === '/_ping') response.end('OK');
    else {
      response.flushHeaders();
      streams.push(response);
    }
  });
  const socket = join(dir, 'engine.sock');
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  hub = new EventHub(new DockerClient(`unix://${socket}`), new SystemClock(), SILENT_LOGGER);
});
afterEach(() => {
  hub.close();
  server.close();
  server.closeAllConnections();
  rmSync(dir, { recursive: true, force: true });
});

function send(name: string): void {
  const event = { Type: 'container', Action: 'die', Actor: { ID: 'x', Attributes: { name } } };
  streams.at(-1)?.write(`${JSON.stringify(event)}\n`);
}

describe('events of the engine', () => {
  it('wake up those whose container it is, over one stream for all', async () => {
    const [one, two] = [new WakeUp(), new WakeUp()];
    using _ = hub.listen('one', one);
    using __ = hub.listen('two', two);
    await Promise.all([one.wait(NEVER), two.wait(NEVER)]);
    let woken = false;
    const other = new AbortController();
    const sleeping = two.wait(other.signal).then(
      () => (woken = true),
      () => undefined,
    );
    send('one');
    await one.wait(NEVER);
    other.abort();
    await sleeping;
    expect(woken).toBe(false);
    expect(streams).toHaveLength(1);
  });

  it('make everybody look after a gap', async () => {
    const wakeUp = new WakeUp();
    using _ = hub.listen('one', wakeUp);
    await wakeUp.wait(NEVER);
    streams[0]?.destroy();
    await wakeUp.wait(NEVER);
    expect(streams).toHaveLength(2);
  });
});
