import { create, equals } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';

import {
  PortConfig_PublishMode,
  RestartPolicy_RestartCondition,
  ServiceSpecSchema,
  UpdateConfig_FailureAction,
  UpdateConfig_UpdateOrder,
  type ContainerSpec,
  type ServiceSpec,
} from '../../../api/index.js';
import { UsageError } from '../usage-error.js';
import type { References, ServiceFlags } from './flags.js';
import { newServiceSpec, withFlags, withReplicas } from './spec.js';

const NAMED = { name: 'web', image: 'nginx:1' };
const REFERENCES: References = {
  networkIds: ['net1', 'net2'],
  secretIds: new Map([['pw', 's1']]),
  configIds: new Map([['cf', 'c1']]),
};

function container(spec: ServiceSpec): ContainerSpec {
  if (spec.task?.runtime.case !== 'container') throw new Error('the spec has no container');
  return spec.task.runtime.value;
}

function refused(flags: ServiceFlags, pattern: RegExp): void {
  expect(() => newServiceSpec({ ...NAMED, ...flags })).toThrow(UsageError);
  expect(() => newServiceSpec({ ...NAMED, ...flags })).toThrow(pattern);
}

describe('a new service', () => {
  test('needs a name and an image, and has one replica', () => {
    expect(newServiceSpec(NAMED)).toMatchObject({
      annotations: { name: 'web' },
      mode: { case: 'replicated', value: { replicas: 1n } },
      task: { runtime: { case: 'container', value: { image: 'nginx:1' } } },
    });
    expect(() => newServiceSpec({ name: 'web' })).toThrow(/--name and --image/);
    expect(() => newServiceSpec({ image: 'a' })).toThrow(/--name and --image/);
    refused({ image: 'Not/An image' }, /^--image/);
  });

  test('leaves to the cluster what no flag names', () => {
    const spec = newServiceSpec(NAMED);
    for (const field of ['update', 'rollback', 'endpoint'] as const) expect(spec[field]).toBeUndefined();
    for (const field of ['restart', 'placement', 'resources', 'logDriver'] as const) {
      expect(spec.task?.[field]).toBeUndefined();
    }
  });

  test('global, with no replicas', () => {
    expect(newServiceSpec({ ...NAMED, mode: 'global' }).mode.case).toBe('global');
    refused({ mode: 'job' }, /^--mode/);
    refused({ mode: 'global', replicas: '2' }, /^--replicas/);
    refused({ mode: 'global', replicasMaxPerNode: '2' }, /^--replicas-max-per-node/);
  });

  test('says everything about its container', () => {
    const spec = newServiceSpec({
      ...NAMED,
      hostname: 'h',
      command: ['sh'],
      args: ['-c', 'true'],
      env: ['A=1'],
      dir: '/srv',
      user: 'app',
      tty: true,
      openStdin: true,
      readOnly: true,
      init: false,
      stopGracePeriod: '1m',
      oomScoreAdj: '-5',
      ulimit: ['nofile=1:2'],
      bind: ['/a:/b'],
      volume: ['/v'],
      tmpfs: ['/t'],
      npipe: ['p:q'],
    });
    expect(container(spec)).toMatchObject({
      hostname: 'h',
      command: ['sh'],
      args: ['-c', 'true'],
      env: ['A=1'],
      dir: '/srv',
      user: 'app',
      tty: true,
      openStdin: true,
      readOnly: true,
      init: false,
      stopGracePeriod: { seconds: 60n },
      oomScoreAdj: -5n,
      ulimits: [{ name: 'nofile', soft: 1n, hard: 2n }],
      mounts: [{ target: '/b' }, { target: '/v' }, { target: '/t' }, { target: 'q' }],
    });
    refused({ oomScoreAdj: '1001' }, /^--oom-score-adj/);
  });

  test('reservations and limits', () => {
    const spec = newServiceSpec({
      ...NAMED,
      memoryLimit: '512m',
      cpuReservation: '0.5',
      genericResources: 'gpu=3,fpga=1',
    });
    expect(spec.task?.resources).toMatchObject({
      limits: { memoryBytes: 512n << 20n, nanoCpus: 0n },
      reservations: {
        nanoCpus: 500_000_000n,
        generic: [
          { resource: { value: { kind: 'gpu', value: 3n } } },
          { resource: { value: { kind: 'fpga', value: 1n } } },
        ],
      },
    });
    refused({ genericResources: 'gpu=red' }, /^--generic-resources/);
    refused({ genericResources: 'gpu' }, /^--generic-resources/);
    refused({ cpuLimit: 'x' }, /^--cpu-limit/);
    refused({ memoryReservation: 'x' }, /^--memory-reservation/);
  });

  test('ports, on the node unless asked otherwise', () => {
    expect(newServiceSpec({ ...NAMED, ports: ['web:80:8080'] }).endpoint?.ports).toMatchObject([
      { targetPort: 80, publishedPort: 8080, publishMode: PortConfig_PublishMode.HOST },
    ]);
    const ingress = newServiceSpec({ ...NAMED, ports: ['web:80'], publishMode: 'ingress' });
    expect(ingress.endpoint?.ports[0]?.publishMode).toBe(PortConfig_PublishMode.INGRESS);
    refused({ publishMode: 'ingress' }, /^--publish-mode: needs --ports/);
    refused({ ports: ['80'] }, /^--ports/);
  });

  test('policies: what is not given keeps stock’s defaults', () => {
    const spec = newServiceSpec({
      ...NAMED,
      restartDelay: '1s',
      updateDelay: '10s',
      rollbackOrder: 'start-first',
    });
    expect(spec.task?.restart).toMatchObject({ condition: RestartPolicy_RestartCondition.ANY, delay: { seconds: 1n } });
    expect(spec.update).toMatchObject({ parallelism: 0n, delay: { seconds: 10n } });
    expect(spec.rollback).toMatchObject({ order: UpdateConfig_UpdateOrder.START_FIRST });
  });

  test('policies in full', () => {
    const spec = newServiceSpec({
      ...NAMED,
      restartCondition: 'failure',
      restartMaxAttempts: '3',
      restartWindow: '1m',
      updateParallelism: '2',
      updateOnFailure: 'rollback',
      updateMonitor: '3s',
      updateMaxFailureRatio: '0.5',
    });
    expect(spec.task?.restart).toMatchObject({
      condition: RestartPolicy_RestartCondition.ON_FAILURE,
      maxAttempts: 3n,
      window: { seconds: 60n },
    });
    expect(spec.update).toMatchObject({
      parallelism: 2n,
      failureAction: UpdateConfig_FailureAction.ROLLBACK,
      monitor: { seconds: 3n },
      maxFailureRatio: 0.5,
    });
    refused({ restartCondition: 'always' }, /^--restart-condition/);
    refused({ restartDelay: '5' }, /^--restart-delay/);
    refused({ updateOrder: 'any' }, /^--update-order/);
    refused({ updateOnFailure: 'toString' }, /^--update-on-failure/);
    refused({ rollbackOnFailure: 'rollback' }, /^--rollback-on-failure/);
    refused({ updateMaxFailureRatio: '2' }, /^--update-max-failure-ratio/);
  });

  test('placement', () => {
    const spec = newServiceSpec({ ...NAMED, constraint: ['node.role==worker'], replicasMaxPerNode: '2' });
    expect(spec.task?.placement).toMatchObject({ constraints: ['node.role==worker'], maxReplicas: 2n });
    refused({ constraint: ['node.role=worker'] }, /^--constraint/);
  });

  test('references by id, with files everybody may read', () => {
    const flags = { ...NAMED, network: ['a', 'b'], secret: ['pw:file'], config: ['cf'] };
    const spec = newServiceSpec(flags, REFERENCES);
    expect(spec.task?.networks).toMatchObject([{ target: 'net1' }, { target: 'net2' }]);
    expect(container(spec).secrets).toMatchObject([
      { secretId: 's1', secretName: 'pw', target: { case: 'file', value: { name: 'file', mode: 0o444, uid: '0' } } },
    ]);
    expect(container(spec).configs).toMatchObject([{ configId: 'c1', target: { value: { name: 'cf' } } }]);
  });

  test('log drivers', () => {
    const spec = newServiceSpec({ ...NAMED, logDriver: 'json-file', logOpt: ['max-size=1m'] });
    expect(spec.task?.logDriver).toMatchObject({ name: 'json-file', options: { 'max-size': '1m' } });
    refused({ logOpt: ['a=b'] }, /^--log-opt: needs --log-driver/);
  });
});

describe('a change', () => {
  const present = newServiceSpec(
    {
      ...NAMED,
      label: ['a=1'],
      logDriver: 'syslog',
      secret: ['pw'],
      config: ['cf'],
      volume: ['/data'],
      updateParallelism: '2',
      restartCondition: 'none',
      ports: ['web:80'],
      memoryLimit: '1g',
      constraint: ['node.id==x'],
    },
    REFERENCES,
  );

  test('without flags changes nothing', () => {
    expect(equals(ServiceSpecSchema, withFlags(present, {}), present)).toBe(true);
  });

  test('leaves alone what its flags do not name', () => {
    const changed = withFlags(present, { image: 'nginx:2', updateDelay: '1s', restartDelay: '2s', cpuLimit: '1' });
    expect(container(changed).image).toBe('nginx:2');
    expect(changed.task?.logDriver?.name).toBe('syslog');
    expect(changed.update).toMatchObject({ parallelism: 2n, delay: { seconds: 1n } });
    expect(changed.task?.restart).toMatchObject({
      condition: RestartPolicy_RestartCondition.NONE,
      delay: { seconds: 2n },
    });
    expect(changed.task?.resources?.limits).toMatchObject({ memoryBytes: 1n << 30n, nanoCpus: 1_000_000_000n });
    expect(present.task?.resources?.limits?.nanoCpus).toBe(0n);
  });

  test('removes and replaces attachments and mounts', () => {
    const changed = withFlags(
      present,
      { rmSecret: ['pw'], addConfig: ['cf'], bind: ['/srv:/data'], rmLabel: ['a'] },
      REFERENCES,
    );
    expect(container(changed).secrets).toEqual([]);
    expect(container(changed).configs).toHaveLength(1);
    expect(container(changed).mounts).toMatchObject([{ source: '/srv', target: '/data' }]);
    expect(changed.annotations?.labels).toEqual({});
  });

  test('a capability is added or dropped, never both', () => {
    const added = withFlags(present, { addCapability: ['NET_ADMIN', 'NET_ADMIN'] });
    expect(container(added).capabilityAdd).toEqual(['NET_ADMIN']);
    const dropped = withFlags(added, { rmCapability: ['NET_ADMIN'] });
    expect(container(dropped)).toMatchObject({ capabilityAdd: [], capabilityDrop: ['NET_ADMIN'] });
    expect(() => withFlags(present, { addCapability: ['X'], rmCapability: ['X'] })).toThrow(UsageError);
  });

  test('by force counts up', () => {
    expect(withFlags(present, { force: true }).task?.forceUpdate).toBe(1n);
    expect(withFlags(present, { force: false }).task?.forceUpdate).toBe(0n);
  });

  test('of a container is refused where there is none', () => {
    const plugin = create(ServiceSpecSchema, { task: { runtime: { case: 'generic', value: { kind: 'plugin' } } } });
    expect(() => withFlags(plugin, { image: 'a' })).toThrow(/runs no container/);
    expect(withFlags(plugin, { label: ['a=b'] }).annotations?.labels).toEqual({ a: 'b' });
  });

  test('of the number of replicas', () => {
    expect(withReplicas('web', present, 7n).mode).toMatchObject({ value: { replicas: 7n } });
    const global = newServiceSpec({ ...NAMED, mode: 'global' });
    expect(() => withReplicas('web', global, 7n)).toThrow(/only a replicated service/);
  });
});
