import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { ServiceSchema, ServiceSpecSchema, UpdateStatus_UpdateState, type ServiceSpec } from '../../api/index.js';
import { ApiError, ApiVersion, JsonObject, parseJson, printJson } from '../http/index.js';
import { serviceSpecFromJson, serviceSpecToJson, serviceToJson } from './service.js';
import { serviceSpecJson } from './service-json.test-helper.js';

const NEWEST = ApiVersion.parse('1.51');

function decode(json: unknown, version = NEWEST): ServiceSpec {
  return serviceSpecFromJson(new JsonObject(parseJson(printJson(json)) as never, ''), version, () => 'random_name');
}

/** The spec's JSON as a client gets it. */
function encode(spec: ServiceSpec): unknown {
  return parseJson(printJson(serviceSpecToJson(spec)));
}

function service(changes: object): object {
  return { Name: 'web', Labels: {}, TaskTemplate: { ContainerSpec: { Image: 'nginx' } }, ...changes };
}

const container = (changes: object): object =>
  service({ TaskTemplate: { ContainerSpec: { Image: 'nginx', ...changes } } });

function refusal(json: unknown, version = NEWEST): readonly [number, string] {
  try {
    decode(json, version);
  } catch (error) {
    if (error instanceof ApiError) return [error.status, error.message];
    throw error;
  }
  throw new Error('it was not refused');
}

test('every field of a spec comes back as it was given', () => {
  fc.assert(
    fc.property(serviceSpecJson, (json) => {
      expect(encode(decode(json))).toEqual(parseJson(printJson(json)));
    }),
    { numRuns: 300 },
  );
});

test('what a client reads it can send back to the same effect', () => {
  fc.assert(
    fc.property(serviceSpecJson, (json) => {
      const spec = decode(json);
      expect(decode(encode(spec))).toEqual(spec);
    }),
    { numRuns: 100 },
  );
});

describe('what a request leaves out (E-42x)', () => {
  test('reads back as the defaults of the engine', () => {
    expect(encode(decode(service({ Labels: null })))).toEqual({
      Name: 'web',
      Labels: {},
      TaskTemplate: { ContainerSpec: { Image: 'nginx', Isolation: 'default' }, ForceUpdate: 0, Runtime: 'container' },
      Mode: { Replicated: { Replicas: 1 } },
    });
  });

  test.each([
    ['Mode', { Replicated: {} }, { Replicated: { Replicas: 1 } }],
    ['Mode', {}, { Replicated: { Replicas: 1 } }],
    ['Mode', { ReplicatedJob: {} }, { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 1 } }],
    ['Mode', { ReplicatedJob: { MaxConcurrent: 3 } }, { ReplicatedJob: { MaxConcurrent: 3, TotalCompletions: 3 } }],
    ['Mode', { ReplicatedJob: { TotalCompletions: 3 } }, { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 3 } }],
    ['UpdateConfig', {}, { Parallelism: 0, FailureAction: 'pause', MaxFailureRatio: 0, Order: 'stop-first' }],
    ['EndpointSpec', {}, { Mode: 'vip' }],
    [
      'EndpointSpec',
      { Ports: [{ TargetPort: 80 }] },
      { Mode: 'vip', Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishMode: 'ingress' }] },
    ],
  ])('%s %j becomes %j', (key, given, shown) => {
    expect(encode(decode(service({ [key]: given })))).toMatchObject({ [key]: shown });
  });

  test.each([
    ['RestartPolicy', {}, { Condition: 'any', MaxAttempts: 0 }],
    ['Placement', { Preferences: [{}] }, {}],
    ['Resources', {}, {}],
  ])('in a task template %s %j becomes %j', (key, given, shown) => {
    const json = service({ TaskTemplate: { ContainerSpec: { Image: 'nginx' }, [key]: given } });
    expect((encode(decode(json)) as { TaskTemplate: Record<string, unknown> }).TaskTemplate[key]).toEqual(shown);
  });

  test.each([
    ['Isolation', 'nonsense', 'default'],
    ['Mounts', [{ Source: 'a', Target: '/a', BindOptions: {} }], [{ Type: 'bind', Source: 'a', Target: '/a' }]],
    [
      'Mounts',
      [{ Type: 'bind', BindOptions: { NonRecursive: true }, Consistency: 'cached' }],
      [{ Type: 'bind', BindOptions: { Propagation: 'rprivate', NonRecursive: true } }],
    ],
    ['Ulimits', [{}], [{ Name: '', Soft: 0, Hard: 0 }]],
    ['Privileges', {}, { CredentialSpec: null, SELinuxContext: null }],
    ['Healthcheck', { Interval: 0 }, {}],
  ])('in a container %s %j becomes %j', (key, given, shown) => {
    const json = encode(decode(container({ [key]: given }))) as {
      TaskTemplate: { ContainerSpec: Record<string, unknown> };
    };
    expect(json.TaskTemplate.ContainerSpec[key]).toEqual(shown);
  });

  test('a service without a name gets one', () => {
    expect(decode(service({ Name: '' })).annotations?.name).toBe('random_name');
  });

  test('networks at the level of the service are honoured below 1.44 only, and shown in the template', () => {
    const json = service({ Networks: [{ Target: 'net' }] });
    expect(decode(json).networks).toEqual([]);
    expect(encode(decode(json, ApiVersion.parse('1.43')))).toMatchObject({
      TaskTemplate: { Networks: [{ Target: 'net' }] },
    });
  });
});

describe('what is no spec is refused', () => {
  test.each([
    [{}, 'mismatched Runtime and *Spec fields'],
    [{ TaskTemplate: {} }, 'mismatched Runtime and *Spec fields'],
    [{ TaskTemplate: { Runtime: 'plugin' } }, 'mismatched Runtime and *Spec fields'],
    [{ TaskTemplate: { Runtime: 'plugin', ContainerSpec: {} } }, 'mismatched Runtime and *Spec fields'],
    [{ TaskTemplate: { Runtime: 'attachment' } }, 'unsupported runtime'],
    [{ TaskTemplate: { Runtime: 'weird', ContainerSpec: {} } }, 'unsupported runtime'],
    [service({ Mode: { Global: {}, Replicated: {} } }), 'must specify only one service mode'],
    [service({ EndpointSpec: { Mode: 'weird' } }), 'invalid resolution mode: "weird"'],
    [service({ UpdateConfig: { FailureAction: 'weird' } }), 'unrecognized update failure action weird'],
    [service({ RollbackConfig: { Order: 'weird' } }), 'unrecognized update order weird'],
    [container({ Mounts: [{ Type: 'weird' }] }), 'invalid MountType: "weird"'],
    [container({ Mounts: [{ BindOptions: { Propagation: 'weird' } }] }), 'invalid MountPropagation: "weird"'],
    [
      container({ Privileges: { CredentialSpec: {} } }),
      'invalid CredentialSpec: must either provide "file", "registry", or "config" for credential spec',
    ],
    [
      container({ Privileges: { CredentialSpec: { File: 'a', Registry: 'b' } } }),
      'invalid CredentialSpec: cannot specify both "file" and "registry" credential specs',
    ],
    [
      container({ Privileges: { CredentialSpec: { Config: 'c', File: 'a', Registry: 'b' } } }),
      'invalid CredentialSpec: cannot specify both "config", "file", and "registry" credential specs',
    ],
    [container({ Configs: [{}] }), 'invalid Config: either File or Runtime should be set'],
    [container({ Configs: [{ File: {}, Runtime: {} }] }), 'invalid Config: cannot specify both File and Runtime'],
    [
      service({ TaskTemplate: { ContainerSpec: {}, Resources: { SwapBytes: 5 } } }),
      'memory swap provided, but no memory-limit was set',
    ],
  ])('%j', (json, message) => {
    expect(refusal(json)).toEqual([400, message]);
  });

  test('plugins need an engine of another kind', () => {
    expect(refusal({ TaskTemplate: { Runtime: 'plugin', PluginSpec: {} } })).toEqual([
      500,
      'runtime type "plugin" only supported in experimental',
    ]);
  });
});

describe('older API versions drop what they did not know (E-130)', () => {
  const full = container({
    Sysctls: { a: 'b' },
    CapabilityAdd: ['c'],
    CapabilityDrop: ['d'],
    Ulimits: [{ Name: 'n', Soft: 1, Hard: 2 }],
    OomScoreAdj: 5,
    Privileges: { NoNewPrivileges: true, Seccomp: { Mode: 'unconfined' }, AppArmor: { Mode: 'disabled' } },
    Healthcheck: { StartInterval: 7, Interval: 8 },
    Mounts: [{ Type: 'tmpfs', TmpfsOptions: { SizeBytes: 1, Options: [['a']] } }],
  });
  const shownAt = (version: string, json: object = full): unknown => {
    const shown = encode(decode(json, ApiVersion.parse(version))) as {
      TaskTemplate: { ContainerSpec: Record<string, unknown> };
    };
    return shown.TaskTemplate.ContainerSpec;
  };

  test.each([
    ['1.46', ['OomScoreAdj', 'TmpfsOptions.Options']],
    ['1.44', ['Seccomp', 'AppArmor', 'NoNewPrivileges', 'StartInterval']],
    ['1.41', ['CapabilityAdd', 'CapabilityDrop', 'Ulimits']],
    ['1.40', ['Sysctls']],
  ])('since %s there are %j', (version, fields) => {
    const older = `1.${Number(version.slice(2)) - 1}`;
    for (const field of fields) {
      const words = field.split('.');
      const key = JSON.stringify(words.at(-1));
      expect([field, JSON.stringify(shownAt(version)).includes(`${key}:`)]).toEqual([field, true]);
      expect([field, JSON.stringify(shownAt(older)).includes(`${key}:`)]).toEqual([field, false]);
    }
  });

  test('limits of processes and replicas', () => {
    const json = service({
      TaskTemplate: { ContainerSpec: {}, Resources: { Limits: { Pids: 5 } }, Placement: { MaxReplicas: 4 } },
    });
    expect(encode(decode(json, ApiVersion.parse('1.41')))).toMatchObject({
      TaskTemplate: { Resources: { Limits: { Pids: 5 } }, Placement: { MaxReplicas: 4 } },
    });
    const at140 = encode(decode(json, ApiVersion.parse('1.40')));
    expect(at140).toMatchObject({ TaskTemplate: { Resources: { Limits: {} }, Placement: { MaxReplicas: 4 } } });
    expect(encode(decode(json, ApiVersion.parse('1.39')))).toMatchObject({ TaskTemplate: { Placement: {} } });
  });

  test('a job becomes a replicated service', () => {
    for (const mode of [{ ReplicatedJob: {} }, { GlobalJob: {} }]) {
      expect(encode(decode(service({ Mode: mode }), ApiVersion.parse('1.40')))).toMatchObject({
        Mode: { Replicated: { Replicas: 1 } },
      });
    }
  });

  test('a reference that only newer versions know is refused, as nothing is left of it', () => {
    const version = ApiVersion.parse('1.39');
    expect(refusal(container({ Configs: [{ ConfigID: 'a', Runtime: {} }] }), version)[1]).toBe(
      'invalid Config: either File or Runtime should be set',
    );
    expect(refusal(container({ Privileges: { CredentialSpec: { Config: 'a' } } }), version)[1]).toMatch(
      /must either provide/,
    );
  });
});

describe('a service', () => {
  const whole = (fields: Parameters<typeof create<typeof ServiceSchema>>[1]): unknown =>
    parseJson(printJson(serviceToJson(create(ServiceSchema, fields))));

  test('shows what little there is', () => {
    expect(whole({ id: 's1' })).toEqual({
      ID: 's1',
      Version: {},
      CreatedAt: '1970-01-01T00:00:00Z',
      UpdatedAt: '1970-01-01T00:00:00Z',
      Spec: {},
      Endpoint: { Spec: {} },
    });
  });

  test('shows endpoint, update, job and times', () => {
    expect(
      whole({
        id: 's1',
        meta: {
          version: { index: 9n },
          createdAt: { seconds: 1_767_225_600n, nanos: 120_000_000 },
          updatedAt: { seconds: 1_767_225_601n, nanos: 1 },
        },
        previousSpec: create(ServiceSpecSchema, { annotations: { name: 'web' }, mode: { case: 'global', value: {} } }),
        endpoint: {
          spec: {},
          ports: [{ targetPort: 80, publishedPort: 30_000 }],
          virtualIps: [{ networkId: 'n1', addr: '10.0.0.2/24' }],
        },
        updateStatus: {
          state: UpdateStatus_UpdateState.ROLLBACK_STARTED,
          startedAt: { seconds: 1_767_225_600n, nanos: 0 },
          message: 'back',
        },
        jobStatus: { jobIteration: { index: 2n } },
      }),
    ).toMatchObject({
      Version: { Index: 9 },
      CreatedAt: '2026-01-01T00:00:00.12Z',
      UpdatedAt: '2026-01-01T00:00:01.000000001Z',
      PreviousSpec: { Name: 'web', Labels: {}, Mode: { Global: {} } },
      Endpoint: {
        Spec: { Mode: 'vip' },
        Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 30_000, PublishMode: 'ingress' }],
        VirtualIPs: [{ NetworkID: 'n1', Addr: '10.0.0.2/24' }],
      },
      UpdateStatus: { State: 'rollback_started', StartedAt: '2026-01-01T00:00:00Z', Message: 'back' },
      JobStatus: { JobIteration: { Index: 2 }, LastExecution: '1970-01-01T00:00:00Z' },
    });
  });

  test('leaves out what only other clients can have stored', () => {
    const spec = create(ServiceSpecSchema, {
      task: {
        runtime: {
          case: 'container',
          value: {
            secrets: [{ secretId: 'a' }],
            configs: [{ configId: 'a' }],
            mounts: [{ tmpfsOptions: { options: 'size=1' } }, { tmpfsOptions: { options: 'null' } }],
          },
        },
      },
    });
    expect(encode(spec)).toMatchObject({
      TaskTemplate: {
        ContainerSpec: { Secrets: [], Configs: [], Mounts: [{ TmpfsOptions: {} }, { TmpfsOptions: {} }] },
      },
    });
  });
});
