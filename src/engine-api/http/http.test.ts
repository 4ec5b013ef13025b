import { expect, test } from 'vitest';

import { Code, SILENT_LOGGER, SwarmError } from '../../base/index.js';
import { ApiError } from './api-error.js';
import { jsonListResponse, jsonResponse, JsonObject, parseJson, printJson, readJsonBody } from './json.js';
import type { HttpRequest, HttpResponse } from './message.js';
import { Filters, looseBoolean, strictBoolean, versionParameter } from './query.js';
import { Router, type IncomingRequest } from './router.js';

const router = new Router(
  { apiVersion: '1.41', minApiVersion: '1.24', productVersion: '20.10.24' },
  {
    log: SILENT_LOGGER,
    routes: [
      { method: 'GET', path: '/things/:id', handler: async ({ params }) => jsonResponse(200, params) },
      {
        method: 'POST',
        path: '/things',
        handler: async (request) => jsonResponse(201, (await readJsonBody(request)).string('name')),
      },
      {
        method: 'GET',
        path: '/fails/grpc',
        handler: () => Promise.reject(new SwarmError(Code.NOT_FOUND, 'node x not found')),
      },
      { method: 'GET', path: '/fails/api', handler: () => Promise.reject(new ApiError('conflict', 'taken')) },
      { method: 'GET', path: '/fails/plain', handler: () => Promise.reject(new Error('broken')) },
    ],
  },
);

function request(method: string, path: string, options: { body?: string; contentType?: string } = {}): IncomingRequest {
  const url = new URL(path, 'http://engine');
  return {
    method,
    path: url.pathname,
    query: url.searchParams,
    headers: new Map(options.contentType === undefined ? [] : [['content-type', options.contentType]]),
    body: async () => new TextEncoder().encode(options.body ?? ''),
    signal: new AbortController().signal,
  };
}

async function messageOf(response: HttpResponse): Promise<unknown> {
  return (JSON.parse(response.body as string) as { message: unknown }).message;
}

test('every route is served bare and under a version, with the headers of an engine', async () => {
  for (const path of ['/things/a1', '/v1.41/things/a1', '/v1.30/things/a1']) {
    const response = await router.handle(request('GET', path));
    expect(response).toMatchObject({
      status: 200,
      body: '{"id":"a1"}\n',
      headers: {
        'Api-Version': '1.41',
        Ostype: 'linux',
        Server: 'Docker/20.10.24 (linux)',
        'Docker-Experimental': 'false',
      },
    });
  }
});

test('an unknown path and a wrong method are both 404, without the headers', async () => {
  for (const [method, path] of [
    ['GET', '/nothing'],
    ['POST', '/things/a1'],
    ['HEAD', '/things/a1'],
  ] as const) {
    const response = await router.handle(request(method, path));
    expect(response.status).toBe(404);
    expect(await messageOf(response)).toBe('page not found');
    expect(response.headers).not.toHaveProperty('Server');
  }
});

test('OPTIONS is answered on anything', async () => {
  expect(await router.handle(request('OPTIONS', '/nothing'))).toEqual({ status: 200 });
});

test('versions out of range are refused in words, those below 1.24 in plain text', async () => {
  const tooNew = await router.handle(request('GET', '/v1.99/things/a'));
  expect(tooNew.status).toBe(400);
  expect(await messageOf(tooNew)).toBe('client version 1.99 is too new. Maximum supported API version is 1.41');
  const tooOld = await router.handle(request('GET', '/v1.11/things/a'));
  expect(tooOld).toMatchObject({ status: 400, headers: { 'Content-Type': 'text/plain; charset=utf-8' } });
  expect(tooOld.body).toBe(
    'client version 1.11 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version\n',
  );
});

test.each([
  ['/fails/grpc', 404, 'rpc error: code = NotFound desc = node x not found'],
  ['/fails/api', 409, 'taken'],
  ['/fails/plain', 500, 'broken'],
])('%s answers %i', async (path, status, message) => {
  const response = await router.handle(request('GET', path));
  expect(response.status).toBe(status);
  expect(await messageOf(response)).toBe(message);
});

test.each([
  ['text/plain', '{}', "unsupported Content-Type header (text/plain): must be 'application/json'"],
  ['application/json', '  ', 'invalid JSON: got EOF while reading request body'],
  ['', '{}', 'malformed Content-Type header (): mime: no media type'],
  ['a/', '{}', 'malformed Content-Type header (a/): mime: expected token after slash'],
  [
    'text/plain; charset=utf-8',
    '',
    "unsupported Content-Type header (text/plain; charset=utf-8): must be 'application/json'",
  ],
  ['application/json; charset=utf-8', '{', 'invalid JSON: unexpected EOF'],
  ['application/json', '{} {}', 'unexpected content after JSON'],
  ['application/json', 'nonsense', "invalid JSON: invalid character 'o' in literal null (expecting 'u')"],
  ['application/json', '[]', 'invalid JSON: json: cannot unmarshal array into Go value of type object'],
  [
    'application/json',
    '{"NAME":3}',
    'invalid JSON: json: cannot unmarshal number into Go struct field name of type string',
  ],
])('a body of type %s with %s is refused', async (contentType, body, message) => {
  const response = await router.handle(request('POST', '/things', { body, contentType }));
  expect(response.status).toBe(400);
  expect(await messageOf(response)).toBe(message);
});

test('garbage is refused as invalid JSON, an empty body without a type is all defaults', async () => {
  const garbage = await router.handle(request('POST', '/things', { body: '{"a"', contentType: 'application/json' }));
  expect(await messageOf(garbage)).toBe('invalid JSON: unexpected EOF');
  expect((await router.handle(request('POST', '/things'))).body).toBe('""\n');
  expect((await router.handle(request('POST', '/things', { contentType: 'application/json' }))).body).toBe('""\n');
});

test('keys match without regard to case, null is absent, unknown keys are ignored', () => {
  const json = new JsonObject(parseJson('{"NaMe":"a","Gone":null,"Big":9007199254740993,"x":1}') as never, '');
  expect(json.string('Name')).toBe('a');
  expect(json.has('gone')).toBe(false);
  expect(json.integer('Big')).toBe(9_007_199_254_740_993n);
  expect(json.optionalInteger('Missing')).toBeUndefined();
});

test.each([
  ['{"V":-1}', 'unsigned', 'uint64'],
  ['{"V":1.5}', 'integer', 'int64'],
  ['{"V":9223372036854775808}', 'integer', 'int64'],
  ['{"V":4294967296}', 'unsigned32', 'uint32'],
  ['{"V":"true"}', 'boolean', 'bool'],
] as const)('%s is not read as %s', (text, method, type) => {
  const json = new JsonObject(parseJson(text) as never, 'Spec');
  expect(() => json[method]('V')).toThrow(new RegExp(`into Go struct field Spec.V of type ${type}`));
});

test('bytes are base64', () => {
  const json = new JsonObject({ good: 'aGVsbG8=', bad: '!!!!', short: 'abc' }, '');
  expect(new TextDecoder().decode(json.bytes('good'))).toBe('hello');
  expect(json.bytes('absent')).toHaveLength(0);
  expect(() => json.bytes('bad')).toThrow('illegal base64 data at input byte 0');
  expect(() => json.bytes('short')).toThrow('illegal base64 data at input byte 0');
});

test('64-bit integers are printed exactly', () => {
  expect(printJson({ Index: 18_446_744_073_709_551_615n, Html: '<&>', Gone: undefined })).toBe(
    '{"Index":18446744073709551615,"Html":"<&>"}',
  );
});

test('long lists are sent in slices that together are one array', async () => {
  const items = Array.from({ length: 1001 }, (_, index) => index);
  let yields = 0;
  const response = jsonListResponse(
    items,
    (n) => ({ n }),
    async () => void yields++,
  );
  let text = '';
  for await (const chunk of response.body as AsyncIterable<string>) text += chunk;
  expect((JSON.parse(text) as { n: number }[]).map(({ n }) => n)).toEqual(items);
  expect(yields).toBeGreaterThan(3);
  expect(jsonListResponse([], String, async () => undefined).body).toBe('[]\n');
});

test('loose booleans take nearly anything as true, strict ones refuse nonsense', () => {
  const query = new URLSearchParams('a=1&b=False&c=none&d=banana&e=');
  expect(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => looseBoolean(query, name))).toEqual([
    true,
    false,
    false,
    true,
    false,
    false,
  ]);
  expect(strictBoolean(query, 'a')).toBe(true);
  expect(strictBoolean(query, 'b')).toBe(false);
  expect(() => strictBoolean(query, 'd')).toThrow('strconv.ParseBool: parsing "banana": invalid syntax');
});

test.each([
  ['', 'parsing "": invalid syntax'],
  ['-1', 'parsing "-1": invalid syntax'],
  ['18446744073709551616', 'parsing "18446744073709551616": value out of range'],
])('version %j is refused', (text, reason) => {
  const query = new URLSearchParams({ version: text });
  expect(() => versionParameter(query, (given) => `invalid swarm version '${given}'`)).toThrow(
    `invalid swarm version '${text}': strconv.ParseUint: ${reason}`,
  );
});

test('filters are read in both shapes', () => {
  const asMap = Filters.parse(new URLSearchParams({ filters: '{"id":{"a":true,"b":false}}' }), ['id', 'label']);
  expect(asMap.get('id')).toEqual(['a', 'b']);
  const asList = Filters.parse(new URLSearchParams({ filters: '{"label":["k=v=w","bare"]}' }), ['id', 'label']);
  expect(asList.labels('label')).toEqual({ k: 'v=w', bare: '' });
  expect(Filters.parse(new URLSearchParams(), ['id']).has('id')).toBe(false);
});

test.each([
  ['banana', 'invalid filter'],
  ['[]', 'invalid filter'],
  ['{"id":3}', 'invalid filter'],
  ['{"foo":["x"]}', "invalid filter 'foo'"],
])('filters=%s is refused', (filters, message) => {
  expect(() => Filters.parse(new URLSearchParams({ filters }), ['id'])).toThrow(message);
});

test('a request knows its version', async () => {
  const seen: HttpRequest[] = [];
  const versions = new Router(
    { apiVersion: '1.41', minApiVersion: '1.24', productVersion: '1' },
    {
      log: SILENT_LOGGER,
      routes: [{ method: 'GET', path: '/x', handler: async (r) => (seen.push(r), { status: 200 }) }],
    },
  );
  await versions.handle(request('GET', '/v1.30/x'));
  await versions.handle(request('GET', '/x'));
  expect(seen.map(({ version }) => [version.text, version.lessThan('1.31'), version.lessThan('1.9')])).toEqual([
    ['1.30', true, false],
    ['1.41', false, false],
  ]);
});
