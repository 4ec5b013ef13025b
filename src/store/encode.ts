import { toBinary, type DescMessage, type Message, type MessageShape } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import {
  InternalRaftRequestSchema,
  NetworkAttachmentSchema,
  NetworkSchema,
  ServiceSchema,
  ServiceSpecSchema,
  StoreActionKind,
  StoreActionSchema,
  TaskSchema,
  TaskSpecSchema,
  type NetworkAttachment,
  type Service,
  type StoreAction,
  type StoreSnapshot,
  type Task,
} from '../api/index.js';
import type { Change } from './change.js';
import type { StoredObject } from './table.js';
import type { TableName } from './tables.js';

type UnknownField = NonNullable<Message['$unknown']>[number];

/** Encoded messages that many objects share, by identity; with the length in front, as a field's value. */
const shared = new WeakMap<object, Uint8Array>();

/**
 * A stand-in for a task that encodes to the same message: its spec is already encoded, once for all tasks
 * that share it. Protobuf lets fields come in any order, so the bytes ride along as an unknown field.
 */
export function encodableTask(task: Task): Task {
  const { spec, ...rest } = task;
  const networks = task.networks.length === 0 ? task.networks : task.networks.map(encodableAttachment);
  const fields = spec === undefined ? [] : [sharedField(TaskSchema.field.spec.number, TaskSpecSchema, spec)];
  return withFields({ ...rest, networks }, fields);
}

function encodableAttachment(attachment: NetworkAttachment): NetworkAttachment {
  const { network, ...rest } = attachment;
  if (network === undefined) return attachment;
  return withFields(rest, [sharedField(NetworkAttachmentSchema.field.network.number, NetworkSchema, network)]);
}

/** As {@link encodableTask} for a service and its two specs. */
export function encodableService(service: Service): Service {
  const { spec, previousSpec, ...rest } = service;
  const fields: UnknownField[] = [];
  if (spec !== undefined) fields.push(sharedField(ServiceSchema.field.spec.number, ServiceSpecSchema, spec));
  if (previousSpec !== undefined) {
    fields.push(sharedField(ServiceSchema.field.previousSpec.number, ServiceSpecSchema, previousSpec));
  }
  return withFields(rest, fields);
}

/** The snapshot in a form that encodes fast, to the same message. */
export function encodableSnapshot(snapshot: StoreSnapshot): StoreSnapshot {
  return {
    ...snapshot,
    tasks: snapshot.tasks.map(encodableTask),
    services: snapshot.services.map(encodableService),
  };
}

/** The encoded `action` field of an `InternalRaftRequest` for one change. */
export function encodeChange(change: Change): Uint8Array {
  const object = change.new ?? change.old;
  const action = {
    $typeName: StoreActionSchema.typeName,
    action: actionKind(change),
    target: targetOf(change.table, object),
  };
  return toBinary(InternalRaftRequestSchema, {
    $typeName: InternalRaftRequestSchema.typeName,
    id: 0n,
    action: [action as StoreAction],
  });
}

/** The encoded fields one after the other. */
export function concatBytes(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0] as Uint8Array;
  const whole = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.length, 0));
  let position = 0;
  for (const chunk of chunks) {
    whole.set(chunk, position);
    position += chunk.length;
  }
  return whole;
}

function actionKind(change: Change): StoreActionKind {
  if (change.new === undefined) return StoreActionKind.STORE_ACTION_REMOVE;
  return change.old === undefined ? StoreActionKind.STORE_ACTION_CREATE : StoreActionKind.STORE_ACTION_UPDATE;
}

function targetOf(table: TableName, object: StoredObject | undefined): object {
  if (table === 'task') return { case: table, value: encodableTask(object as Task) };
  if (table === 'service') return { case: table, value: encodableService(object as Service) };
  return { case: table, value: object };
}

function withFields<T extends Message>(message: T, fields: readonly UnknownField[]): T {
  return { ...message, $unknown: message.$unknown === undefined ? [...fields] : [...message.$unknown, ...fields] };
}

function sharedField<D extends DescMessage>(no: number, schema: D, message: MessageShape<D>): UnknownField {
  let data = shared.get(message);
  if (data === undefined) {
    data = new BinaryWriter().bytes(toBinary(schema, message)).finish();
    // Only what can no longer change may be remembered.
    if (Object.isFrozen(message)) shared.set(message, data);
  }
  return { no, wireType: WireType.LengthDelimited, data };
}
