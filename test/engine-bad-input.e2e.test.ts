import { connect } from 'node:net';

import { afterEach, beforeAll, describe, expect, it } from 'vitest';

import { useLab } from './support/lab.js';
import { startSwarm, type Swarm } from './support/new-swarm.js';

describe('bad input to the Engine API', () => {
  const lab = useLab();
  let swarm: Swarm;
  let newest: string;

  beforeAll(async () => {
    swarm = await startSwarm(lab, 'manager');
    await swarm.manager.engine.json('POST', '/services/create', {
      body: { Name: 'web', TaskTemplate: { ContainerSpec: { Image: 'none', Command: ['sleep', '1000'] } } },
    });
    await swarm.manager.engine.json('POST', '/configs/create', { body: { Name: 'c1', Data: 'Yw==' } });
    newest = String((await swarm.manager.engine.request('GET', '/_ping')).headers['api-version']);
  });

  afterEach(async () => {
    expect((await swarm.manager.engine.request('GET', '/services')).status).toBe(200);
  });

  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<readonly [number, string]> => {
    const { status, text } = await swarm.manager.engine.request(method, path, { body, headers });
    return [status, text.startsWith('{"message":') ? (JSON.parse(text) as { message: string }).message : text];
  };
  const filters = (text: string): string => `/services?filters=${encodeURIComponent(text)}`;

  it.each([
    ['E-103', 'GET', '/v1.99/services', 400, 'client version 1.99 is too new. Maximum supported API version is NEWEST'],
    [
      'E-103',
      'GET',
      '/v1.11/services',
      400,
      /^client version 1\.11 is too old\. Minimum supported API version is 1\.\d+, please upgrade your client to a newer version$/,
    ],
    ['E-105', 'GET', '/no/such/path', 404, 'page not found'],
    ['E-105', 'PUT', '/services', 404, 'page not found'],
    ['E-105', 'DELETE', '/services', 404, 'page not found'],
    ['E-109', 'GET', '/services?status=perhaps', 400, /invalid/],
    ['E-110', 'GET', filters('{bad'), 400, 'invalid filter'],
    ['E-110', 'GET', filters('{"foo":{"x":true}}'), 400, "invalid filter 'foo'"],
    [
      'E-112',
      'POST',
      '/services/web/update?version=x',
      400,
      'invalid service version \'x\': strconv.ParseUint: parsing "x": invalid syntax',
    ],
    [
      'E-112',
      'POST',
      '/swarm/update',
      400,
      'invalid swarm version \'\': strconv.ParseUint: parsing "": invalid syntax',
    ],
    [
      'E-112',
      'POST',
      '/nodes/self/update?version=-1',
      400,
      'invalid node version \'-1\': strconv.ParseUint: parsing "-1": invalid syntax',
    ],
    ['E-112', 'POST', '/configs/c1/update?version=', 400, 'invalid config version'],
    ['E-212', 'GET', '/nodes/self', 404, 'node self not found'],
    ['E-221', 'GET', '/services/none', 404, 'service none not found'],
    ['E-233', 'GET', '/services/web/logs', 500, 'Bad parameters: you must choose at least one stream'],
    ['E-233', 'GET', '/services/web/logs?stdout=1&tail=-1', 500, 'negative tail values not supported'],
  ])('%s: %s %s', async (_row, method, path, status, message) => {
    const body = method === 'POST' ? {} : undefined;
    const [seen, text] = await ask(method, path, body);
    const expected: unknown =
      typeof message === 'string' ? message.replace('NEWEST', newest) : expect.stringMatching(message);
    expect([seen, text.trim()]).toEqual([status, expected]);
  });

  it('E-104: gives errors as a JSON object with one field', async () => {
    const { status, headers, text } = await swarm.manager.engine.request('GET', '/services/none');
    expect([status, headers['content-type'], text]).toEqual([
      404,
      'application/json',
      '{"message":"service none not found"}\n',
    ]);
  });

  it.each([
    ['garbage', '{"Name":', {}, /^invalid JSON: /],
    ['an array', '[1]', {}, /^invalid JSON: /],
    ['two documents', '{}{}', {}, /^unexpected content after JSON$/],
    ['a wrong type', '{"Name":1}', {}, /^invalid JSON: /],
    [
      'another content type',
      '{}',
      { 'content-type': 'text/plain' },
      /^unsupported Content-Type header \(text\/plain\): must be 'application\/json'$/,
    ],
    ['bad base64', '{"Name":"c2","Data":"***"}', {}, /illegal base64 data at input byte 0/],
  ])('E-107, E-108: refuses a body that is %s', async (_, body, headers, message) => {
    expect(await ask('POST', '/configs/create', body, headers)).toEqual([400, expect.stringMatching(message)]);
    expect((await ask('GET', '/configs/c2'))[0]).toBe(404);
  });

  it('E-108: finds keys in any case and ignores those it does not know', async () => {
    expect((await ask('POST', '/configs/create', '{"nAME":"odd","dATA":"Yw==","Unknown":{"a":1}}'))[0]).toBe(201);
    expect((await ask('DELETE', '/configs/odd'))[0]).toBe(204);
  });

  it('E-113: refuses a stale version in the words clients look for', async () => {
    const { Version, Spec } = await swarm.manager.engine.json<{ Version: { Index: number }; Spec: object }>(
      'GET',
      '/services/web',
    );
    expect(await ask('POST', `/services/web/update?version=${Version.Index - 1}`, Spec)).toEqual([
      500,
      'rpc error: code = Unknown desc = update out of sequence',
    ]);
  });

  it('survives broken HTTP', async () => {
    for (const text of [
      'garbage\r\n\r\n',
      'POST /services/create HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"',
      '\0\0\0\0',
    ]) {
      await new Promise<void>((resolve) => {
        const socket = connect(swarm.manager.socketPath, () => socket.end(text));
        socket.on('error', () => undefined);
        socket.on('close', () => resolve());
        socket.resume();
      });
    }
    const huge = swarm.manager.engine.request('GET', `/services?filters=${'x'.repeat(200_000)}`);
    const status = await huge.then(
      (answer) => answer.status,
      () => 'closed',
    );
    expect([431, 'closed']).toContain(status);
  });
});
