import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { ServiceSchema, type Config, type Secret, type Version } from '../../api/index.js';
import { Code } from '../../base/index.js';
import { CALL, bytes, failure, fixture, serviceSpec, type Fixture } from './test-fixture.js';

interface SpecInit {
  readonly annotations?: { name: string; labels?: Record<string, string> };
  readonly data?: Uint8Array;
  readonly driver?: { name: string };
}

/** Secrets and configs behave alike: the methods of one of them under common names. */
interface Payloads {
  readonly kind: 'secret' | 'config';
  readonly bytesMax: number;
  readonly create: (f: Fixture, spec: SpecInit | undefined) => Promise<Secret | Config>;
  readonly get: (f: Fixture, id: string) => Promise<Secret | Config>;
  readonly update: (
    f: Fixture,
    id: string,
    version: Version | undefined,
    spec: SpecInit | undefined,
  ) => Promise<Secret | Config>;
  readonly remove: (f: Fixture, id: string) => Promise<unknown>;
}

const optional = <K extends string, V>(key: K, value: V | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };

const KINDS: readonly Payloads[] = [
  {
    kind: 'secret',
    bytesMax: 511_999,
    create: async (f, spec) => (await f.control.createSecret(optional('spec', spec), CALL)).secret!,
    get: async (f, secretId) => (await f.control.getSecret({ secretId }, CALL)).secret!,
    update: async (f, secretId, version, spec) =>
      (
        await f.control.updateSecret(
          { secretId, ...optional('secretVersion', version), ...optional('spec', spec) },
          CALL,
        )
      ).secret!,
    remove: (f, secretId) => f.control.removeSecret({ secretId }, CALL),
  },
  {
    kind: 'config',
    bytesMax: 1_023_999,
    create: async (f, spec) => (await f.control.createConfig(optional('spec', spec), CALL)).config!,
    get: async (f, configId) => (await f.control.getConfig({ configId }, CALL)).config!,
    update: async (f, configId, version, spec) =>
      (
        await f.control.updateConfig(
          { configId, ...optional('configVersion', version), ...optional('spec', spec) },
          CALL,
        )
      ).config!,
    remove: (f, configId) => f.control.removeConfig({ configId }, CALL),
  },
];

const named = (name: string): SpecInit => ({ annotations: { name }, data: bytes('data') });
const NAME_RULE =
  'invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]';

describe.each(KINDS)('a $kind', (api) => {
  const { kind, bytesMax } = api;
  const sizeRule = `${kind} data must be larger than 0 and less than ${bytesMax + 1} bytes`;

  it.each<readonly [string, SpecInit | undefined, string]>([
    ['without spec', undefined, 'invalid argument'],
    ['without name', named(''), 'name must be provided'],
    ['without annotations', { data: bytes('x') }, 'name must be provided'],
    ['with a name of 65 characters', named('a'.repeat(65)), NAME_RULE],
    ['with a name that starts with a dot', named('.a'), NAME_RULE],
    ['with a name that ends with a dash', named('a-'), NAME_RULE],
    ['with a slash in its name', named('a/b'), NAME_RULE],
    ['with no data', { ...named('a'), data: bytes('') }, sizeRule],
    ['with one byte too many', { ...named('a'), data: new Uint8Array(bytesMax + 1) }, sizeRule],
  ])('%s is refused', async (_, spec, message) => {
    const f = fixture();
    expect(await failure(api.create(f, spec))).toEqual({ code: Code.INVALID_ARGUMENT, message });
    expect(f.store.version).toBe(0n);
  });

  it.each([named('a'), named('A.b_c-9'), named('a'.repeat(64)), { ...named('big'), data: new Uint8Array(bytesMax) }])(
    'within the limits is accepted (%#)',
    async (spec) => {
      expect((await api.create(fixture(), spec)).id).toMatch(/^[0-9a-z]{25}$/);
    },
  );

  it('with a name that is taken is refused, whatever its case', async () => {
    const f = fixture();
    await api.create(f, named('a'));
    expect(await failure(api.create(f, named('A')))).toEqual({
      code: Code.ALREADY_EXISTS,
      message: `${kind} A already exists`,
    });
  });

  it('gets new labels by an update, with the same data or none', async () => {
    const f = fixture();
    const { id, meta } = await api.create(f, named('a'));
    const labels = { x: 'y' };
    const second = await api.update(f, id, meta?.version, { annotations: { name: 'a', labels } });
    expect(second.spec?.annotations?.labels).toEqual(labels);
    const third = await api.update(f, id, second.meta?.version, { annotations: { name: 'a' }, data: bytes('data') });
    expect(third.spec?.annotations?.labels).toEqual({});
    expect(f.get(kind, id)?.spec?.data).toEqual(bytes('data'));
  });

  it.each<readonly [string, SpecInit]>([
    ['name', { annotations: { name: 'b' } }],
    ['data', { annotations: { name: 'a' }, data: bytes('dat4') }],
    ['length of the data', { annotations: { name: 'a' }, data: bytes('data ') }],
  ])('keeps its %s', async (_, spec) => {
    const f = fixture();
    const { id, meta } = await api.create(f, named('a'));
    expect(await failure(api.update(f, id, meta?.version, spec))).toEqual({
      code: Code.INVALID_ARGUMENT,
      message: 'only updates to Labels are allowed',
    });
  });

  it('keeps its driver and templating silently', async () => {
    const f = fixture({ secretDriverExists: () => true });
    const { id, meta } = await api.create(f, named('a'));
    const spec = { ...named('a'), templating: { name: 'golang' }, driver: { name: 'd' } };
    const updated = await api.update(f, id, meta?.version, spec);
    expect(updated.spec?.templating).toBeUndefined();
    expect(updated.spec).not.toHaveProperty('driver', expect.anything());
  });

  it('is not updated without id, version or spec, at a stale version, or when unknown', async () => {
    const f = fixture();
    const { id, meta } = await api.create(f, named('a'));
    const version = meta?.version;
    const invalid = { code: Code.INVALID_ARGUMENT, message: 'invalid argument' };
    expect(await failure(api.update(f, '', version, named('a')))).toEqual(invalid);
    expect(await failure(api.update(f, id, undefined, named('a')))).toEqual(invalid);
    expect(await failure(api.update(f, id, version, undefined))).toEqual(invalid);
    expect(await failure(api.update(f, 'x', version, named('a')))).toEqual({
      code: Code.NOT_FOUND,
      message: `${kind} x not found`,
    });
    await api.update(f, id, version, named('a'));
    expect(await failure(api.update(f, id, version, named('a')))).toEqual({
      code: Code.UNKNOWN,
      message: 'update out of sequence',
    });
  });

  it('is read and removed by an id that exists', async () => {
    const f = fixture();
    const { id } = await api.create(f, named('a'));
    expect((await api.get(f, id)).spec?.annotations?.name).toBe('a');
    const noId = { code: Code.INVALID_ARGUMENT, message: `${kind} ID must be provided` };
    expect(await failure(api.get(f, ''))).toEqual(noId);
    expect(await failure(api.remove(f, ''))).toEqual(noId);
    expect(await failure(api.get(f, 'x'))).toEqual({ code: Code.NOT_FOUND, message: `${kind} x not found` });
    expect(await failure(api.remove(f, 'x'))).toEqual({ code: Code.NOT_FOUND, message: `could not find ${kind} x` });
    await api.remove(f, id);
    expect(f.get(kind, id)).toBeUndefined();
  });

  it('is not removed while services refer to it', async () => {
    const f = fixture();
    const { id } = await api.create(f, named('a'));
    const reference = { [`${kind}Id`]: id, [`${kind}Name`]: 'a', target: { case: 'file', value: { name: 'f' } } };
    const using = (serviceId: string, name: string) =>
      f.put(
        'service',
        create(ServiceSchema, {
          id: serviceId,
          spec: serviceSpec({
            annotations: { name },
            task: { runtime: { case: 'container', value: { image: 'i', [`${kind}s`]: [reference] } } },
          }),
        }),
      );
    const inUse = (by: string) => ({
      code: Code.INVALID_ARGUMENT,
      message: `${kind} 'a' is in use by the following ${by}`,
    });
    await using('s1', 'web');
    expect(await failure(api.remove(f, id))).toEqual(inUse('service: web'));
    await using('s2', 'db');
    expect(await failure(api.remove(f, id))).toEqual(inUse('services: web, db'));
    expect(f.get(kind, id)).toBeDefined();
  });
});

describe('secret data', () => {
  it('is in no reply', async () => {
    const f = fixture();
    const created = (await f.control.createSecret({ spec: named('a') }, CALL)).secret!;
    const { id: secretId, meta } = created;
    const replies = [
      created,
      (await f.control.getSecret({ secretId }, CALL)).secret!,
      (await f.control.listSecrets({}, CALL)).secrets[0]!,
      (await f.control.updateSecret({ secretId, secretVersion: meta?.version, spec: named('a') }, CALL)).secret!,
    ];
    for (const reply of replies) expect(reply.spec?.data).toHaveLength(0);
    expect(f.get('secret', secretId)?.spec?.data).toEqual(bytes('data'));
  });

  it('is not needed with a driver, which must have a name and exist', async () => {
    const f = fixture({ secretDriverExists: ({ name }) => name === 'vault' });
    const made = (name: string) =>
      f.control.createSecret({ spec: { annotations: { name: 'a' }, driver: { name } } }, CALL);
    expect(await failure(made(''))).toEqual({
      code: Code.INVALID_ARGUMENT,
      message: 'secret driver must have a name',
    });
    const unavailable = { code: Code.INVALID_ARGUMENT, message: 'secret driver other is not available' };
    expect(await failure(made('other'))).toEqual(unavailable);
    expect((await made('vault')).secret?.spec?.driver?.name).toBe('vault');
    const plain = fixture().control.createSecret(
      { spec: { annotations: { name: 'a' }, driver: { name: 'other' } } },
      CALL,
    );
    expect(await failure(plain)).toEqual(unavailable);
  });
});

describe('config data', () => {
  it('is in every reply', async () => {
    const f = fixture();
    const created = (await f.control.createConfig({ spec: named('a') }, CALL)).config!;
    expect(created.spec?.data).toEqual(bytes('data'));
    expect((await f.control.getConfig({ configId: created.id }, CALL)).config).toBe(created);
    expect((await f.control.listConfigs({}, CALL)).configs[0]).toBe(created);
  });
});
