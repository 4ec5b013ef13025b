import { create, fromBinary, toBinary, type DescMessage, type DescService, type Message } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from 'vitest';

import * as api from './messages.js';

const { raftpb } = api;

/** The services of package docker.swarmkit.v1 with their methods; `<` streams requests, `>` replies. */
const METHODS: Readonly<Record<string, string>> = {
  CA: 'GetRootCACertificate GetUnlockKey',
  Control:
    'GetNode ListNodes UpdateNode RemoveNode GetTask ListTasks RemoveTask GetService ListServices CreateService ' +
    'UpdateService RemoveService ListServiceStatuses GetNetwork ListNetworks CreateNetwork RemoveNetwork GetCluster ' +
    'ListClusters UpdateCluster GetSecret UpdateSecret ListSecrets CreateSecret RemoveSecret GetConfig UpdateConfig ' +
    'ListConfigs CreateConfig RemoveConfig GetExtension CreateExtension RemoveExtension GetResource UpdateResource ' +
    'ListResources CreateResource RemoveResource CreateVolume GetVolume UpdateVolume ListVolumes RemoveVolume',
  Dispatcher: 'Session> Heartbeat UpdateTaskStatus UpdateVolumeStatus Tasks> Assignments>',
  Health: 'Check',
  LogBroker: 'ListenSubscriptions> PublishLogs<',
  Logs: 'SubscribeLogs>',
  NodeCA: 'IssueNodeCertificate NodeCertificateStatus',
  Raft: 'ProcessRaftMessage StreamRaftMessage< ResolveAddress',
  RaftMembership: 'Join Leave',
  ResourceAllocator: 'AttachNetwork DetachNetwork',
  Watch: 'Watch>',
};

const MARKS = { unary: '', server_streaming: '>', client_streaming: '<', bidi_streaming: '<>' };

function isService(value: unknown): value is DescService {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'service';
}

const services = Object.values(api).filter((value) => isService(value));

describe('the services of the protocol', () => {
  it('are these eleven, with these 65 methods', () => {
    const found = Object.fromEntries(
      services.map((service) => [
        service.name,
        service.methods.map((method) => method.name + MARKS[method.methodKind]).sort(),
      ]),
    );
    const expected = Object.fromEntries(
      Object.entries(METHODS).map(([service, methods]) => [service, methods.split(' ').sort()]),
    );
    expect(found).toEqual(expected);
    expect(services.length).toBe(11);
    expect(services.flatMap((service) => service.methods).length).toBe(65);
    for (const service of services) expect(service.typeName).toBe(`docker.swarmkit.v1.${service.name}`);
  });
});

/** Everything that is stored, sent in the log, or held in a snapshot as a whole. */
const TOP_LEVEL: readonly DescMessage[] = [
  api.NodeSchema,
  api.ServiceSchema,
  api.TaskSchema,
  api.NetworkSchema,
  api.ClusterSchema,
  api.SecretSchema,
  api.ConfigSchema,
  api.ExtensionSchema,
  api.ResourceSchema,
  api.VolumeSchema,
  api.StoreActionSchema,
  api.InternalRaftRequestSchema,
  api.SnapshotSchema,
  raftpb.EntrySchema,
  raftpb.MessageSchema,
  raftpb.SnapshotSchema,
];

/** A number that no message of the protocol uses. */
const UNKNOWN_FIELD = 12_345;

describe('fields of a newer version', () => {
  it.each(TOP_LEVEL.map((schema) => [schema.typeName, schema] as const))('survive in %s', (_, schema) => {
    const bytes = withUnknownFields(schema);
    const decoded = fromBinary(schema, bytes);
    expect(decoded.$unknown?.map((field) => field.no)).toEqual([UNKNOWN_FIELD, UNKNOWN_FIELD + 1]);
    expect(toBinary(schema, decoded)).toEqual(bytes);
  });

  it.each(TOP_LEVEL.map((schema) => [schema.typeName, schema] as const))('survive inside %s', (_, schema) => {
    for (const field of schema.fields) {
      if (field.message === undefined || field.fieldKind !== 'message') continue;
      const inner = fromBinary(field.message, withUnknownFields(field.message));
      const outer: Message & Record<string, unknown> = create(schema) as never;
      if (field.oneof === undefined) outer[field.localName] = inner;
      else outer[field.oneof.localName] = { case: field.localName, value: inner };
      const once = toBinary(schema, outer);
      expect(toBinary(schema, fromBinary(schema, once))).toEqual(once);
      expect(once.length).toBeGreaterThan(withUnknownFields(field.message).length);
    }
  });

  it('survive a copy with a changed field', () => {
    const node = fromBinary(api.NodeSchema, withUnknownFields(api.NodeSchema));
    const changed = fromBinary(api.NodeSchema, toBinary(api.NodeSchema, { ...node, id: 'n1' }));
    expect(changed.id).toBe('n1');
    expect(changed.$unknown).toEqual(node.$unknown);
  });
});

function withUnknownFields(schema: DescMessage): Uint8Array {
  const writer = new BinaryWriter();
  writer.raw(toBinary(schema, create(schema)));
  writer.tag(UNKNOWN_FIELD, WireType.LengthDelimited).bytes(Uint8Array.of(1, 2, 3));
  return writer
    .tag(UNKNOWN_FIELD + 1, WireType.Varint)
    .uint32(7)
    .finish();
}
