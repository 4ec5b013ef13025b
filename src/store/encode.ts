import { toBinary, type DescMessage, type Message } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import {
  AnnotationsSchema,
  EndpointSchema,
  InternalRaftRequestSchema,
  MetaSchema,
  NetworkAttachmentSchema,
  NetworkSchema,
  ServiceSchema,
  ServiceSpecSchema,
  StoreActionKind,
  StoreActionSchema,
  TaskSchema,
  TaskSpecSchema,
  TaskStatusSchema,
  VersionSchema,
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

/** How to write one field that objects share by identity. */
interface SharedField {
  readonly no: number;
  readonly schema: DescMessage;
  /** Remembers encoded messages; only what can no longer change is given to it. */
  readonly memory: { get(message: object): Uint8Array | undefined; set(message: object, data: Uint8Array): unknown };
}

/** Remembers the last one only: for messages of which each is shared within one burst of changes and never again. */
class LastEncoded {
  #message: object | undefined;
  #data: Uint8Array | undefined;

  get(message: object): Uint8Array | undefined {
    return message === this.#message ? this.#data : undefined;
  }

  set(message: object, data: Uint8Array): void {
    this.#message = message;
    this.#data = data;
  }
}

const { meta, spec, specVersion, serviceAnnotations, status, endpoint } = TaskSchema.field;

/** What the tasks of one service version share, and what those that are written together do. */
const TASK_FIELDS = {
  spec: { no: spec.number, schema: TaskSpecSchema, memory: shared },
  specVersion: { no: specVersion.number, schema: VersionSchema, memory: shared },
  serviceAnnotations: { no: serviceAnnotations.number, schema: AnnotationsSchema, memory: shared },
  endpoint: { no: endpoint.number, schema: EndpointSchema, memory: shared },
  meta: { no: meta.number, schema: MetaSchema, memory: new LastEncoded() },
  status: { no: status.number, schema: TaskStatusSchema, memory: new LastEncoded() },
} as const satisfies Partial<Record<keyof Task, SharedField>>;

const TASK_FIELD_ENTRIES = Object.entries(TASK_FIELDS) as [keyof typeof TASK_FIELDS, SharedField][];

/**
 * A stand-in for a task that encodes to the same message: what it shares with others is already encoded, once
 * for all of them. Protobuf lets fields come in any order, so the bytes ride along as unknown fields.
 */
export function encodableTask(task: Task): Task {
  const fields: UnknownField[] = task.$unknown === undefined ? [] : [...task.$unknown];
  for (const [name, field] of TASK_FIELD_ENTRIES) {
    const message = task[name];
    if (message !== undefined) fields.push(sharedField(field, message));
  }
  return {
    ...task,
    spec: undefined,
    specVersion: undefined,
    serviceAnnotations: undefined,
    endpoint: undefined,
    meta: undefined,
    status: undefined,
    networks: task.networks.length === 0 ? task.networks : task.networks.map(encodableAttachment),
    $unknown: fields,
  };
}

const ATTACHED_NETWORK: SharedField = {
  no: NetworkAttachmentSchema.field.network.number,
  schema: NetworkSchema,
  memory: shared,
};

function encodableAttachment(attachment: NetworkAttachment): NetworkAttachment {
  const { network, ...rest } = attachment;
  if (network === undefined) return attachment;
  return withFields(rest, [sharedField(ATTACHED_NETWORK, network)]);
}

const SERVICE_SPEC: SharedField = { no: ServiceSchema.field.spec.number, schema: ServiceSpecSchema, memory: shared };
const PREVIOUS_SPEC: SharedField = { ...SERVICE_SPEC, no: ServiceSchema.field.previousSpec.number };

/** As {@link encodableTask} for a service and its two specs. */
export function encodableService(service: Service): Service {
  const { spec, previousSpec, ...rest } = service;
  const fields: UnknownField[] = [];
  if (spec !== undefined) fields.push(sharedField(SERVICE_SPEC, spec));
  if (previousSpec !== undefined) fields.push(sharedField(PREVIOUS_SPEC, previousSpec));
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

function sharedField({ no, schema, memory }: SharedField, message: Message): UnknownField {
  let data = memory.get(message);
  if (data === undefined) {
    data = new BinaryWriter().bytes(toBinary(schema, message)).finish();
    // Only what can no longer change may be remembered.
    if (Object.isFrozen(message)) memory.set(message, data);
  }
  return { no, wireType: WireType.LengthDelimited, data };
}
