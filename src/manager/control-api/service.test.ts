import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import {
  ConfigSchema,
  EndpointSchema,
  PortConfig_Protocol,
  PortConfig_PublishMode,
  SecretSchema,
  ServiceSchema,
  type ServiceSpecSchema,
  UpdateServiceRequest_Rollback,
  UpdateStatusSchema,
  UpdateStatus_UpdateState,
  msFromDuration,
  type Service,
} from '../../api/index.js';
import { Code } from '../../base/index.js';
import { CALL, NOW_MS, failure, fixture, network, serviceSpec, type Fixture, type Init } from './test-fixture.js';

type ServiceInit = Init<typeof ServiceSpecSchema>;

const { INGRESS, HOST } = PortConfig_PublishMode;

const replicas = (count: bigint): ServiceInit => ({ mode: { case: 'replicated', value: { replicas: count } } });
const image = (reference: string): ServiceInit => ({
  task: { runtime: { case: 'container', value: { image: reference } } },
});
const publishing = (
  publishedPort: number,
  publishMode: PortConfig_PublishMode,
  protocol = PortConfig_Protocol.TCP,
): ServiceInit => ({ endpoint: { ports: [{ publishedPort, targetPort: 80, publishMode, protocol }] } });

async function created(f: Fixture, changes: ServiceInit = {}): Promise<Service> {
  const { service } = await f.control.createService({ spec: serviceSpec(changes) }, CALL);
  return service!;
}

function update(f: Fixture, service: Service, changes: ServiceInit, rollback = UpdateServiceRequest_Rollback.NONE) {
  const { id: serviceId, meta } = service;
  return f.control.updateService(
    { serviceId, serviceVersion: meta!.version!, spec: serviceSpec(changes), rollback },
    CALL,
  );
}

describe('createService', () => {
  it('stores the spec with version 0 and replies with what is stored', async () => {
    const f = fixture();
    const service = await created(f);
    expect(service.id).toMatch(/^[0-9a-z]{25}$/);
    expect(service.specVersion?.index).toBe(0n);
    expect(service.jobStatus).toBeUndefined();
    expect(service.updateStatus).toBeUndefined();
    expect(service.meta?.createdAt).toBeDefined();
    expect(f.get('service', service.id)).toBe(service);
  });

  it('starts a job at iteration 0', async () => {
    const service = await created(fixture(), { mode: { case: 'replicatedJob', value: { totalCompletions: 3n } } });
    expect(service.jobStatus?.jobIteration?.index).toBe(0n);
    expect(Number(service.jobStatus?.lastExecution?.seconds) * 1000).toBe(NOW_MS);
  });

  it('refuses a name that is taken, whatever its case', async () => {
    const f = fixture();
    await created(f);
    expect(await failure(created(f, { annotations: { name: 'WEB' } }))).toEqual({
      code: Code.ALREADY_EXISTS,
      message: 'name conflicts with an existing object: service WEB already exists',
    });
  });

  it.each([
    ['secret', 'not there', 'secret not found: s'],
    ['config', 'not there', 'config not found: s'],
  ] as const)('refuses a %s reference that is %s', async (kind, _, message) => {
    const reference =
      kind === 'secret'
        ? { secrets: [{ secretId: 'x', secretName: 's', target: { case: 'file', value: { name: 'f' } } as const }] }
        : { configs: [{ configId: 'x', configName: 's', target: { case: 'file', value: { name: 'f' } } as const }] };
    const changes: ServiceInit = {
      task: { runtime: { case: 'container', value: { image: 'nginx', ...reference } } },
    };
    const f = fixture();
    expect(await failure(created(f, changes))).toEqual({ code: Code.INVALID_ARGUMENT, message });
    const spec = { annotations: { name: 'other name' } };
    await f.put('secret', create(SecretSchema, { id: 'x', spec }));
    await f.put('config', create(ConfigSchema, { id: 'x', spec }));
    expect(await failure(created(f, changes))).toEqual({ code: Code.INVALID_ARGUMENT, message });
  });

  it('names all secrets and configs that are missing, and accepts those that are there', async () => {
    const f = fixture();
    const target = (name: string) => ({ case: 'file', value: { name } }) as const;
    const changes: ServiceInit = {
      task: {
        runtime: {
          case: 'container',
          value: {
            image: 'nginx',
            secrets: ['a', 'b'].map((name) => ({ secretId: name, secretName: name, target: target(name) })),
            configs: ['c', 'd'].map((name) => ({ configId: name, configName: name, target: target(name) })),
          },
        },
      },
    };
    expect((await failure(created(f, changes)))?.message).toBe('secrets not found: a, b');
    for (const id of ['a', 'b'])
      await f.put('secret', create(SecretSchema, { id, spec: { annotations: { name: id } } }));
    expect((await failure(created(f, changes)))?.message).toBe('configs not found: c, d');
    for (const id of ['c', 'd'])
      await f.put('config', create(ConfigSchema, { id, spec: { annotations: { name: id } } }));
    expect((await created(f, changes)).id).not.toBe('');
  });

  it('refuses unknown networks and the ingress network', async () => {
    const f = fixture();
    await f.put('network', network('n1', { annotations: { name: 'front' } }));
    await f.put('network', network('n2', { annotations: { name: 'ingress' }, ingress: true }));
    await f
      .put('network', network('n3', { annotations: { name: 'ingress', labels: { 'com.docker.swarm.internal': '' } } }))
      .catch(() => undefined);
    const on = (target: string): ServiceInit => ({
      task: { runtime: { case: 'container', value: { image: 'nginx:1' } }, networks: [{ target }] },
    });
    expect(await failure(created(f, on('nope')))).toEqual({
      code: Code.INVALID_ARGUMENT,
      message: 'network nope not found',
    });
    expect(await failure(created(f, on('n2')))).toEqual({
      code: Code.INVALID_ARGUMENT,
      message: 'Service cannot be explicitly attached to the ingress network "ingress"',
    });
    expect((await failure(created(f, { networks: [{ target: 'nope' }] })))?.message).toBe('network nope not found');
    expect((await created(f, on('n1'))).spec?.task?.networks[0]?.target).toBe('n1');
  });

  it('knows the ingress network of old clusters by its label', async () => {
    const f = fixture();
    await f.put(
      'network',
      network('n1', { annotations: { name: 'ingress', labels: { 'com.docker.swarm.internal': '' } } }),
    );
    const on: ServiceInit = { networks: [{ target: 'n1' }] };
    expect((await failure(created(f, on)))?.message).toContain('explicitly attached to the ingress network');
    expect((await created(f, publishing(80, INGRESS))).id).not.toBe('');
  });

  it('needs an ingress network for ingress ports only', async () => {
    const f = fixture();
    expect(await failure(created(f, publishing(0, INGRESS)))).toEqual({
      code: Code.FAILED_PRECONDITION,
      message: 'service needs ingress network, but no ingress network is present',
    });
    expect((await created(f, publishing(80, HOST))).id).not.toBe('');
  });
});

describe('published ports', () => {
  const inUse = (id: string, how: string) => ({
    code: Code.INVALID_ARGUMENT,
    message: `port '80' is already in use by service 'web' (${id}) as ${how}`,
  });

  async function withIngress(): Promise<Fixture> {
    const f = fixture();
    await f.put('network', network('n1', { annotations: { name: 'ingress' }, ingress: true }));
    return f;
  }

  it.each([
    [INGRESS, INGRESS, 'an ingress port'],
    [INGRESS, HOST, 'an ingress port'],
    [HOST, INGRESS, 'a host-published port'],
    [HOST, HOST, undefined],
  ] as const)('of mode %s conflict with those of mode %s: %s', async (present, wanted, how) => {
    const f = await withIngress();
    const { id } = await created(f, publishing(80, present));
    const second = { ...publishing(80, wanted), annotations: { name: 'second' } };
    expect(await failure(created(f, second))).toEqual(how === undefined ? undefined : inUse(id, how));
  });

  it('conflict with what was allocated, but not across protocols or at 0', async () => {
    const f = await withIngress();
    const allocated = create(EndpointSchema, { ports: [{ publishedPort: 80, publishMode: INGRESS }] });
    await f.put('service', create(ServiceSchema, { id: 's1', spec: serviceSpec(), endpoint: allocated }));
    const second = (changes: ServiceInit) => created(f, { ...changes, annotations: { name: 'second' } });
    expect(await failure(second(publishing(80, INGRESS)))).toEqual(inUse('s1', 'an ingress port'));
    expect(await failure(second(publishing(80, INGRESS, PortConfig_Protocol.UDP)))).toBeUndefined();
    expect(await failure(created(f, { ...publishing(0, INGRESS), annotations: { name: 'third' } }))).toBeUndefined();
  });

  it('are checked on update against other services, when they change', async () => {
    const f = await withIngress();
    const web = await created(f, publishing(80, INGRESS));
    const second = await created(f, { annotations: { name: 'second' } });
    const kept = (await update(f, web, { ...publishing(80, INGRESS), ...replicas(5n) })).service!;
    expect(kept.spec?.mode.value).toMatchObject({ replicas: 5n });
    const taken = { annotations: { name: 'second' }, ...publishing(80, INGRESS) };
    expect(await failure(update(f, second, taken))).toEqual(inUse(web.id, 'an ingress port'));
  });
});

describe('updateService', () => {
  it('keeps the old spec as previous, takes the version of the request, clears the update status', async () => {
    const f = fixture();
    const first = await created(f);
    await f.store.update((tx) => {
      const service = tx.get('service', first.id)!;
      tx.update('service', { ...service, updateStatus: create(UpdateStatusSchema, { message: 'old' }) });
    });
    const before = f.get('service', first.id)!;
    const { service } = await update(f, before, image('nginx:2'));
    expect(service?.spec).toEqual(serviceSpec(image('nginx:2')));
    expect(service?.previousSpec).toBe(first.spec);
    expect(service?.previousSpecVersion).toEqual(first.specVersion);
    expect(service?.specVersion).toEqual(before.meta?.version);
    expect(service?.updateStatus).toBeUndefined();
    expect(service?.meta?.createdAt).toEqual(first.meta?.createdAt);
    expect(service).toBe(f.get('service', first.id));
  });

  it('shares the task template that did not change', async () => {
    const f = fixture();
    const first = await created(f);
    const { service } = await update(f, first, replicas(9n));
    expect(service?.spec?.task).toBe(first.spec?.task);
    expect(service?.spec?.mode.value).toMatchObject({ replicas: 9n });
  });

  it('swaps present and previous spec on rollback, however often', async () => {
    const f = fixture();
    const first = await created(f);
    const second = (await update(f, first, image('nginx:2'))).service!;
    const back = (await update(f, second, image('nginx:2'), UpdateServiceRequest_Rollback.PREVIOUS)).service!;
    expect(back.spec).toEqual(first.spec);
    expect(back.specVersion).toEqual(first.specVersion);
    expect(back.previousSpec).toEqual(second.spec);
    expect(back.previousSpecVersion).toEqual(second.specVersion);
    expect(back.updateStatus).toMatchObject({
      state: UpdateStatus_UpdateState.ROLLBACK_STARTED,
      message: 'manually requested rollback',
      startedAt: { seconds: BigInt(NOW_MS / 1000) },
    });
    const again = (await update(f, back, image('nginx:2'), UpdateServiceRequest_Rollback.PREVIOUS)).service!;
    expect(again.spec).toEqual(second.spec);
  });

  it('refuses a rollback where there is no previous spec', async () => {
    const f = fixture();
    const first = await created(f);
    expect(await failure(update(f, first, {}, UpdateServiceRequest_Rollback.PREVIOUS))).toEqual({
      code: Code.FAILED_PRECONDITION,
      message: `service ${first.id} does not have a previous spec`,
    });
  });

  it('starts a new iteration of a job', async () => {
    const f = fixture();
    const job: ServiceInit = { mode: { case: 'globalJob', value: {} } };
    const first = await created(f, job);
    const second = (await update(f, first, job)).service!;
    expect(second.jobStatus?.jobIteration?.index).toBe(1n);
    const third = (await update(f, second, job, UpdateServiceRequest_Rollback.PREVIOUS)).service!;
    expect(third.jobStatus?.jobIteration?.index).toBe(2n);
  });

  it.each<readonly [string, ServiceInit, string]>([
    ['the mode', { mode: { case: 'global', value: {} } }, 'service mode change is not allowed'],
    ['the name', { annotations: { name: 'other' } }, 'renaming services is not supported'],
    [
      'the networks of the service alone',
      { networks: [] },
      'networks must be migrated to TaskSpec before being changed',
    ],
  ])('cannot change %s', async (_, changes, message) => {
    const f = fixture();
    await f.put('network', network('n1', { annotations: { name: 'front' } }));
    const first = await created(f, { networks: [{ target: 'n1' }] });
    const request = { networks: [{ target: 'n1' }], ...changes };
    expect(await failure(update(f, first, request))).toEqual({ code: Code.UNIMPLEMENTED, message });
    expect(f.get('service', first.id)).toBe(first);
  });

  it('may move the networks from the service to the task', async () => {
    const f = fixture();
    await f.put('network', network('n1', { annotations: { name: 'front' } }));
    const first = await created(f, { networks: [{ target: 'n1' }] });
    const moved: ServiceInit = {
      task: { runtime: { case: 'container', value: { image: 'nginx:1' } }, networks: [{ target: 'n1' }] },
    };
    expect(await failure(update(f, first, moved))).toBeUndefined();
  });

  it('refuses a stale version, a missing one, an empty and an unknown id', async () => {
    const f = fixture();
    const first = await created(f);
    await update(f, first, replicas(3n));
    expect(await failure(update(f, first, replicas(4n)))).toEqual({
      code: Code.UNKNOWN,
      message: 'update out of sequence',
    });
    const invalid = { code: Code.INVALID_ARGUMENT, message: 'invalid argument' };
    const spec = serviceSpec();
    const serviceVersion = first.meta!.version!;
    expect(await failure(f.control.updateService({ serviceId: first.id, spec }, CALL))).toEqual(invalid);
    expect(await failure(f.control.updateService({ serviceVersion, spec }, CALL))).toEqual(invalid);
    expect(await failure(f.control.updateService({ serviceId: first.id, serviceVersion }, CALL))).toEqual(invalid);
    expect(await failure(f.control.updateService({ serviceId: 'nope', serviceVersion, spec }, CALL))).toEqual({
      code: Code.NOT_FOUND,
      message: 'service nope not found',
    });
  });

  it('needs an ingress network for the spec it rolls back to', async () => {
    const f = fixture();
    await f.put('network', network('n1', { annotations: { name: 'ingress' }, ingress: true }));
    const first = await created(f, publishing(80, INGRESS));
    const second = (await update(f, first, {})).service!;
    await f.store.update((tx) => tx.remove('network', 'n1'));
    expect((await failure(update(f, second, {}, UpdateServiceRequest_Rollback.PREVIOUS)))?.code).toBe(
      Code.FAILED_PRECONDITION,
    );
  });
});

describe('getService and removeService', () => {
  it('fill in defaults only when asked, and store none', async () => {
    const f = fixture();
    const { id: serviceId } = await created(f);
    const plain = (await f.control.getService({ serviceId }, CALL)).service!;
    expect(plain).toBe(f.get('service', serviceId));
    const full = (await f.control.getService({ serviceId, insertDefaults: true }, CALL)).service!;
    expect(msFromDuration(full.spec!.update!.monitor)).toBe(5000);
    expect(full.spec?.task?.restart).toBeDefined();
    expect(f.get('service', serviceId)?.spec?.update).toBeUndefined();
  });

  it('refuse an empty and an unknown id', async () => {
    const { control } = fixture();
    for (const method of [control.getService, control.removeService]) {
      expect(await failure(method({ serviceId: '' }, CALL))).toEqual({
        code: Code.INVALID_ARGUMENT,
        message: 'invalid argument',
      });
      expect(await failure(method({ serviceId: 'x' }, CALL))).toEqual({
        code: Code.NOT_FOUND,
        message: 'service x not found',
      });
    }
  });

  it('remove at once', async () => {
    const f = fixture();
    const { id } = await created(f);
    await f.control.removeService({ serviceId: id }, CALL);
    expect(f.get('service', id)).toBeUndefined();
  });
});
