import { create } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Control, NodeStatus_State, UpdateServiceRequest_Rollback, VolumeSchema } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import type { Proposer } from '../../store/index.js';
import { controlService } from './control-service.js';
import {
  CALL,
  bytes,
  cluster,
  failure,
  fixture,
  network,
  node,
  serviceSpec,
  task,
  type Fixture,
} from './test-fixture.js';

const LATER = ['createNetwork', 'removeNetwork', 'createVolume', 'updateVolume', 'removeVolume'] as const;

async function filled(): Promise<Fixture> {
  const f = fixture();
  await f.put('cluster', cluster());
  await f.put('node', node('n1', { status: { state: NodeStatus_State.READY } }));
  await f.put('task', task('t1'));
  await f.control.createService({ spec: serviceSpec() }, CALL);
  await f.control.createSecret({ spec: { annotations: { name: 's' }, data: bytes('x') } }, CALL);
  await f.control.createConfig({ spec: { annotations: { name: 'c' }, data: bytes('x') } }, CALL);
  await f.control.createExtension({ annotations: { name: 'gadget' } }, CALL);
  await f.control.createResource({ annotations: { name: 'r' }, kind: 'gadget' }, CALL);
  return f;
}

describe('the Control service', () => {
  it('handles every method but those that change networks and volumes', async () => {
    const { handlers } = controlService({}, { ...({} as Parameters<typeof controlService>[1]) });
    const missing = Control.methods.map(({ localName }) => localName).filter((name) => handlers[name] === undefined);
    expect(missing.sort()).toEqual([...LATER].sort());
    const { control } = fixture();
    for (const name of LATER) expect((await failure(control[name]({}, CALL)))?.code).toBe(Code.UNIMPLEMENTED);
  });

  it('refuses options that make no sense', () => {
    for (const sliceMs of [-1, Number.NaN]) {
      expect(() => fixture({}, { sliceMs })).toThrow('sliceMs must be a number from 0');
    }
  });

  it('reads networks and volumes by an id that exists', async () => {
    const f = fixture();
    const stored = await f.put('network', network('n1', { annotations: { name: 'front' } }));
    expect((await f.control.getNetwork({ networkId: 'n1', name: 'ignored' }, CALL)).network).toBe(stored);
    const volume = await f.put('volume', create(VolumeSchema, { id: 'v1', spec: { annotations: { name: 'v' } } }));
    expect((await f.control.getVolume({ volumeId: 'v1' }, CALL)).volume).toBe(volume);
    const invalid = { code: Code.INVALID_ARGUMENT, message: 'invalid argument' };
    expect(await failure(f.control.getNetwork({ name: 'front' }, CALL))).toEqual(invalid);
    expect(await failure(f.control.getVolume({}, CALL))).toEqual(invalid);
    expect((await failure(f.control.getNetwork({ networkId: 'x' }, CALL)))?.message).toBe('network x not found');
    expect((await failure(f.control.getVolume({ volumeId: 'x' }, CALL)))?.message).toBe('volume x not found');
  });

  it('stops waiting for the quorum when the caller goes away', async () => {
    const stuck: Proposer = { headIndex: () => 0n, propose: () => undefined };
    const f = fixture();
    f.store.setProposer(stuck);
    const caller = new AbortController();
    const reply = failure(f.control.createService({ spec: serviceSpec() }, { signal: caller.signal }));
    caller.abort(new SwarmError(Code.DEADLINE_EXCEEDED, 'context deadline exceeded'));
    expect(await reply).toEqual({ code: Code.DEADLINE_EXCEEDED, message: 'context deadline exceeded' });
  });

  it('passes on that this manager is not the leader', async () => {
    const f = fixture();
    const notLeader = new SwarmError(Code.FAILED_PRECONDITION, 'not the leader');
    f.store.setProposer({
      headIndex: () => 0n,
      propose: () => {
        throw notLeader;
      },
    });
    expect(await failure(f.control.createService({ spec: serviceSpec() }, CALL))).toEqual({
      code: Code.FAILED_PRECONDITION,
      message: 'not the leader',
    });
    expect((await f.control.listServices({}, CALL)).services).toEqual([]);
  });

  it('changes nothing for any request that it refuses', async () => {
    const f = await filled();
    const present = {
      node: 'n1',
      task: 't1',
      cluster: 'c1',
      service: (await f.control.listServices({}, CALL)).services[0]!.id,
      secret: (await f.control.listSecrets({}, CALL)).secrets[0]!.id,
      config: (await f.control.listConfigs({}, CALL)).configs[0]!.id,
      extension: f.store.view((tx) => tx.find('extension', { kind: 'all' }))[0]!.id,
      resource: (await f.control.listResources({}, CALL)).resources[0]!.id,
    };
    const before = f.store.save();
    await fc.assert(
      fc.asyncProperty(refusedRequest(present), async ([method, request]) => {
        const call = f.control[method] as (request: object, options: typeof CALL) => Promise<unknown>;
        expect(await failure(call(request, CALL))).toBeDefined();
        expect(f.store.save()).toEqual(before);
      }),
      { numRuns: 300 },
    );
  });
});

type Method = keyof typeof Control.method;

/** Requests of which each is wrong in some way. */
function refusedRequest(present: Readonly<Record<string, string>>): fc.Arbitrary<readonly [Method, object]> {
  const unknownId = fc.constantFrom('', 'nope', '__proto__', '\u0000');
  const stale = fc.constantFrom(undefined, { index: 999_999n }, { index: 2n ** 64n - 1n });
  const name = fc.oneof(
    fc.constantFrom('', '-', 'a/b', 'a b', 'ä', 'x'.repeat(65)),
    fc.stringMatching(/^[^a-zA-Z0-9].*$/),
  );
  const badSpec = fc.oneof(
    fc.constant(undefined),
    name.map((bad) => serviceSpec({ annotations: { name: bad } })),
    fc.constant(serviceSpec({ mode: { case: undefined } })),
    fc.constant(serviceSpec({ networks: [{ target: 'nope' }] })),
    fc.constant(serviceSpec({ endpoint: { ports: [{ publishedPort: 80 }] } })),
    fc.constant(serviceSpec({ update: { maxFailureRatio: 2 } })),
  );
  const request = (method: string, fields: Readonly<Record<string, fc.Arbitrary<unknown>>>) =>
    fc.record(fields).map((made) => [method as Method, made] as const);
  const id = (noun: string) => fc.constant(present[noun]);
  const nouns = ['node', 'task', 'service', 'secret', 'config', 'extension', 'resource'];
  const capital = (noun: string) => noun.charAt(0).toUpperCase() + noun.slice(1);
  const data = fc.constant({ annotations: { name: 's' } });
  return fc.oneof(
    ...nouns.map((noun) => request(`remove${capital(noun)}`, { [`${noun}Id`]: unknownId, force: fc.boolean() })),
    request('removeNode', { nodeId: id('node') }),
    request('removeExtension', { extensionId: id('extension') }),
    request('createService', { spec: badSpec }),
    request('updateService', {
      serviceId: id('service'),
      serviceVersion: stale,
      spec: fc.oneof(badSpec, fc.constant(serviceSpec())),
      rollback: fc.constantFrom(UpdateServiceRequest_Rollback.NONE, UpdateServiceRequest_Rollback.PREVIOUS),
    }),
    request('updateNode', { nodeId: fc.oneof(unknownId, id('node')), nodeVersion: stale, spec: fc.constant({}) }),
    request('updateCluster', {
      clusterId: fc.oneof(unknownId, id('cluster')),
      clusterVersion: stale,
      spec: fc.constantFrom(undefined, {}, { annotations: { name: 'default' } }),
      rotation: fc.constant({ workerJoinToken: true, managerUnlockKey: true }),
    }),
    ...['secret', 'config'].flatMap((noun) => [
      request(`create${capital(noun)}`, {
        spec: fc.oneof(
          fc.constant(undefined),
          name.map((bad) => ({ annotations: { name: bad }, data: bytes('x') })),
        ),
      }),
      request(`update${capital(noun)}`, {
        [`${noun}Id`]: fc.oneof(unknownId, id(noun)),
        [`${noun}Version`]: stale,
        spec: fc.oneof(fc.constant(undefined), data),
      }),
    ]),
    request('createExtension', {
      annotations: fc.constantFrom(undefined, { name: '' }, { name: 'GADGET' }, { name: 'node' }),
    }),
    request('createResource', {
      annotations: fc.constantFrom(undefined, { name: '' }, { name: 'R' }),
      kind: fc.constantFrom('', 'gadget', 'nope'),
    }),
    request('updateResource', { resourceId: fc.oneof(unknownId, id('resource')), resourceVersion: stale }),
  );
}
