import { create } from '@bufbuild/protobuf';

import {
  ClusterSchema,
  ConfigSchema,
  ExtensionSchema,
  NetworkSchema,
  NodeRole,
  NodeSchema,
  NodeSpec_Membership,
  ResourceSchema,
  SecretSchema,
  ServiceSchema,
  TaskSchema,
  TaskState,
  VolumeSchema,
} from '../api/index.js';
import type { Objects, TableName } from './tables.js';

/** The value that {@link sampleObject} puts wherever a finder looks, made different by `tag`. */
const indices = (tag: string) => [{ key: 'zone', val: `rack-${tag}` }];

/** One object of each table with every indexed field set to something that contains `tag`. */
export const sampleObject: { readonly [T in TableName]: (id: string, tag: string) => Objects[T] } = {
  cluster: (id, tag) => create(ClusterSchema, { id, spec: { annotations: named(tag) } }),
  network: (id, tag) => create(NetworkSchema, { id, spec: { annotations: named(tag) } }),
  secret: (id, tag) => create(SecretSchema, { id, spec: { annotations: named(tag), data: new Uint8Array([1]) } }),
  config: (id, tag) => create(ConfigSchema, { id, spec: { annotations: named(tag), data: new Uint8Array([2]) } }),
  extension: (id, tag) => create(ExtensionSchema, { id, annotations: named(tag) }),
  resource: (id, tag) => create(ResourceSchema, { id, annotations: named(tag), kind: `kind-${tag}` }),
  volume: (id, tag) =>
    create(VolumeSchema, {
      id,
      spec: { annotations: named(tag), group: `group-${tag}`, driver: { name: `driver-${tag}` } },
    }),
  node: (id, tag) =>
    create(NodeSchema, {
      id,
      description: { hostname: `Name-${tag}` },
      role: tag === 'a' ? NodeRole.MANAGER : NodeRole.WORKER,
      spec: {
        annotations: { indices: indices(tag) },
        membership: tag === 'a' ? NodeSpec_Membership.ACCEPTED : NodeSpec_Membership.PENDING,
      },
    }),
  service: (id, tag) => create(ServiceSchema, { id, spec: { annotations: named(tag), task: taskSpec(tag) } }),
  task: (id, tag) =>
    create(TaskSchema, {
      id,
      annotations: named(tag),
      serviceId: `service-${tag}`,
      nodeId: `node-${tag}`,
      slot: tag === 'a' ? 1n : 2n,
      desiredState: tag === 'a' ? TaskState.RUNNING : TaskState.SHUTDOWN,
      status: { state: tag === 'a' ? TaskState.READY : TaskState.FAILED },
      spec: taskSpec(tag),
      volumes: [{ id: `volume-${tag}` }],
    }),
};

function named(tag: string) {
  return { name: `Name-${tag}`, indices: indices(tag) };
}

function taskSpec(tag: string) {
  return {
    runtime:
      tag === 'a'
        ? {
            case: 'container' as const,
            value: { secrets: [{ secretId: `secret-${tag}` }], configs: [{ configId: `config-${tag}` }] },
          }
        : { case: 'generic' as const, value: { kind: 'Plugin' } },
    networks: [{ target: `network-${tag}` }, { target: `network-${tag}` }],
  };
}
