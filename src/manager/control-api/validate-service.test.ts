import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import {
  type ContainerSpecSchema,
  EndpointSpec_ResolutionMode,
  PortConfig_Protocol,
  PortConfig_PublishMode,
  type ServiceSpecSchema,
  TaskSpecSchema,
  type GenericResourceSchema,
  durationFromMs,
} from '../../api/index.js';
import { Code } from '../../base/index.js';
import { CALL, bytes, failure, fixture, serviceSpec, type Init } from './test-fixture.js';
import { validateServiceSpec } from './validate-service.js';

type ServiceInit = Init<typeof ServiceSpecSchema>;
type TaskInit = Init<typeof TaskSpecSchema>;
type ContainerInit = Init<typeof ContainerSpecSchema>;

const task = (changes: TaskInit): ServiceInit => ({
  task: create(TaskSpecSchema, { runtime: { case: 'container', value: { image: 'nginx' } }, ...changes }),
});
const container = (changes: ContainerInit): ServiceInit =>
  task({ runtime: { case: 'container', value: { image: 'nginx', ...changes } } });
const generic = (kind: string, payload?: { typeUrl: string; value: Uint8Array }): ServiceInit =>
  task({ runtime: { case: 'generic', value: { kind, ...(payload === undefined ? {} : { payload }) } } });
const named = (name: string): ServiceInit => ({ annotations: { name } });
const limits = (nanoCpus: bigint, memoryBytes: bigint): ServiceInit =>
  task({ resources: { limits: { nanoCpus, memoryBytes } } });
const reserves = (resource: Init<typeof GenericResourceSchema>): ServiceInit =>
  task({ resources: { reservations: { generic: [resource] } } });
const ms = durationFromMs;
const below1Ms = { seconds: 0n, nanos: 999_999 };
const malformed = { seconds: 1n, nanos: -1 };
const payload = { typeUrl: 'type', value: bytes('x') };
const file = (name: string) => ({ case: 'file', value: { name } }) as const;
const port = (
  publishedPort: number,
  publishMode = PortConfig_PublishMode.HOST,
  protocol = PortConfig_Protocol.TCP,
) => ({
  publishedPort,
  targetPort: 80,
  publishMode,
  protocol,
});

const TOO_MANY = 2n ** 63n;

/** What is wrong, the spec, and the text. All are InvalidArgument unless listed below. */
const REFUSED: readonly (readonly [string, ServiceInit, string])[] = [
  ['no name', named(''), 'meta: name must be provided'],
  ['a dot in the name', named('a.b'), 'name must be valid as a DNS name component'],
  ['a name that starts with a dash', named('-a'), 'name must be valid as a DNS name component'],
  ['a name that ends with an underscore', named('a_'), 'name must be valid as a DNS name component'],
  ['a name with a line feed', named('a\n'), 'name must be valid as a DNS name component'],
  ['a name of 64 characters', named('a'.repeat(64)), 'name must be 63 characters or fewer'],
  ['CPU below 0.001', limits(999_999n, 0n), 'invalid cpu value 0.000999999: Must be at least 0.001'],
  ['very little CPU', limits(50n, 0n), 'invalid cpu value 5e-08: Must be at least 0.001'],
  ['negative CPU', limits(-1_000_000_000n, 0n), 'invalid cpu value -1: Must be at least 0.001'],
  ['memory below 4 MiB', limits(0n, 4_194_303n), 'invalid memory value 4194303: Must be at least 4MiB'],
  [
    'reserved memory below 4 MiB',
    task({ resources: { reservations: { memoryBytes: 1n } } }),
    'invalid memory value 1: Must be at least 4MiB',
  ],
  [
    'a named generic resource',
    reserves({ resource: { case: 'namedResourceSpec', value: { kind: 'gpu', value: 'a' } } }),
    'invalid argument for resource gpu',
  ],
  [
    'a negative generic resource',
    reserves({ resource: { case: 'discreteResourceSpec', value: { kind: 'gpu', value: -1n } } }),
    'invalid argument for resource gpu: the number cannot be negative',
  ],
  ['an empty generic resource', reserves({}), 'invalid argument for resource '],
  ['a negative restart delay', task({ restart: { delay: ms(-1) } }), 'TaskSpec: restart-delay cannot be negative'],
  ['a negative restart window', task({ restart: { window: ms(-1) } }), 'TaskSpec: restart-window cannot be negative'],
  [
    'a duration of mixed signs',
    task({ restart: { delay: malformed } }),
    'restart.delay: duration (1 s, -1 ns) is out of range',
  ],
  [
    'a duration beyond 64 bits of nanoseconds',
    task({ restart: { window: { seconds: 10_000_000_000n, nanos: 0 } } }),
    'restart.window: duration (10000000000 s, 0 ns) is out of range',
  ],
  [
    'a constraint without operator',
    task({ placement: { constraints: ['node.role'] } }),
    'constraint expected one operator from ==, !=',
  ],
  ['a constraint with a bad key', task({ placement: { constraints: ['1a==b'] } }), "key '1a' is invalid"],
  ['a constraint with a bad value', task({ placement: { constraints: ['node.id==a&b'] } }), "value 'a&b' is invalid"],
  ['no task', { task: undefined }, 'TaskSpec: missing runtime'],
  ['no runtime', { task: create(TaskSpecSchema) }, 'TaskSpec: missing runtime'],
  ['no image', container({ image: '' }), 'ContainerSpec: image reference must be provided'],
  ['a bad image', container({ image: 'a b' }), 'ContainerSpec: "a b" is not a valid repository/tag'],
  ['a capital in the image', container({ image: 'Nginx' }), 'ContainerSpec: "Nginx" is not a valid repository/tag'],
  [
    'two mounts on one target',
    container({ mounts: [{ target: '/a' }, { target: '/b' }, { target: '/a' }] }),
    'ContainerSpec: duplicate mount point: /a',
  ],
  ...(
    [
      ['interval', 'Interval'],
      ['timeout', 'Timeout'],
      ['startPeriod', 'StartPeriod'],
      ['startInterval', 'StartInterval'],
    ] as const
  ).flatMap(([field, name]): (readonly [string, ServiceInit, string])[] => [
    [
      `a health ${field} below 1 ms`,
      container({ healthcheck: { [field]: below1Ms } }),
      `ContainerSpec: ${name} in HealthConfig cannot be less than 1ms`,
    ],
    [
      `a negative health ${field}`,
      container({ healthcheck: { [field]: ms(-1000) } }),
      `ContainerSpec: ${name} in HealthConfig cannot be less than 1ms`,
    ],
  ]),
  [
    'negative health retries',
    container({ healthcheck: { retries: -1 } }),
    'ContainerSpec: Retries in HealthConfig cannot be negative',
  ],
  ['a short generic kind', generic('ab', payload), 'Generic runtime: Invalid name "ab"'],
  ['a reserved generic kind', generic('Container', payload), 'Generic runtime: "Container" is a reserved name'],
  ['another reserved kind', generic('attachment', payload), 'Generic runtime: "attachment" is a reserved name'],
  ['no generic payload', generic('plugin'), 'Generic runtime is missing payload'],
  ['no payload type', generic('plugin', { ...payload, typeUrl: '' }), 'Generic runtime is missing payload type'],
  ['an empty payload', generic('plugin', { ...payload, value: bytes('') }), 'Generic runtime has an empty payload'],
  [
    'a secret without id',
    container({ secrets: [{ secretName: 'n', target: file('f') }] }),
    'malformed secret reference',
  ],
  [
    'a secret without name',
    container({ secrets: [{ secretId: 'i', target: file('f') }] }),
    'malformed secret reference',
  ],
  [
    'a secret without target',
    container({ secrets: [{ secretId: 'i', secretName: 'n' }] }),
    'malformed secret reference, no target provided',
  ],
  [
    'a secret without file name',
    container({ secrets: [{ secretId: 'i', secretName: 'n', target: file('') }] }),
    'malformed file secret reference, invalid target file name provided',
  ],
  [
    'two secrets in one file',
    container({
      secrets: [
        { secretId: 'i', secretName: 'n', target: file('f') },
        { secretId: 'j', secretName: 'o', target: file('f') },
      ],
    }),
    "secret references 'n' and 'o' have a conflicting target: 'f'",
  ],
  [
    'a config without id',
    container({ configs: [{ configName: 'n', target: file('f') }] }),
    'malformed config reference',
  ],
  [
    'a config without name',
    container({ configs: [{ configId: 'i', target: file('f') }] }),
    'malformed config reference',
  ],
  [
    'a config without target',
    container({ configs: [{ configId: 'i', configName: 'n' }] }),
    'malformed config reference, no target provided',
  ],
  [
    'a config without file name',
    container({ configs: [{ configId: 'i', configName: 'n', target: file('') }] }),
    'malformed file config reference, invalid target file name provided',
  ],
  [
    'two configs in one file',
    container({
      configs: [
        { configId: 'i', configName: 'n', target: file('f') },
        { configId: 'j', configName: 'o', target: file('f') },
      ],
    }),
    "config references 'n' and 'o' have a conflicting target: 'f'",
  ],
  [
    'a credential spec config that is only a file',
    container({
      privileges: { credentialSpec: { source: { case: 'config', value: 'i' } } },
      configs: [{ configId: 'i', configName: 'n', target: file('f') }],
    }),
    "CredentialSpec references config 'i', but that config isn't in config references with RuntimeTarget",
  ],
  [
    'too many replicas',
    { mode: { case: 'replicated', value: { replicas: TOO_MANY } } },
    'Number of replicas must be non-negative',
  ],
  [
    'too many concurrent jobs',
    { mode: { case: 'replicatedJob', value: { maxConcurrent: TOO_MANY } } },
    'Maximum concurrent jobs must not be negative',
  ],
  [
    'too many completions',
    { mode: { case: 'replicatedJob', value: { totalCompletions: TOO_MANY } } },
    'Total completed jobs must not be negative',
  ],
  ['no mode', { mode: { case: undefined } }, 'Unrecognized service mode'],
  [
    'a replicated job with an update config',
    { mode: { case: 'replicatedJob', value: {} }, update: {} },
    'Jobs may not have an update config',
  ],
  [
    'a global job with an update config',
    { mode: { case: 'globalJob', value: {} }, update: {} },
    'Jobs may not have an update config',
  ],
  ...(['update', 'rollback'] as const).flatMap((which): (readonly [string, ServiceInit, string])[] => [
    [`a negative ${which} delay`, { [which]: { delay: ms(-1) } }, `TaskSpec: ${which}-delay cannot be negative`],
    [`a negative ${which} monitor`, { [which]: { monitor: ms(-1) } }, `TaskSpec: ${which}-monitor cannot be negative`],
    ...[-0.1, 1.1, Number.NaN].map((maxFailureRatio): readonly [string, ServiceInit, string] => [
      `a ${which} failure ratio of ${maxFailureRatio}`,
      { [which]: { maxFailureRatio } },
      `TaskSpec: ${which}-maxfailureratio cannot be less than 0 or bigger than 1`,
    ]),
  ]),
  [
    'dnsrr with an ingress port',
    { endpoint: { mode: EndpointSpec_ResolutionMode.DNSRR, ports: [port(80, PortConfig_PublishMode.INGRESS)] } },
    "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
  ],
  [
    'a port published twice',
    { endpoint: { ports: [port(80), port(80, PortConfig_PublishMode.INGRESS)] } },
    'EndpointSpec: duplicate published ports provided',
  ],
];

describe('a service spec', () => {
  it.each(REFUSED)('with %s is refused on create and update, and nothing changes', async (_, changes, message) => {
    const { control, store } = fixture();
    const { service } = await control.createService({ spec: serviceSpec() }, CALL);
    const before = store.save();
    const refusal = { code: Code.INVALID_ARGUMENT, message };
    const other = serviceSpec({ annotations: { name: 'other' }, ...changes });
    expect(await failure(control.createService({ spec: other }, CALL))).toEqual(refusal);
    const request = { serviceId: service!.id, serviceVersion: service!.meta!.version!, spec: serviceSpec(changes) };
    expect(await failure(control.updateService(request, CALL))).toEqual(refusal);
    expect(store.save()).toEqual(before);
  });

  it('for the attachment runtime is Unimplemented', async () => {
    const { control } = fixture();
    const spec = serviceSpec(task({ runtime: { case: 'attachment', value: { containerId: 'x' } } }));
    expect(await failure(control.createService({ spec }, CALL))).toEqual({
      code: Code.UNIMPLEMENTED,
      message: 'RuntimeSpec: unimplemented runtime in service spec',
    });
  });

  it('that is missing is refused', async () => {
    const { control } = fixture();
    expect(await failure(control.createService({}, CALL))).toEqual({
      code: Code.INVALID_ARGUMENT,
      message: 'invalid argument',
    });
  });

  it('whose templates do not expand is refused with the reason', async () => {
    const { control } = fixture({ checkTemplate: () => 'expanding env failed: bad template' });
    expect(await failure(control.createService({ spec: serviceSpec() }, CALL))).toEqual({
      code: Code.INVALID_ARGUMENT,
      message: 'expanding env failed: bad template',
    });
  });

  it.each<readonly [string, ServiceInit]>([
    ['a name of 63 characters', named('a'.repeat(63))],
    ['dashes and underscores in its name', named('a--_-b')],
    ['a name of one character', named('7')],
    ['0.001 CPU and 4 MiB', limits(1_000_000n, 4_194_304n)],
    ['resources of 0', limits(0n, 0n)],
    [
      'counted generic resources',
      reserves({ resource: { case: 'discreteResourceSpec', value: { kind: 'gpu', value: 1n } } }),
    ],
    ['health timing of 0 and 1 ms', container({ healthcheck: { interval: ms(0), timeout: ms(1) } })],
    ['restart timing of 0', task({ restart: { delay: ms(0), window: ms(0) } })],
    ['failure ratios of 0 and 1', { update: { maxFailureRatio: 0 }, rollback: { maxFailureRatio: 1 } }],
    ['a plugin runtime', generic('plugin', payload)],
    ['a job with a rollback config', { mode: { case: 'globalJob', value: {} }, rollback: {} }],
    ['dnsrr with a host port', { endpoint: { mode: EndpointSpec_ResolutionMode.DNSRR, ports: [port(80)] } }],
    ['port 0 twice', { endpoint: { ports: [port(0), port(0)] } }],
    [
      'one port for TCP and UDP',
      { endpoint: { ports: [port(53), port(53, PortConfig_PublishMode.HOST, PortConfig_Protocol.UDP)] } },
    ],
    ['the largest number of replicas', { mode: { case: 'replicated', value: { replicas: TOO_MANY - 1n } } }],
    [
      'a credential spec config with a runtime target',
      container({
        privileges: { credentialSpec: { source: { case: 'config', value: 'i' } } },
        configs: [{ configId: 'i', configName: 'n', target: { case: 'runtime', value: {} } }],
      }),
    ],
    ['a credential spec file', container({ privileges: { credentialSpec: { source: { case: 'file', value: 'f' } } } })],
  ])('with %s is valid', (_, changes) => {
    expect(() => validateServiceSpec(serviceSpec(changes))).not.toThrow();
  });

  it('with a hostile name is refused quickly', () => {
    expect(() => validateServiceSpec(serviceSpec(named(`${'a-'.repeat(100_000)}!`)))).toThrow('DNS name component');
  });
});
