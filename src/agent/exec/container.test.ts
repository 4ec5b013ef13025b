import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { PortConfig_PublishMode, TaskSchema, discreteResource, namedResource } from '../../api/index.js';
import { containerLabels, containerSpec, genericResourceEnv, hostPorts } from './container.js';

type TaskFields = Exclude<MessageInitShape<typeof TaskSchema>, { $typeName: string }>;

function task(init: TaskFields = {}) {
  return create(TaskSchema, {
    id: 'tid',
    serviceId: 'sid',
    nodeId: 'nid',
    slot: 3n,
    serviceAnnotations: { name: 'web' },
    spec: { runtime: { case: 'container', value: { labels: { mine: '1', 'com.docker.swarm.task.id': 'forged' } } } },
    ...init,
  });
}

describe('the container of a task', () => {
  it('carries the system labels, which override those of the user', () => {
    expect(containerLabels(task())).toEqual({
      mine: '1',
      'com.docker.swarm.task': '',
      'com.docker.swarm.task.id': 'tid',
      'com.docker.swarm.task.name': 'web.3.tid',
      'com.docker.swarm.node.id': 'nid',
      'com.docker.swarm.service.id': 'sid',
      'com.docker.swarm.service.name': 'web',
    });
  });

  it('is named after the node where the task has no slot', () => {
    expect(containerLabels(task({ slot: 0n }))['com.docker.swarm.task.name']).toBe('web.nid.tid');
  });

  it('takes labels of the task over those of the spec', () => {
    expect(containerLabels(task({ annotations: { name: '', labels: { mine: '2' } } }))['mine']).toBe('2');
  });

  it('is told its generic resources by kind', () => {
    const assignedGenericResources = [
      namedResource('gpu', 'b'),
      namedResource('gpu', 'a'),
      discreteResource('ssd', 4n),
    ];
    expect(genericResourceEnv(task({ assignedGenericResources }))).toEqual([
      'DOCKER_RESOURCE_GPU=b,a',
      'DOCKER_RESOURCE_SSD=4',
    ]);
    expect(genericResourceEnv(task())).toEqual([]);
  });

  it('publishes on the host only what asks for it', () => {
    const endpoint = {
      ports: [
        { targetPort: 80, publishMode: PortConfig_PublishMode.HOST },
        { targetPort: 81, publishMode: PortConfig_PublishMode.INGRESS },
      ],
    };
    expect(hostPorts(task({ endpoint })).map((port) => port.targetPort)).toEqual([80]);
    expect(hostPorts(task())).toEqual([]);
  });

  it('exists only for the container runtime', () => {
    const spec = { runtime: { case: 'generic' as const, value: { kind: 'plugin' } } };
    expect(() => containerSpec(task({ spec }))).toThrow('task runtime "generic" is not supported');
    expect(() => containerSpec(create(TaskSchema))).toThrow('task runtime "none"');
  });
});
